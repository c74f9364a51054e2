"""The shards of a job joined to its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caloforge.fullsim.job import Job
from caloforge.runs.work import Work
from caloforge.showers import ShowerFile, Showers, ShowerWriter, concatenate

_BLOCK = 2560  # showers merged at a time, a multiple of the rows of a chunk


def merge(work: Work, job: Job, facts: Mapping[str, Any], *, overwrite: bool) -> None:
    """Join the shards in order and give the result the name of the output.

    Raises:
        RequestError: the output appeared meanwhile.
        WorkError: the disk is full.
    """
    seconds = 0.0
    versions: set[str] = set()
    with (
        work.whole(overwrite=overwrite) as whole,
        ShowerWriter(whole, job.detector, source="geant4", provenance=facts, overwrite=True) as writer,
    ):
        waiting: list[Showers] = []
        for start, stop in job.shards():
            with ShowerFile(work.shard(start, stop)) as file:
                waiting.append(file.read())
                seconds += file.provenance["seconds"]
                versions.add(file.provenance["geant4"])
            if stop == job.n or sum(map(len, waiting)) >= _BLOCK:
                _append(writer, waiting, job, stop)
                waiting = []
        writer.note(geant4=", ".join(sorted(versions)), seconds_per_event_core=seconds / job.n)


def _append(writer: ShowerWriter, parts: Sequence[Showers], job: Job, stop: int) -> None:
    showers = concatenate(parts)
    # The conditions as drawn, so that the file does not depend on a rounding on the way through the shards.
    conditions = job.conditions(stop - len(showers), stop)
    writer.append(
        Showers(job.detector, conditions, showers.energies, showers.layer_energies, showers.absorber_energies)
    )
