"""What enters the detector: one particle an event, with the seed of everything that happens to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Conditions
from caloforge.random import uniforms

STREAM = "fullsim"


@dataclass(frozen=True, eq=False)
class Primaries:
    """N primaries.

    Attributes:
        events: int64 (N,), their event numbers.
        seeds: int64 (N,), seeds of Geant4's random numbers.
        pdg: int32 (N,), PDG codes.
        energies: float64 (N,), kinetic energies in MeV.
        directions: float64 (N, 3), unit vectors.
        positions: float64 (N, 2), where they enter the face, mm.
    """

    events: NDArray[np.int64]
    seeds: NDArray[np.int64]
    pdg: NDArray[np.int32]
    energies: NDArray[np.float64]
    directions: NDArray[np.float64]
    positions: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.events)


def make_primaries(conditions: Conditions, seed: int, start: int) -> Primaries:
    """The primaries of the events ``start`` .. ``start + len(conditions)``.

    They are the conditions as a file holds them, rounded to float32, so a file says exactly what was simulated.
    """
    form = conditions.to_file_form()
    momentum = form.momentum.astype(np.float64)
    return Primaries(
        events=np.arange(start, start + len(conditions)),
        seeds=event_seeds(seed, start, len(conditions)),
        pdg=form.pdg,
        energies=form.incident_energies[:, 0].astype(np.float64),
        directions=momentum / np.linalg.norm(momentum, axis=1, keepdims=True),
        positions=form.position.astype(np.float64),
    )


def event_seeds(seed: int, start: int, count: int) -> NDArray[np.int64]:
    """Seeds in 1 .. 2^62 - 1, one an event; a seed depends on the run's seed and the event's number only.

    >>> bool(event_seeds(7, 0, 100)[42] == event_seeds(7, 42, 1)[0])
    True
    """
    high, low = (uniforms(seed, STREAM, start, count, 2) * 2**31).astype(np.int64).T
    seeds: NDArray[np.int64] = np.maximum((high << 31) | low, 1)
    return seeds
