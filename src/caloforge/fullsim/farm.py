"""The parent of the workers: hands out shards, counts events, and turns the death of a Geant4 into an error."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from caloforge.errors import WorkError
from caloforge.fullsim.job import Job
from caloforge.fullsim.log import last_words
from caloforge.fullsim.work import Work
from caloforge.fullsim.worker import Task, work
from caloforge.progress import Advance

_POLL = 0.5  # seconds between looks at the logs where nothing happens


def simulate_shards(
    job: Job,
    folder: Work,
    shards: Sequence[tuple[int, int]],
    *,
    workers: int,
    environment: Mapping[str, str],
    advance: Advance,
    verbose: bool,
) -> None:
    """Make the ``shards`` of a job in ``workers`` new processes, each with a Geant4 of its own.

    Args:
        environment: variables that tell Geant4 where its tables are.
        advance: told how many more events are done.
        verbose: copy what Geant4 prints to the error stream.

    Raises:
        WorkError: a worker failed or died, with the message of Geant4; the shards made so far stay.
    """
    queue = deque(shards)
    crew: list[_Worker] = []
    try:
        for number in range(min(workers, len(queue))):
            log = folder.folder / f"geant4-{number}.log"
            crew.append(_Worker(job, environment, log, verbose=verbose))
        while crew:
            ready = wait([worker.connection for worker in crew], timeout=_POLL)
            for worker in list(crew):
                worker.echo()
                if worker.connection not in ready:
                    continue
                kind, *content = worker.receive(folder)
                if kind == "failed":
                    raise WorkError(f"{content[0]}; {_kept(folder, worker.log)}")
                if kind == "events":
                    advance(content[0])
                elif queue:
                    start, stop = queue.popleft()
                    worker.send(Task(start, job.conditions(start, stop), job.seed, folder.shard(start, stop)), folder)
                else:
                    worker.stop()
                    crew.remove(worker)
    finally:
        for worker in crew:
            worker.stop()


class _Worker:
    def __init__(self, job: Job, environment: Mapping[str, str], log: Path, *, verbose: bool) -> None:
        self.log = log
        log.unlink(missing_ok=True)
        self._verbose = verbose
        self._echoed = 0
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, job.detector.toml, job.physics_list, dict(environment), log)
        self._process = context.Process(target=work, args=arguments, daemon=True)
        with _ctrl_c_waits():
            self._process.start()
        theirs.close()  # else its end would not be seen here

    def send(self, task: Task, folder: Work) -> None:
        try:
            self.connection.send(task)
        except OSError as error:
            raise self._death(folder) from error

    def receive(self, folder: Work) -> tuple[Any, ...]:
        try:
            message: tuple[Any, ...] = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._death(folder) from error
        return message

    def echo(self) -> None:
        if not self._verbose or not self.log.exists():
            return
        with self.log.open("rb") as file:
            file.seek(self._echoed)
            text = file.read()
        self._echoed += len(text)
        sys.stderr.write(text.decode(errors="replace"))

    def stop(self) -> None:
        # Its shards are in place; a kill spares the clean-up of Geant4 at the end of a process, which may crash.
        self._process.kill()
        self._process.join()
        self.echo()
        self.connection.close()

    def _death(self, folder: Work) -> WorkError:
        self._process.join()
        code = self._process.exitcode or 0
        if not self.log.exists():
            return WorkError(
                f"a worker process ended before it began (exit code {code}). A script that simulates needs its calls "
                f"under: if __name__ == '__main__':"
            )
        kept = _kept(folder, self.log)
        if -code in (signal.SIGKILL, signal.SIGTERM):
            return WorkError(f"a worker process was killed ({signal.Signals(-code).name}; out of memory?); {kept}")
        end = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return WorkError(f"Geant4 ended its process ({end}): {last_words(self.log)}; {kept}")


def _kept(folder: Work, log: Path) -> str:
    return f"the finished showers are kept in {folder.folder}, from where the same command goes on; Geant4's log: {log}"


@contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block; processes started in it are born deaf to it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
