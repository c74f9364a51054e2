"""A process with a Geant4 of its own, as its parent sees it: started, given tasks, and its death explained."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from caloforge.errors import WorkError
from caloforge.fullsim.log import last_words
from caloforge.fullsim.worker import Task

_PROGRAM = "from caloforge.fullsim.worker import work; work()"


class Geant4Process:
    """A new process of :func:`caloforge.fullsim.worker.work`; it ends when this one does.

    A program of its own and not a child of ``multiprocessing``: those may not have children, and Dask's workers are
    such; and they would run the user's script once more.

    Args:
        toml: the detector.
        physics_list: what to simulate it with.
        environment: variables that tell Geant4 where its tables are.
        log: the file for all that Geant4 prints.
    """

    def __init__(self, toml: str, physics_list: str, environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._read = 0
        self.connection, theirs = Pipe()
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        with theirs, log.open("wb") as output, _ctrl_c_waits():
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **environment, "PYTHONPATH": path},
                pass_fds=[theirs.fileno()],
            )
        with suppress(OSError):  # it is dead already, which receive() will explain
            self.connection.send((toml, physics_list))

    def send(self, task: Task) -> None:
        """Hand over the next task.

        Raises:
            WorkError: the process died; says why.
        """
        try:
            self.connection.send(task)
        except OSError as error:
            raise self._death() from error

    def receive(self) -> tuple[Any, ...]:
        """Wait for the next message (see :mod:`caloforge.fullsim.worker`).

        Raises:
            WorkError: the process failed or died, with the message of Geant4.
        """
        try:
            message: tuple[Any, ...] = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if message[0] == "failed":
            raise WorkError(message[1])
        return message

    def news(self) -> str:
        """Return what was printed since the last call."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        self._read += len(text)
        return text.decode(errors="replace")

    def stop(self) -> None:
        """End the process at once: a kill spares the clean-up of Geant4 at the end of a process, which may crash."""
        self._process.kill()
        self._process.wait()
        self.connection.close()

    def _death(self) -> WorkError:
        code = self._process.wait()
        if -code in (signal.SIGKILL, signal.SIGTERM):
            return WorkError(f"a worker process was killed ({signal.Signals(-code).name}; out of memory?)")
        end = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return WorkError(f"Geant4 ended its process ({end}): {last_words(self.log)}")


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block; processes started in it are born deaf to it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
