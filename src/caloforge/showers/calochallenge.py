"""The HDF5 files of CaloChallenge, arXiv:2410.21611.

``incident_energies`` (N,1) and ``showers`` (N,n_voxels), in MeV. In a shower the ring runs fastest, then the sector,
then the layer, and sectors begin at the angle -pi: the order of the cells of a detector with round cells. A binning
file in XML (:mod:`caloforge.showers.binning`) says which rings and sectors these are, and which particle. A file may
also hold ``layer_energies``, (N,n_layers) or one a cell layer; the voxels are then compared with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import RequestError
from caloforge.showers.arrays import block_rows, check_array, count_rows, guarded, reading, write_arrays
from caloforge.showers.atomic import atomic_output
from caloforge.showers.binning import binning_text, round_cells
from caloforge.showers.centred import OneBeam, UnitCheck, centred_conditions
from caloforge.showers.container import Showers, cell_layer_energies
from caloforge.showers.order import OrderCheck

ARRAYS = ("incident_energies", "showers")
NO_PLACE_FOR = ("detector", "layer_energies", "absorber_energies", "weights", "source", "provenance")
_LAYERS = "layer_energies"


@contextmanager
def open_calochallenge(path: Path, detector: Detector, particle: int) -> Iterator[tuple[int, Iterator[Showers]]]:
    """The number of showers in a file, and the showers, block by block; ``particle`` is the PDG code of all.

    Raises:
        RequestError: the detector has cells that are not round.
        FormatError: the file is missing, cut, or its arrays do not fit the detector. Reading raises it too: for damaged
            blocks, energies that are negative, not finite or in another unit, and voxels in another order.
    """
    round_cells(detector)
    with reading(path) as file:
        rows = count_rows(file, "showers")
        whose = f"{detector.name} with {rows} showers"
        energies = check_array(file, path, "showers", (rows, detector.n_cells), whose)
        check_array(file, path, "incident_energies", (rows, 1), whose)
        if _LAYERS in file:
            shapes = [(rows, detector.n_layers), (rows, len(detector.cell_layers))]
            found = getattr(file[_LAYERS], "shape", None)
            check_array(file, path, _LAYERS, shapes[found == shapes[1]], whose)
        yield rows, _blocks(file, path, detector, particle, block_rows([energies]))


def _blocks(file: h5py.File, path: Path, detector: Detector, particle: int, size: int) -> Iterator[Showers]:
    units = UnitCheck("MeV for 'incident_energies' and for 'showers'")
    order = OrderCheck(detector)

    def read(rows: slice) -> Showers:
        layers = file[_LAYERS].astype(np.float32)[rows] if _LAYERS in file else None
        of_slabs = layers is not None and layers.shape[1] == detector.n_layers
        energy = file["incident_energies"][rows, 0].astype(np.float64)
        showers = Showers(
            detector,
            centred_conditions(detector, energy, particle),
            file["showers"].astype(np.float32)[rows],
            layers if of_slabs else None,
        )
        units.add(showers)
        order.add(showers, _of_cell_layers(detector, layers))
        return showers

    length = count_rows(file, "showers")
    for start in range(0, length, size):
        stop = min(start + size, length)
        yield guarded(f"{path}, showers {start} to {stop - 1}", partial(read, slice(start, stop)))
    guarded(str(path), order.finish)


def _of_cell_layers(detector: Detector, layers: NDArray[np.float32] | None) -> NDArray[np.float64] | None:
    if layers is None:
        return None
    if layers.shape[1] == detector.n_layers:
        return cell_layer_energies(detector, layers)
    return layers.astype(np.float64)


def write_calochallenge(path: Path, detector: Detector, blocks: Iterable[Showers], *, overwrite: bool) -> None:
    """Write the file, block by block, and beside it its binning file, of the same name with the ending .xml.

    Raises:
        RequestError: a cell layer is rectangular, an output exists and ``overwrite`` is False, or showers that such a
            file cannot tell: see :class:`caloforge.showers.centred.OneBeam`.
        WorkError: a file cannot be written.
    """
    round_cells(detector)
    xml = path.with_suffix(".xml")
    if xml == path:
        raise RequestError(f"{path}: the binning file gets this name; choose another for the showers, such as .hdf5")
    beam = OneBeam(detector, "calochallenge")
    columns = (
        {"incident_energies": block.conditions.to_file_form().incident_energies, "showers": block.energies}
        for block in beam.only(blocks)
    )
    with atomic_output(xml, overwrite=overwrite) as unfinished:
        write_arrays(path, columns, overwrite=overwrite)
        unfinished.write_text(binning_text(detector, beam.particle), encoding="utf-8")
