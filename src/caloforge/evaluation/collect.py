"""Read a file of showers once, in blocks, and keep what the comparison needs: numbers an event, not the cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import RequestError
from caloforge.evaluation.correlations import LogShares
from caloforge.evaluation.profile import depth_moments
from caloforge.evaluation.resampling import effective_size
from caloforge.evaluation.results import SampleInfo
from caloforge.observables import compute, observables_for
from caloforge.reconstruction import Clusters, find_clusters, has_clusters
from caloforge.showers import ShowerFile

BLOCK = 2000
GROUPS = 20
MIN_EVENTS = 100
HEAD_EVENTS = 100_000
"""Of so many showers, from the start of a file, more is kept than a few numbers: what figures of whole showers need.

The classifier (its AUC has an error of 0.001 then) and the cells of the conditions use no more either.
"""
UNLIKE = 100.0
"""Samples whose responses differ by more than this factor are in different units."""
Progress = Callable[[str, int, int], None]
"""Called with the name of the stage, the steps done and the steps in all."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One file in short.

    Attributes:
        info: where it comes from.
        detector: its detector.
        conditions: (N, C) matrix in the detector's order.
        pdg: (N,) particle codes.
        weights: (N,) weights of the events, or None where each counts once.
        visible: (N,) sum of the cells, MeV.
        observables: (N,) values of each observable.
        image_sums: (G, n_cells) sum of the energies of the events i with i % G = g, MeV, so that an image has an error.
        image_counts: (G,) events in each group, with their weights as the sums.
        shares: (M, K) log shares of the central cells of the first M events.
        depth: (N, 2) mean and spread of the depth from the energies of the layers, mm; None where the file has none.
        layers: (H, n_layers) energies of the layers of the first H events, at most `HEAD_EVENTS`, MeV; or None.
        clusters: of the first H events, or None where the cells are such that there are none.
    """

    info: SampleInfo
    detector: Detector
    conditions: NDArray[np.float64]
    pdg: NDArray[np.int32]
    weights: NDArray[np.float64] | None
    visible: NDArray[np.float64]
    observables: dict[str, NDArray[np.float64]]
    image_sums: NDArray[np.float64]
    image_counts: NDArray[np.float64]
    shares: NDArray[np.float32]
    depth: NDArray[np.float64] | None
    layers: NDArray[np.float32] | None
    clusters: Clusters | None

    def __len__(self) -> int:
        return len(self.visible)

    @property
    def incident(self) -> NDArray[np.float64]:
        """(N,) incident energies, MeV."""
        return self.conditions[:, self.detector.column("energy")]


def collect(path: Path, label: str | None = None, *, max_events: int | None = None, progress: Progress) -> Sample:
    """Read showers in blocks, all or `max_events` from the start; without a label, "Geant4" or the file's name.

    Memory holds one block of cells and some 300 bytes an event, whatever the number of cells.

    Raises:
        FormatError: not a file of showers, cut, or with energies no shower has.
        RequestError: fewer than 100 showers, or a detector without observables.
    """
    with ShowerFile(path) as file:
        total = len(file) if max_events is None else min(len(file), max_events)
        if total < MIN_EVENTS:
            raise RequestError(f"{path}: {total} showers; a comparison needs at least {MIN_EVENTS}: generate more")
        detector = file.detector
        log_shares = LogShares(detector)
        sums = np.zeros((GROUPS, detector.n_cells))
        counts = np.zeros(GROUPS)
        given: list[NDArray[np.float64]] = []
        conditions = np.empty((total, len(detector.conditions)))
        codes = np.empty(total, dtype=np.int32)
        visible = np.empty(total)
        observables = {name: np.empty(total) for name in observables_for(detector)}
        shares, depth, layers = [], [], []
        clusters: list[Clusters] = []
        clustered = has_clusters(detector)
        for start in range(0, total, BLOCK):
            showers = file.read(start, min(start + BLOCK, total))
            energies = showers.energies.astype(np.float64)
            rows = slice(start, start + len(energies))
            for name, values in compute(energies, showers.conditions.matrix, detector).items():
                observables[name][rows] = values
            conditions[rows] = showers.conditions.matrix
            codes[rows] = showers.conditions.pdg
            visible[rows] = energies.sum(axis=1)
            if showers.layer_energies is not None:
                depth.append(depth_moments(showers.layer_energies, detector))
                if start < HEAD_EVENTS:
                    layers.append(showers.layer_energies)
            if clustered and start < HEAD_EVENTS:
                clusters.append(find_clusters(energies, detector))
            group = (start + np.arange(len(energies))) % GROUPS
            times = np.ones(len(energies)) if showers.weights is None else showers.weights
            for number in range(GROUPS):
                sums[number] += times[group == number] @ energies[group == number]
            counts += np.bincount(group, weights=times, minlength=GROUPS)
            if showers.weights is not None:
                given.append(showers.weights)
            if start < log_shares.max_events:
                shares.append(log_shares(energies, showers.conditions.column("energy")))
            progress(f"reading {path.name}", start + len(energies), total)
        name = label or ("Geant4" if file.source == "geant4" else path.stem)
        weights = np.concatenate(given) if given else None
        if weights is not None and weights.min() < 0:
            raise RequestError(
                f"{path}: {int((weights < 0).sum())} of {total} weights are negative; a comparison of showers needs "
                "weights of 0 or more (single observables: caloforge.evaluation.distance takes them)"
            )
        effective = float(total) if weights is None else effective_size(weights)
        if effective < MIN_EVENTS:
            raise RequestError(
                f"{path}: by their weights its {total} showers count as {effective:.0f}, (sum w)^2 / sum w^2; "
                f"a comparison needs at least {MIN_EVENTS}: use more showers, or weights that vary less"
            )
        info = SampleInfo(name, path.name, file.source, total, len(file), effective, file.provenance)
    return Sample(
        info=info,
        detector=detector,
        conditions=conditions,
        pdg=codes,
        weights=weights,
        visible=visible,
        observables=observables,
        image_sums=sums,
        image_counts=counts,
        shares=np.concatenate(shares),
        depth=np.concatenate(depth) if depth else None,
        layers=np.concatenate(layers) if layers else None,
        clusters=Clusters.joined(clusters) if clusters else None,
    )


def check_comparable(sample: Sample, reference: Sample) -> None:
    """Both samples must have the same cells, conditions and observables, and energies in the same unit.

    Raises:
        RequestError: they have not.
    """
    first, second = sample.detector, reference.detector
    files = f"{sample.info.file} and {reference.info.file}"
    for what in ("name", "cell_layers", "condition_names", "reference_depth", "squares", "sparsity_thresholds"):
        if getattr(first, what) != getattr(second, what):
            ours, theirs = (_in_words(item, what) for item in (first, second))
            raise RequestError(
                f"{files} are of different detectors: {what} is {ours} in one and {theirs} in the other; compare one "
                "detector"
            )
    for item in (sample, reference):
        if not item.visible.any():
            raise RequestError(f"{item.info.file}: all {len(item)} showers are empty; there is nothing to compare")
    seen, truth = (float(item.visible.sum() / item.incident.sum()) for item in (sample, reference))
    if not truth / UNLIKE < seen < truth * UNLIKE:
        raise RequestError(
            f"{files}: the cells hold {seen:.3g} of the incident energy in one and {truth:.3g} in the other; "
            "no model is that far off, so a unit is wrong: both must be in MeV"
        )


def _in_words(detector: Detector, what: str) -> str:
    if what == "cell_layers":
        grids = dict.fromkeys(str(layer.cells) for layer in detector.cell_layers)
        return f"{detector.n_cells:,} cells in {len(detector.cell_layers)} layers ({', '.join(grids)})"
    return str(getattr(detector, what))


def same_conditions(sample: Sample, reference: Sample) -> bool:
    """Whether event i of both has the same particle under the same conditions, to 1e-5 of each condition's range."""
    if len(sample) != len(reference) or not np.array_equal(sample.pdg, reference.pdg):
        return False
    span = reference.detector.high - reference.detector.low
    return bool((np.abs(sample.conditions - reference.conditions) <= 1e-5 * span).all())


def copied_events(sample: Sample, reference: Sample) -> int:
    """How many showers of the sample have exactly the visible energy and as many lit cells as one of the reference."""
    thresholds = [name for name in reference.observables if name.startswith("sparsity")]
    keys = []
    for item in (sample, reference):
        lit = item.observables[thresholds[0]] if thresholds else np.zeros(len(item))
        keys.append(item.visible + 1j * np.rint(lit * item.detector.n_cells))
    return int((np.isin(keys[0], keys[1]) & (sample.visible > 0)).sum())
