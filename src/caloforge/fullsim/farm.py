"""The parent of processes on this machine: hands out shards, counts events, keeps what is done when one dies."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait

from caloforge.errors import WorkError
from caloforge.fullsim.job import Job
from caloforge.fullsim.process import Geant4Process
from caloforge.fullsim.worker import Task
from caloforge.progress import Advance
from caloforge.runs.work import Shard, Work

_POLL = 0.5  # seconds between looks at the logs where nothing happens


def simulate_shards(
    job: Job,
    work: Work,
    shards: Sequence[Shard],
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
    crew: list[Geant4Process] = []

    def echo(worker: Geant4Process) -> None:
        if verbose:
            sys.stderr.write(worker.news())

    def dismiss(worker: Geant4Process) -> None:
        worker.stop()
        echo(worker)

    try:
        for number in range(min(workers, len(queue))):
            crew.append(Geant4Process(job.detector.toml, job.physics_list, environment, work.log(f"geant4-{number}")))
        while crew:
            ready = wait([worker.connection for worker in crew], timeout=_POLL)
            for worker in list(crew):
                echo(worker)
                if worker.connection not in ready:
                    continue
                try:
                    kind, *content = worker.receive()
                    if kind == "events":
                        advance(content[0])
                    elif queue:
                        start, stop = queue.popleft()
                        worker.send(Task(start, job.conditions(start, stop), job.seed, work.shard(start, stop)))
                    else:
                        dismiss(worker)
                        crew.remove(worker)
                except WorkError as error:
                    raise WorkError(f"{error}; {work.kept()}; Geant4's log: {worker.log}") from error
    finally:
        for worker in crew:
            dismiss(worker)
