"""Training showers near the conditions asked for: the baselines that every generative model has to beat, or reach.

For the conditions asked for, the closest training event is looked up among all training events and their mirror images
(x -> -x with angle_xz -> -angle_xz, the same in y, where the detector has these symmetries), mirrored, and scaled by
E_asked / E_found. It takes no noise: the same conditions always give the same shower, and asked for its own training
conditions the model returns its training showers. Compare it with data that it was not fitted on.

Closeness is measured in mm at the detector's reference depth, where the shower is widest: positions as they are,
angles as depth * tan(angle), energies as ln(E) / 0.05, so that 5 % of energy counts as much as 1 mm; another
particle is farther than anything else.

The family ``interpolation`` takes the mean of the four nearest, each weighted with one over its distance. It is smooth
in the conditions and right on average, but a mean of showers is no shower: fluctuations come out too small, and too
many cells have energy.

Showers are not moved by whole cells, although the cells would allow it: an event at x, moved by a cell of width d,
stands for x + d or x - d, and one of these is closer to the position asked for than x itself only where the two differ
by more than d / 2. Where the positions of a detector span half a cell or less, as in ``lhcb-ecal`` (10 mm, cells of
20 mm), that never happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from caloforge._version import __version__
from caloforge.detector import Conditions, Detector, concatenate_conditions, mirror_cells
from caloforge.errors import FormatError, RequestError
from caloforge.models.base import Sampler
from caloforge.models.bundle import WEIGHTS, Bundle, Domain, file_digest, write_bundle
from caloforge.showers import ShowerFile

_ENERGY_STEP = 0.05
_THRESHOLD = 0.02  # MeV; below 1e-4 float16 gets coarse
_OTHER_PARTICLE = 1e6  # mm
_LEAST_DISTANCE = 1e-3  # mm; a training event asked for outweighs its neighbours
_LARGEST = 65504.0  # of float16, MeV

NEIGHBOURS = {"neighbour": 1, "interpolation": 4}
"""How many training showers each family takes the mean of."""

_IN_MM: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.float64]]] = {
    "MeV": lambda value, depth: np.log(value) / _ENERGY_STEP,
    "mm": lambda value, depth: value,
    "rad": lambda value, depth: depth * np.tan(value),
}


@final
class NeighbourSampler(Sampler):
    """Nearest training showers, mirrored and scaled in energy; the mean of several.

    Args:
        detector: the detector of the library.
        neighbours: how many.
        library: the arrays that :func:`pack` makes: ``conditions`` (M, C + 1), ``occupied`` (M, ceil(n_cells / 8)) and
            ``energies`` (all cells with energy, one after the other).

    Raises:
        FormatError: the arrays do not fit together or the detector.
    """

    def __init__(self, detector: Detector, library: Mapping[str, NDArray[Any]], neighbours: int = 1) -> None:
        from scipy.spatial import cKDTree

        super().__init__(detector, noise_width=0)
        self._neighbours = neighbours
        try:
            self._conditions = np.asarray(library["conditions"], dtype=np.float64)
            self._occupied = np.asarray(library["occupied"], dtype=np.uint8)
            self._energies = np.asarray(library["energies"], dtype=np.float16)
        except KeyError as error:
            raise FormatError(f"the library of neighbours lacks the array {error}; get the bundle again") from None
        counts = np.unpackbits(self._occupied, axis=1).sum(axis=1, dtype=np.int64)
        self._ends = np.cumsum(counts)
        rows = len(self._conditions)
        if (
            not rows
            or self._conditions.shape != (rows, len(detector.conditions) + 1)
            or self._occupied.shape != (rows, -(-detector.n_cells // 8))
            or self._energies.shape != (int(self._ends[-1]),)
        ):
            raise FormatError("the arrays of the library of neighbours do not fit together; get the bundle again")
        self._flips = _flips(detector)
        images = [self._mirrored(self._conditions, flip) for flip in self._flips]
        self._tree = cKDTree(np.concatenate([self._in_mm(image) for image in images]))

    def __len__(self) -> int:
        return len(self._conditions)

    def sample(self, conditions: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :meth:`Sampler.sample`; the noise has width 0."""
        conditions, _ = self.checked(conditions, noise)
        wanted = conditions.astype(np.float64)
        several = min(self._neighbours, len(self))
        distances, found = self._tree.query(self._in_mm(wanted), k=range(1, several + 1))
        weights = 1.0 / np.maximum(distances, _LEAST_DISTANCE)
        weights /= weights.sum(axis=1, keepdims=True)
        energies = np.zeros((len(wanted), self.detector.n_cells), dtype=np.float32)
        for rank in range(several):
            energies += weights[:, [rank]].astype(np.float32) * self._nearest(wanted, found[:, rank])
        return energies

    def _nearest(self, wanted: NDArray[np.float64], found: NDArray[np.int64]) -> NDArray[np.float32]:
        """Showers by their numbers in the tree, mirrored and scaled to the energies wanted."""
        image, row = np.divmod(found, len(self))
        flips = np.array(self._flips, dtype=np.bool_)[image]
        energies = mirror_cells(self._unpacked(row), self.detector, flips[:, 0], flips[:, 1])
        if "energy" in self.detector.condition_names:
            column = self.detector.column("energy")
            energies *= (wanted[:, column] / self._conditions[row, column]).astype(np.float32)[:, None]
        return energies

    def _in_mm(self, conditions: NDArray[np.float64]) -> NDArray[np.float64]:
        depth = self.detector.reference_depth
        specs = self.detector.conditions
        columns = [_IN_MM[spec.unit](conditions[:, i], depth) for i, spec in enumerate(specs)]
        return np.stack([*columns, _OTHER_PARTICLE * conditions[:, -1]], axis=1)

    def _mirrored(self, conditions: NDArray[np.float64], flip: tuple[bool, bool]) -> NDArray[np.float64]:
        rows = len(conditions)
        as_conditions = Conditions(self.detector, conditions[:, :-1], conditions[:, -1].astype(np.int32))
        mirrored = as_conditions.mirrored(np.full(rows, flip[0]), np.full(rows, flip[1]))
        return np.column_stack([mirrored.matrix, conditions[:, -1]])

    def _unpacked(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        mask = np.unpackbits(self._occupied[rows], axis=1, count=self.detector.n_cells).astype(np.bool_)
        counts = mask.sum(axis=1)
        starts = self._ends[rows] - counts
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        energies = np.zeros(mask.shape, dtype=np.float32)
        energies[mask] = self._energies[np.repeat(starts, counts) + within]
        return energies


def pack(
    conditions: NDArray[np.float32], energies: NDArray[np.float32]
) -> dict[str, NDArray[np.float32] | NDArray[np.uint8] | NDArray[np.float16]]:
    """Return the library of showers (M, n_cells) under ``Conditions.inputs`` (M, C + 1) as small arrays.

    One bit a cell says whether it holds more than 0.02 MeV; the energies of those cells follow as float16, rounded by
    at most 2^-11 (0.05 %) of themselves. What is left out is 2.5e-5 of the visible energy of ``lhcb-ecal``.

    Raises:
        RequestError: a cell holds more than 65,504 MeV.
    """
    if energies.size and energies.max() > _LARGEST:
        raise RequestError(f"a cell holds {energies.max():g} MeV; the library stores at most {_LARGEST:g} MeV a cell")
    occupied = energies > _THRESHOLD
    return {
        "conditions": conditions,
        "occupied": np.packbits(occupied, axis=1),
        "energies": energies[occupied].astype(np.float16),
    }


def fit_neighbour(
    data: str | Path,
    output: str | Path,
    *,
    family: str = "neighbour",
    stop: int | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a bundle of the family ``neighbour`` or ``interpolation`` from the first events of a file of showers.

    Args:
        data: a file of showers, usually of full simulation.
        output: the bundle, ``*.caloforge``; about 0.4 kB a shower of ``lhcb-ecal``.
        family: which of ``NEIGHBOURS``.
        stop: learn from the events before this one; by default all but the last tenth, which stays for validation.

    Raises:
        FormatError: the file is no file of showers.
        RequestError: no events before ``stop``, a particle the detector does not take, or the output exists.
    """
    import safetensors.numpy

    with ShowerFile(data) as file:
        stop = len(file) - max(len(file) // 10, 1) if stop is None else min(stop, len(file))
        if stop < 1:
            raise RequestError(f"{data} has {len(file)} showers; there are none before number {stop} to learn from")
        detector = file.detector
        blocks = [file.read(first, min(first + 5000, stop)) for first in range(0, stop, 5000)]
        source = file.provenance
    packed = [pack(block.conditions.inputs, block.energies) for block in blocks]
    library = {name: np.concatenate([part[name] for part in packed]) for name in packed[0]}
    return write_bundle(
        output,
        family=family,
        detector=detector,
        domain=Domain.covered(concatenate_conditions([block.conditions for block in blocks])),
        noise_width=0,
        config={"threshold_mev": _THRESHOLD, "energy_step": _ENERGY_STEP},
        metrics={},
        provenance={
            "caloforge": __version__,
            "data": Path(data).name,
            "data_sha256": file_digest(Path(data)),
            "data_provenance": source,
            "events": [0, stop],
        },
        parts={WEIGHTS: safetensors.numpy.save(library)},
        overwrite=overwrite,
    )


def load_neighbour(bundle: Bundle) -> NeighbourSampler:
    """Return the sampler of a bundle of these families; a damaged library raises ``FormatError``."""
    import safetensors
    import safetensors.numpy

    try:
        library = safetensors.numpy.load(bundle.part(WEIGHTS))
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise FormatError(f"{bundle.path}: the part {WEIGHTS} is not a safetensors file: {error}") from error
    return NeighbourSampler(bundle.detector, library, NEIGHBOURS[bundle.family])


def _flips(detector: Detector) -> tuple[tuple[bool, bool], ...]:
    in_x = (False, True) if "mirror_x" in detector.symmetries else (False,)
    in_y = (False, True) if "mirror_y" in detector.symmetries else (False,)
    return tuple(product(in_x, in_y))
