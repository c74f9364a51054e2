"""Showers for training: staged once from HDF5 to a memory-mapped array, split by event index."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Conditions, Detector, concatenate_conditions, mirror_cells
from caloforge.errors import RequestError
from caloforge.showers import ShowerFile


@dataclass(frozen=True)
class Sample:
    """Energies float32 (N, n_cells), MeV, memory-mapped, and their conditions."""

    energies: NDArray[np.float32]
    conditions: Conditions

    def __len__(self) -> int:
        return len(self.conditions)


@dataclass(frozen=True)
class Split:
    """Training events come first in the file, validation events last; nothing is shuffled between them."""

    training: Sample
    validation: Sample


def stage(file: ShowerFile, folder: Path, validation_events: int, *, fold: bool) -> Split:
    """Copy a shower file to ``folder/energies.npy``, a plain array fit for random access, and split it.

    Args:
        fold: reflect every shower into the quadrant of non-negative angles, with the detector's mirror symmetries.

    Raises:
        RequestError: the file is too small to leave more events for training than for validation.
    """
    detector, n = file.detector, len(file)
    if n < 2 * validation_events:
        raise RequestError(
            f"{file.path} holds {n} showers; with validation_events = {validation_events} at least "
            f"{2 * validation_events} are needed: simulate more, or lower validation_events in the training file"
        )
    energies = np.lib.format.open_memmap(
        folder / "energies.npy", mode="w+", dtype=np.float32, shape=(n, detector.n_cells)
    )
    parts: list[Conditions] = []
    start = 0
    for block in file.blocks():
        conditions, cells = block.conditions, block.energies
        if fold:
            flip_x, flip_y = mirror_flags(conditions)
            conditions, cells = conditions.mirrored(flip_x, flip_y), mirror_cells(cells, detector, flip_x, flip_y)
        energies[start : start + len(block)] = cells
        parts.append(conditions)
        start += len(block)
    energies.flush()
    conditions = concatenate_conditions(parts)
    edge = n - validation_events
    return Split(
        Sample(energies[:edge], conditions[:edge]),
        Sample(energies[edge:], conditions[edge:]),
    )


def mirror_flags(conditions: Conditions) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which showers to reflect in x and in y to have no negative angle, as the detector's symmetries allow."""
    detector: Detector = conditions.detector
    none = np.zeros(len(conditions), dtype=bool)
    flip_x = conditions.column("angle_xz") < 0 if "mirror_x" in detector.symmetries else none
    flip_y = conditions.column("angle_yz") < 0 if "mirror_y" in detector.symmetries else none
    return flip_x, flip_y
