"""The HDF5 files of CaloGAN, doi:10.17632/pvn3xc3wy5, arXiv:1705.02355, for any detector with rectangular cells.

``energy`` (N,1) of the particle in GeV; ``layer_0``, ``layer_1`` and so on (N,nx,ny), the cells of one cell layer each,
in MeV; ``overflow`` (N,number of cell layers), what was deposited beside the cells of each, in MeV.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector, RectangularCells
from caloforge.errors import FormatError, RequestError
from caloforge.showers.arrays import block_rows, check_array, count_rows, guarded, reading, write_arrays
from caloforge.showers.centred import OneBeam, UnitCheck, centred_conditions
from caloforge.showers.container import Showers, cell_layer_energies

ARRAYS = ("energy", "layer_0")
NO_PLACE_FOR = ("detector", "pdg", "layer_energies", "absorber_energies", "weights", "source", "provenance")
NOT_KEPT = ("overflow",)
"""What such files hold and our own have no place for."""
_MEV = 1000.0  # a GeV


def _shapes(detector: Detector) -> dict[str, tuple[int, int]]:
    """Name and shape of each array of cells."""
    shapes = {}
    for number, layer in enumerate(detector.cell_layers):
        if not isinstance(layer.cells, RectangularCells):
            raise RequestError(
                f"the layers of CaloGAN's files are images of rectangular cells; cell layer {number + 1} of "
                f"{detector.name} has {layer.cells} (--detector names the detector of a file that does not carry it)"
            )
        shapes[f"layer_{number}"] = layer.cells.shape
    return shapes


@contextmanager
def open_calogan(path: Path, detector: Detector, particle: int) -> Iterator[tuple[int, Iterator[Showers]]]:
    """The number of showers in a file, and the showers, block by block; ``particle`` is the PDG code of all.

    ``overflow`` is left out, and need not be there.

    Raises:
        RequestError: the detector has cells that are not rectangular.
        FormatError: the file is missing, cut, or its arrays do not fit the detector. Reading raises it too: for damaged
            blocks, and for energies that are negative, not finite or in another unit.
    """
    shapes = _shapes(detector)
    with reading(path) as file:
        rows = count_rows(file, "energy")
        whose = f"{detector.name} with {rows} showers"
        check_array(file, path, "energy", (rows, 1), whose)
        layers = [check_array(file, path, name, (rows, *shape), whose) for name, shape in shapes.items()]
        if f"layer_{len(layers)}" in file:
            raise FormatError(
                f"{path} has an array 'layer_{len(layers)}'; {detector.name} has {len(layers)} cell layers, "
                f"{', '.join(shapes)}. Name the detector that the file is of (--detector)"
            )
        yield rows, _blocks(file, path, detector, particle, layers)


def _blocks(
    file: h5py.File, path: Path, detector: Detector, particle: int, layers: list[h5py.Dataset]
) -> Iterator[Showers]:
    units = UnitCheck("GeV for 'energy' and MeV for the layers")

    def read(rows: slice) -> Showers:
        energy = file["energy"][rows, 0].astype(np.float64) * _MEV
        cells = [layer.astype(np.float32)[rows].reshape(len(energy), -1) for layer in layers]
        showers = Showers(detector, centred_conditions(detector, energy, particle), np.concatenate(cells, axis=1))
        units.add(showers)
        return showers

    length, size = count_rows(file, "energy"), block_rows(layers)
    for start in range(0, length, size):
        stop = min(start + size, length)
        yield guarded(f"{path}, showers {start} to {stop - 1}", partial(read, slice(start, stop)))


def write_calogan(path: Path, detector: Detector, blocks: Iterable[Showers], *, overwrite: bool) -> None:
    """Write the file, block by block. ``overflow`` is what the layers hold and their cells do not, 0 where unknown.

    Raises:
        RequestError: a cell layer is round, the output exists and ``overwrite`` is False, or showers that such a file
            cannot tell: see :class:`caloforge.showers.centred.OneBeam`.
        WorkError: the file cannot be written.
    """
    shapes = _shapes(detector)
    beam = OneBeam(detector, "calogan")
    write_arrays(path, (_columns(block, shapes) for block in beam.only(blocks)), overwrite=overwrite)


def _columns(block: Showers, shapes: dict[str, tuple[int, int]]) -> dict[str, NDArray[Any]]:
    places = [layer.index for layer in block.detector.cell_layers]
    cells = {
        name: block.energies[:, place].reshape(-1, *shape)
        for place, (name, shape) in zip(places, shapes.items(), strict=True)
    }
    overflow = np.zeros((len(block), len(shapes)))
    if block.layer_energies is not None:
        inside = np.stack([block.energies[:, place].sum(axis=1, dtype=np.float64) for place in places], axis=1)
        overflow = np.maximum(cell_layer_energies(block.detector, block.layer_energies) - inside, 0.0)
    energy = block.conditions.column("energy")[:, None] / _MEV
    return {"energy": energy, **cells, "overflow": overflow.astype(np.float32)}
