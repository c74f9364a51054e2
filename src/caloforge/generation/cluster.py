"""The showers of a request made on a Dask cluster, in shards that are joined without being unpacked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caloforge.clusters import Cluster
from caloforge.generation.remote import make_order, versions
from caloforge.generation.request import Request
from caloforge.progress import progress_bar
from caloforge.runs.cluster import make_shards_on_cluster
from caloforge.runs.work import Work, open_work
from caloforge.showers import ShowerFile, ShowerWriter

_FACTS = {"seconds", "model_seconds", "thread"}


def generate_on_cluster(
    request: Request,
    engine: str,
    output: Path,
    cluster: Cluster,
    facts: Mapping[str, Any],
    *,
    overwrite: bool,
    progress: bool,
) -> None:
    """Write the showers of a request, checked before; go on from what an interrupted call left.

    Args:
        facts: the provenance of the output; times and the number of workers are added.

    Raises:
        RequestError: the cluster does not answer, one of its workers has other versions, or an unfinished run had other
            settings.
        WorkError: the model failed, or the disk is full; the shards made so far stay.
    """
    with open_work(output, _identity(request, engine), overwrite=overwrite) as work, cluster.connect() as client:
        missing = work.missing(request.shards(), request.conditions, _FACTS)
        done = request.n - sum(stop - start for start, stop in missing)
        with progress_bar("generating", request.n, show=progress, done=done) as advance:
            make_shards_on_cluster(
                client,
                work,
                missing,
                module="caloforge.generation.remote",
                extras="cluster",
                order=lambda start, stop: make_order(request, engine, start, stop),
                shared=request.bundle.path.read_bytes(),
                advance=advance,
            )
        _merge(work, request, facts, overwrite=overwrite)


def _identity(request: Request, engine: str) -> dict[str, Any]:
    """All that a shard depends on besides its events' numbers, as JSON has it."""
    given = None if request.given is None else request.given.digest
    return {
        "model": request.bundle.digest,
        "detector": request.detector.digest,
        "seed": request.seed,
        "conditions": given,
        "particle": request.mixture.to_json() if given is None else None,
        "energy": list(request.energy) if isinstance(request.energy, tuple) else request.energy,
        "allow_extrapolation": request.allow_extrapolation,
        "engine": engine,
        "versions": versions(engine),
    }


def _merge(work: Work, request: Request, facts: Mapping[str, Any], *, overwrite: bool) -> None:
    seconds = inside = 0.0
    threads: set[str] = set()
    with (
        work.whole(overwrite=overwrite) as whole,
        ShowerWriter(whole, request.detector, source="model", provenance=facts, overwrite=True) as writer,
    ):
        for start, stop in request.shards():
            with ShowerFile(work.shard(start, stop)) as file:
                writer.append_file(file)
                seconds += file.provenance["seconds"]
                inside += file.provenance["model_seconds"]
                threads.add(file.provenance["thread"])
        writer.note(
            workers=len(threads),
            seconds_per_shower_core=seconds / request.n,
            model_seconds_per_shower_core=inside / request.n,
        )
