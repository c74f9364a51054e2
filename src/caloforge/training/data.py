"""Showers for training: staged once from HDF5 to a memory-mapped array, split by event index."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Conditions, concatenate_conditions, mirror_cells, reflections
from caloforge.errors import RequestError
from caloforge.showers import ShowerFile

STAGED = "energies.npy"


@dataclass(frozen=True)
class Sample:
    """Energies float32 (N, n_cells), MeV, memory-mapped, and their conditions."""

    energies: NDArray[np.float32]
    conditions: Conditions

    @cached_property
    def inputs(self) -> NDArray[np.float32]:
        """(N, C + 1), the conditions as models are given them."""
        return self.conditions.inputs

    def __len__(self) -> int:
        return len(self.conditions)


@dataclass(frozen=True)
class Split:
    """Training events come first in the file, validation events last; nothing is shuffled between them."""

    training: Sample
    validation: Sample


def check_size(file: ShowerFile, validation_events: int) -> None:
    """Raise ``RequestError`` for a file too small to leave as many events for training as for validation."""
    if len(file) < 2 * validation_events:
        raise RequestError(
            f"{file.path} holds {len(file)} showers; with validation_events = {validation_events} at least "
            f"{2 * validation_events} are needed: simulate more, or lower validation_events in the training file"
        )


def stage(file: ShowerFile, folder: Path, validation_events: int, *, folded: bool = True) -> Split:
    """Copy a shower file to ``folder/energies.npy``, a plain array fit for random access, and split it.

    With ``folded`` every shower is reflected into the quadrant of non-negative angles, as far as the detector's
    symmetries allow.
    """
    detector, n = file.detector, len(file)
    energies = np.lib.format.open_memmap(folder / STAGED, mode="w+", dtype=np.float32, shape=(n, detector.n_cells))
    parts: list[Conditions] = []
    start = 0
    for block in file.blocks():
        flips = mirror_flags(block.conditions) if folded else (np.zeros(len(block), dtype=bool),) * 2
        energies[start : start + len(block)] = mirror_cells(block.energies, detector, *flips)
        parts.append(block.conditions.mirrored(*flips))
        start += len(block)
    energies.flush()
    conditions = concatenate_conditions(parts)
    edge = n - validation_events
    return Split(
        Sample(energies[:edge], conditions[:edge]),
        Sample(energies[edge:], conditions[edge:]),
    )


def fold_sample(sample: Sample) -> Sample:
    """A copy, in memory, with every shower reflected as :func:`stage` does."""
    flips = mirror_flags(sample.conditions)
    return Sample(
        mirror_cells(np.asarray(sample.energies), sample.conditions.detector, *flips),
        sample.conditions.mirrored(*flips),
    )


def mirror_flags(conditions: Conditions) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which showers to reflect in x and in y to have no negative angle (position, where it is fixed)."""
    reflected = reflections(conditions.detector)
    none = np.zeros(len(conditions), dtype=bool)
    flip_x, flip_y = (
        conditions.column(reflected[symmetry][0]) < 0 if symmetry in reflected else none
        for symmetry in ("mirror_x", "mirror_y")
    )
    return flip_x, flip_y
