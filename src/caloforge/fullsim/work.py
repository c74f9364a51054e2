"""The folder of an unfinished run, beside its output: shards, logs, and what they belong to; it outlives any kill."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.errors import FormatError, RequestError
from caloforge.fullsim.job import Job
from caloforge.showers import ShowerFile, Showers, ShowerWriter, concatenate
from caloforge.showers.atomic import check_output

_OURS = ("shard-*.h5", ".*.partial-*", "geant4-*.log", "whole.h5", "job.json")
_BLOCK = 2560  # showers merged at a time, a multiple of the rows of a chunk


def work_folder(output: Path) -> Path:
    """Where the unfinished run of ``output`` lives."""
    return output.with_name(f".{output.name}.work")


class Work:
    """The work folder of a run, held by this process; made by :func:`open_work`."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder = folder
        self._output = output

    def shard(self, start: int, stop: int) -> Path:
        """Return the file of the events ``start`` to ``stop``."""
        return self.folder / f"shard-{start:09}-{stop:09}.h5"

    def log(self, worker: int | str) -> Path:
        """Return the file for what the Geant4 of a worker prints."""
        return self.folder / f"geant4-{worker}.log"

    def kept(self, log: Path) -> str:
        """Return the end of an error message: what stays, and where Geant4's ``log`` is."""
        return (
            f"the finished showers are kept in {self.folder}, from where the same command goes on; Geant4's log: {log}"
        )

    def missing(self, job: Job) -> list[tuple[int, int]]:
        """Return the shards still to be made; removes damaged ones."""
        missing = []
        for start, stop in job.shards():
            path = self.shard(start, stop)
            if path.exists() and _is_sound(path, job, start, stop):
                continue
            path.unlink(missing_ok=True)
            missing.append((start, stop))
        return missing

    def merge(self, job: Job, facts: Mapping[str, Any], *, overwrite: bool) -> None:
        """Join the shards in order and give the result the name of the output.

        Raises:
            RequestError: the output appeared meanwhile.
            WorkError: the disk is full.
        """
        whole = self.folder / "whole.h5"
        seconds = 0.0
        versions: set[str] = set()
        with ShowerWriter(whole, job.detector, source="geant4", provenance=facts, overwrite=True) as writer:
            waiting: list[Showers] = []
            for start, stop in job.shards():
                with ShowerFile(self.shard(start, stop)) as file:
                    waiting.append(file.read())
                    seconds += file.provenance["seconds"]
                    versions.add(file.provenance["geant4"])
                if stop == job.n or sum(map(len, waiting)) >= _BLOCK:
                    _append(writer, waiting, job, stop)
                    waiting = []
            writer.note(geant4=", ".join(sorted(versions)), seconds_per_event_core=seconds / job.n)
        check_output(self._output, overwrite=overwrite)
        whole.replace(self._output)
        self.clear()

    def clear(self) -> None:
        """Remove what a run left in the folder, first of all the note of what it belonged to."""
        (self.folder / "job.json").unlink(missing_ok=True)
        for pattern in _OURS:
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)


def _append(writer: ShowerWriter, parts: Sequence[Showers], job: Job, stop: int) -> None:
    showers = concatenate(parts)
    # The conditions as drawn, so that the file does not depend on a rounding on the way through the shards.
    conditions = job.conditions(stop - len(showers), stop)
    writer.append(
        Showers(job.detector, conditions, showers.energies, showers.layer_energies, showers.absorber_energies)
    )


def _is_sound(path: Path, job: Job, start: int, stop: int) -> bool:
    try:
        with ShowerFile(path) as file:
            if len(file) != stop - start or not {"seconds", "geant4"} <= set(file.provenance):
                return False
            showers = file.read()
    except FormatError:
        return False
    expected = job.conditions(start, stop).to_file_form()
    return showers.layer_energies is not None and bool(
        np.array_equal(showers.conditions.column("energy").astype(np.float32), expected.incident_energies[:, 0])
    )


@contextmanager
def open_work(output: Path, identity: Mapping[str, Any], *, overwrite: bool) -> Iterator[Work]:
    """Hold the work folder of ``output``: a new one, or that of an interrupted run with the same identity.

    The folder stays when the block ends with an error, so that the work done in it is kept; else it is removed.

    Raises:
        RequestError: another process works in it, or it belongs to a run with other settings and ``overwrite`` is
            False; names what differs.
    """
    folder = work_folder(output)
    folder.mkdir(exist_ok=True)
    work = Work(folder, output)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RequestError(f"another process is simulating into {output}; wait for it, or stop it") from error
        _claim(work, json.loads(json.dumps(identity)), overwrite=overwrite)
        yield work
        (folder / "lock").unlink()
    with suppress(OSError):  # somebody put a file of their own in it
        folder.rmdir()


def _claim(work: Work, identity: Mapping[str, Any], *, overwrite: bool) -> None:
    note = work.folder / "job.json"
    try:
        before = json.loads(note.read_text(encoding="utf-8")) if note.exists() else None
    except ValueError:
        before = None  # cut short by a kill before any work was done
    if before is not None and before != identity:
        if not overwrite and any(work.folder.glob("shard-*.h5")):
            names = sorted(name for name in {*before, *identity} if before.get(name) != identity.get(name))
            raise RequestError(
                f"{work.folder} holds an unfinished run with another {' and '.join(names)}; give the same settings to "
                f"finish it, or pass --overwrite (overwrite=True) to throw it away"
            )
        before = None
    if before is None:
        work.clear()
        note.write_text(json.dumps(identity, indent=2), encoding="utf-8")
    for path in work.folder.glob(".*.partial-*"):
        path.unlink(missing_ok=True)
