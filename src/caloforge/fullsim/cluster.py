"""The shards of a job made on a Dask cluster, each of whose threads holds a Geant4 process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from caloforge.errors import WorkError
from caloforge.fullsim.job import Job
from caloforge.fullsim.remote import make_order
from caloforge.progress import Advance
from caloforge.runs.cluster import make_shards_on_cluster
from caloforge.runs.work import Shard, Work

if TYPE_CHECKING:
    from distributed import Client


def simulate_shards_on_cluster(
    job: Job,
    work: Work,
    shards: Sequence[Shard],
    *,
    client: Client,
    tables: str,
    advance: Advance,
    verbose: bool,
) -> None:
    """Make the ``shards`` of a job as :func:`caloforge.runs.cluster.make_shards_on_cluster` does.

    Args:
        tables: description of Geant4's tables here; those of a worker must have the same.
        advance: told how many more events are done.
        verbose: copy what Geant4 prints to the error stream.

    Raises:
        RequestError: a worker lacks CaloForge or Geant4, or has other versions or tables.
        WorkError: Geant4 failed, with its message, or the scheduler is lost; the shards made so far stay.
    """
    log = work.log("geant4-cluster")
    log.touch()

    def hear(printed: str) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write(printed)
        if verbose:
            sys.stderr.write(printed)

    try:
        make_shards_on_cluster(
            client,
            work,
            shards,
            module="caloforge.fullsim.remote",
            extras="fullsim,cluster",
            order=lambda start, stop: make_order(job, tables, start, stop),
            hear=hear,
            advance=advance,
        )
    except WorkError as error:
        raise WorkError(f"{error}; Geant4's log: {log}") from error
