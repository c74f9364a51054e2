"""The folder of an unfinished run, beside its output: shards, logs, and what they belong to; it outlives any kill."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.detector import Conditions
from caloforge.errors import FormatError, RequestError, WorkError
from caloforge.showers import ShowerFile
from caloforge.showers.atomic import check_output, no_place

Shard = tuple[int, int]
"""The first event of a shard and its end."""

_KEPT = ("shard-*.h5", "*.log")
_OURS = (*_KEPT, ".*.partial-*", "whole.h5", "job.json")


def cut(n: int, size: int) -> list[Shard]:
    """Return the shards of a run of ``n`` events, in order, each of ``size`` events but the last.

    >>> cut(60, 25)
    [(0, 25), (25, 50), (50, 60)]
    """
    return [(start, min(start + size, n)) for start in range(0, n, size)]


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

    def log(self, name: str) -> Path:
        """Return the file for what a program prints that works for the run."""
        return self.folder / f"{name}.log"

    def kept(self) -> str:
        """Return the end of an error message: what stays."""
        return f"the finished showers are kept in {self.folder}, from where the same command goes on"

    def missing(
        self, shards: Sequence[Shard], conditions: Callable[[int, int], Conditions], facts: Set[str]
    ) -> list[Shard]:
        """Return those of the ``shards`` that are still to be made; removes damaged ones.

        Args:
            conditions: gives those of the events from a first one to an end.
            facts: what the provenance of a shard has to name.
        """
        missing = []
        for start, stop in shards:
            path = self.shard(start, stop)
            if path.exists() and _is_sound(path, conditions(start, stop), facts):
                continue
            path.unlink(missing_ok=True)
            missing.append((start, stop))
        return missing

    @contextmanager
    def whole(self, *, overwrite: bool) -> Iterator[Path]:
        """Hand out a path for the shards joined; when the block ends well, the file there gets the name of the output.

        Raises:
            RequestError: the output appeared meanwhile.
            WorkError: that of the block, with what is kept.
        """
        path = self.folder / "whole.h5"
        try:
            yield path
        except WorkError as error:
            raise WorkError(f"{error}; {self.kept()}") from error
        check_output(self._output, overwrite=overwrite)
        path.replace(self._output)
        self.clear()

    def clear(self) -> None:
        """Remove what a run left in the folder, first of all the note of what it belonged to."""
        (self.folder / "job.json").unlink(missing_ok=True)
        for pattern in _OURS:
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)


def _is_sound(path: Path, conditions: Conditions, facts: Set[str]) -> bool:
    try:
        with ShowerFile(path) as file:
            if len(file) != len(conditions) or not facts <= set(file.provenance):
                return False
            blocks = file.blocks(file.block_rows)
            found = np.concatenate([block.conditions.column("energy").astype(np.float32) for block in blocks])
    except FormatError:
        return False
    return bool(np.array_equal(found, conditions.to_file_form().incident_energies[:, 0]))


@contextmanager
def open_work(output: Path, identity: Mapping[str, Any], *, overwrite: bool) -> Iterator[Work]:
    """Hold the work folder of ``output``: a new one, or that of an interrupted run with the same identity.

    It is removed at the end of the block, unless that ends with an error and there are shards or logs in it.

    Raises:
        RequestError: another process works in it, or it belongs to a run with other settings and ``overwrite`` is
            False; names what differs.
        WorkError: the folder cannot be made or written.
    """
    folder = work_folder(output)
    work = Work(folder, output)
    try:
        folder.mkdir(exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise no_place(output.parent, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RequestError(f"another process is making {output}; wait for it, or stop it") from error
        _claim(work, json.loads(json.dumps(identity)), overwrite=overwrite)
        try:
            yield work
        finally:
            if not any(path for pattern in _KEPT for path in folder.glob(pattern)):
                work.clear()
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
        try:
            note.write_text(json.dumps(identity, indent=2), encoding="utf-8")
        except OSError as error:
            raise no_place(work.folder, error) from error
    for path in work.folder.glob(".*.partial-*"):
        path.unlink(missing_ok=True)
