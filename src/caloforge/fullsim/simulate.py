"""From a detector to a file of Geant4 showers: several processes, resumed after any interruption."""

from __future__ import annotations

import platform
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from caloforge.clusters import read_cluster
from caloforge.detector import DEFAULT_DETECTOR, Detector, Energy, Particle
from caloforge.detector.materials import elements_of
from caloforge.errors import RequestError
from caloforge.fullsim.cluster import simulate_shards_on_cluster
from caloforge.fullsim.farm import simulate_shards
from caloforge.fullsim.job import Job, make_job
from caloforge.fullsim.merge import merge
from caloforge.fullsim.physics_data import PhysicsData, prepare_physics_data
from caloforge.processes import available_cores
from caloforge.progress import progress_bar
from caloforge.runs.work import open_work
from caloforge.showers.asked import source_name
from caloforge.showers.atomic import check_output


def simulate(
    detector: str | Path | Detector = DEFAULT_DETECTOR,
    n: int | None = None,
    *,
    output: str | Path,
    seed: int = 0,
    like: str | Path | None = None,
    energy: Energy | None = None,
    particle: Particle | None = None,
    workers: int | None = None,
    cluster: str | Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
    verbose: bool = False,
) -> Path:
    """Simulate showers in full with Geant4.

    Event i of a seed is the same alone, in a run of any length and on any worker, bit for bit. Primaries start
    0.01 mm before the face in vacuum; the incident energy is their kinetic energy. An interrupted call, be it by
    Ctrl-C, kill -9 or a crash of Geant4, leaves its finished showers in the folder ``.NAME.work`` beside the output;
    the same call goes on from there and writes the same showers as an undisturbed one.

    Args:
        detector: name of a shipped detector, path of a TOML file, or a detector.
        n: how many showers; with ``like`` the first n of its conditions, all by default.
        output: the HDF5 file to write, with energies of cells, layers and absorbers.
        seed: of conditions and of Geant4.
        like: take the conditions of this file instead of drawing them from the detector's densities: a file of
            showers, or a table of conditions in CSV, parquet or ROOT (``file.root:tree``).
        energy: fix the incident energy, or narrow its range to (low, high); MeV.
        particle: PDG code, or the weight of each code of a mixture, such as ``{11: 3, 211: 1}``; the detector's first
            by default. Where the detector names no physics list, the particles decide it.
        workers: processes, each with a Geant4 of its own; as many as this process may use cores by default.
        cluster: do it on a Dask cluster instead: the address of a scheduler, such as ``tcp://host:8786``, or a YAML
            file that describes batch jobs (:func:`caloforge.clusters.read_cluster`). The showers are the same.
        overwrite: replace an existing output, and throw away an unfinished run with other settings.
        progress: draw a bar on the error stream.
        verbose: copy what Geant4 prints to the error stream.

    Returns:
        The path of the output.

    Raises:
        RequestError: a wrong value, before Geant4 starts, a cluster that does not answer, or one of its workers with
            other versions or tables; ``MissingExtraError`` without the extra ``fullsim``, or ``cluster``.
        WorkError: Geant4 ended with an error, a worker was killed, or the disk is full.
    """
    output = check_output(output, overwrite=overwrite)
    if workers is not None and cluster is not None:
        raise RequestError(
            "workers are processes on this machine, of which a cluster needs none; leave out one of them"
        )
    if workers is None:
        workers = available_cores()
    if workers < 1:
        raise RequestError(f"workers must be at least 1; got {workers}")
    where = None if cluster is None else read_cluster(cluster)
    job = make_job(detector, n, seed=seed, like=like, energy=energy, particle=particle)
    data = prepare_physics_data(job.physics_list, sorted(elements_of(job.detector)))
    identity = job.identity() | {"tables": data.description}
    with ExitStack() as stack:
        work = stack.enter_context(open_work(output, identity, overwrite=overwrite))
        client = None if where is None else stack.enter_context(where.connect())
        missing = work.missing(job.shards(), job.conditions, {"seconds", "geant4"})
        done = job.n - sum(stop - start for start, stop in missing)
        with progress_bar("simulating", job.n, show=progress, done=done) as advance:
            if client is None:
                simulate_shards(
                    job,
                    work,
                    missing,
                    workers=workers,
                    environment=data.environment,
                    advance=advance,
                    verbose=verbose,
                )
            else:
                simulate_shards_on_cluster(
                    job,
                    work,
                    missing,
                    client=client,
                    tables=data.description,
                    advance=advance,
                    verbose=verbose,
                )
        merge(work, job, _provenance(job, data, like), overwrite=overwrite)
    return output


def _provenance(job: Job, data: PhysicsData, like: str | Path | None) -> dict[str, Any]:
    identity = job.identity()
    return {
        "bindings": identity["bindings"],
        "physics": job.physics_list,
        "cut_mm": job.detector.simulation.production_cut,
        "tables": data.description,
        "tables_approximate": data.approximate,
        "seed": job.seed,
        "conditions": "drawn" if like is None else f"those of {source_name(like)}",
        "energy": identity["energy"],
        "particle": identity["particle"],
        "versions": {"python": platform.python_version(), "numpy": version("numpy")},
    }
