"""A request for full simulation, checked as a whole before Geant4 starts."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.detector import (
    Conditions,
    Detector,
    Energy,
    Mixture,
    Particle,
    check_particles,
    draw_conditions,
    from_file_form,
    load_detector,
)
from caloforge.errors import MissingExtraError, RequestError
from caloforge.fullsim.physics import choose_physics
from caloforge.random import check_seed
from caloforge.runs.work import Shard, cut
from caloforge.showers.asked import asked_conditions
from caloforge.units import describe

BINDINGS = "geant4_pybind"
SHARD = 25
"""Events of a shard: the stretches a run is cut into, and the most that an interruption costs a worker."""


@dataclass(frozen=True)
class Job:
    """What to simulate: ``n`` events of a seed, with drawn conditions or the ``given`` ones.

    The physics list is chosen for the job as a whole, so that an event does not depend on its neighbours.
    """

    detector: Detector
    n: int
    seed: int
    given: Conditions | None
    mixture: Mixture
    energy: Energy | None
    physics_list: str

    def conditions(self, start: int, stop: int) -> Conditions:
        """Return the conditions of the events ``start`` to ``stop``."""
        if self.given is not None:
            return self.given[start:stop]
        return draw_conditions(self.detector, self.seed, start, stop - start, self.mixture, self.energy)

    def shards(self) -> list[Shard]:
        """Return the first event and the end of each shard, in order."""
        return cut(self.n, SHARD)

    def identity(self) -> dict[str, Any]:
        """Return all that an event depends on besides its number and Geant4's tables, as JSON has it."""
        given = None if self.given is None else self.given.digest
        return {
            "detector": self.detector.digest,
            "seed": self.seed,
            "conditions": given,
            "particle": self.mixture.to_json() if given is None else None,
            "energy": list(self.energy) if isinstance(self.energy, tuple) else self.energy,
            "physics": self.physics_list,
            "bindings": f"{BINDINGS} {version(BINDINGS)}",
        }


def make_job(
    detector: str | Path | Detector,
    n: int | None,
    *,
    seed: int,
    like: str | Path | None,
    energy: Energy | None,
    particle: Particle | None,
) -> Job:
    """Check everything that can be checked without Geant4 and return the job.

    Raises:
        RequestError: any of the values is wrong; ``FormatError`` for a file, ``MissingExtraError`` without Geant4.
    """
    described = load_detector(detector)
    check_seed(seed)
    n, given = asked_conditions(
        described,
        n,
        like,
        narrowed=energy is not None or particle is not None,
        check=lambda theirs, name: _check_same_conditions(theirs, described, name),
    )
    mixture = Mixture.of(described.particles[0] if particle is None else particle)
    check_particles(described, mixture.codes)
    physics_list = choose_physics(described, mixture.codes if given is None else given.pdg.tolist())
    job = Job(described, n, seed, given, mixture, energy, physics_list)
    _check_conditions(job)
    if importlib.util.find_spec(BINDINGS) is None:  # importing it here would start Geant4
        raise MissingExtraError(
            f"full simulation needs the package {BINDINGS!r}, which is not installed: pip install 'caloforge[fullsim]'"
        )
    return job


def _check_same_conditions(theirs: Detector, detector: Detector, name: str) -> None:
    if theirs.condition_names != detector.condition_names:
        raise RequestError(
            f"{name} has the conditions {', '.join(theirs.condition_names)}; "
            f"{detector.name} needs {', '.join(detector.condition_names)}"
        )


def _check_conditions(job: Job) -> None:
    """Refuse conditions that are no particle entering the face."""
    detector = job.detector
    first = job.conditions(0, 1)  # refuses a range of energies that is none
    form = first.to_file_form()
    # Refuses a condition that a primary particle does not have.
    from_file_form(detector, form.incident_energies, form.momentum, form.position, form.pdg)
    given = job.given.matrix if job.given is not None else np.stack([detector.low, detector.high])
    width, height = detector.face
    limits = {"x": width / 2, "y": height / 2}
    for name in set(limits) & set(detector.condition_names):
        column = given[:, detector.column(name)]
        worst = float(column[np.abs(column).argmax()]) if len(column) else 0.0
        if abs(worst) >= limits[name]:
            unit = detector.conditions[detector.column(name)].unit
            raise RequestError(
                f"a particle with {name} {describe(worst, unit)} does not enter the face of {detector.name}; "
                f"it must lie within +-{describe(limits[name], unit)}"
            )
