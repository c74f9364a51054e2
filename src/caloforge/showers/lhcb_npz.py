"""The npz layout of the LHCb calorimeter data sets.

Arrays: ``EnergyDeposit`` (N, nx, ny, 1), ``ParticleMomentum`` (N, 3), ``ParticlePoint`` (N, 2), ``ParticlePDG`` (N,).
The layout carries no units: MeV and mm are written, and assumed on reading. The energy of a particle is |momentum|.
It has no place for what else our own files hold: see ``NO_PLACE_FOR``, and flags of extrapolation.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Conditions, Detector, concatenate_conditions, from_file_form
from caloforge.errors import FormatError, RequestError
from caloforge.showers.atomic import atomic_output
from caloforge.showers.container import Showers, check_unflagged, no_showers

NO_PLACE_FOR = ("detector", "layer_energies", "absorber_energies", "weights", "source", "provenance")
_NAMES = ("EnergyDeposit", "ParticleMomentum", "ParticlePoint", "ParticlePDG")


def read_lhcb_npz(path: str | Path, detector: Detector) -> Showers:
    """All showers of an npz file, in memory; the file does not name its detector, so it is given.

    Raises:
        FormatError: the file is missing, damaged, holds pickled objects, lacks an array, or does not fit the detector.
    """
    path = Path(path)
    arrays = _read_arrays(path)
    nx, ny = detector.cells.shape
    energies = arrays["EnergyDeposit"]
    if energies.shape[1:] not in ((nx, ny, 1), (nx, ny)):
        raise FormatError(
            f"{path}: 'EnergyDeposit' has shape {energies.shape}; {detector.name} needs (N, {nx}, {ny}, 1)"
        )
    try:
        momentum = np.asarray(arrays["ParticleMomentum"], dtype=np.float64)
        energy = np.linalg.norm(momentum, axis=-1)
        conditions = from_file_form(detector, energy, momentum, arrays["ParticlePoint"], arrays["ParticlePDG"])
        return Showers(detector, conditions, energies.reshape(-1, detector.n_cells))
    except (RequestError, ValueError) as error:
        raise FormatError(f"{path}: {error}") from error


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        # Opened here, because numpy leaves a file open that turns out to be cut.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            missing = [name for name in _NAMES if name not in file.files]
            if missing:
                raise FormatError(
                    f"{path}: lacks the array {missing[0]!r}; the LHCb npz layout has {', '.join(_NAMES)}"
                )
            return {name: file[name] for name in _NAMES}
    except FileNotFoundError as error:
        raise FormatError(f"{path}: no such file") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(f"{path}: not a readable npz file ({error})") from error


def write_lhcb_npz(
    path: str | Path, detector: Detector, length: int, blocks: Iterable[Showers], *, overwrite: bool = False
) -> None:
    """Write blocks, ``length`` showers of ``detector`` together, to a compressed npz file; memory holds one block.

    Raises:
        RequestError: the output exists and ``overwrite`` is False, its folder does not exist, the blocks hold more or
            fewer showers, or some are extrapolated, which the layout cannot tell.
    """
    conditions: list[Conditions] = []
    header = {"descr": "<f4", "fortran_order": False, "shape": (length, *detector.cells.shape, 1)}
    with (
        atomic_output(path, overwrite=overwrite) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        with archive.open(f"{_NAMES[0]}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for block in blocks:
                check_unflagged(block, "lhcb-npz")
                conditions.append(block.conditions)
                member.write(np.ascontiguousarray(block.energies, dtype="<f4").tobytes())
        if sum(map(len, conditions)) != length:
            raise RequestError(f"announced {length} showers, got {sum(map(len, conditions))}")
        form = concatenate_conditions([no_showers(detector).conditions, *conditions]).to_file_form()
        for name, array in zip(_NAMES[1:], (form.momentum, form.position, form.pdg), strict=True):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
