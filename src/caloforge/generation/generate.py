"""From conditions to showers: streamed in blocks, reproducible event by event, in one process or several."""

from __future__ import annotations

import platform
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from caloforge.clusters import Cluster, read_cluster
from caloforge.detector import DEFAULT_DETECTOR, Detector, Energy, Particle
from caloforge.errors import RequestError
from caloforge.generation.choice import choose_engine
from caloforge.generation.cluster import generate_on_cluster
from caloforge.generation.engines import ENGINES
from caloforge.generation.request import Request, make_request
from caloforge.generation.run import Run
from caloforge.processes import available_cores, installed_versions
from caloforge.progress import progress_bar
from caloforge.showers import Showers, ShowerWriter, concatenate
from caloforge.showers.asked import source_name
from caloforge.showers.atomic import check_output

MOST_IN_MEMORY = 2**30
"""Bytes of cell energies that :func:`generate` returns without an output file; more are refused."""


def generate(
    detector: str | Path | Detector = DEFAULT_DETECTOR,
    n: int | None = None,
    *,
    model: str | Path | None = None,
    output: str | Path | None = None,
    seed: int = 0,
    like: str | Path | None = None,
    energy: Energy | None = None,
    particle: Particle | None = None,
    batch: int = 1024,
    workers: int | None = None,
    engine: str = "auto",
    threads: int | None = None,
    cluster: str | Path | None = None,
    allow_extrapolation: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Showers | Path:
    """Generate showers with a trained model.

    Event i of a seed is the same alone, in any batch and on any worker: bit for bit with onnxruntime, OpenVINO and for
    ``neighbour``, within 1e-5 with torch. From one engine to another it is the same within 1e-5, but for openvino-bf16,
    whose products of matrices have 8 significant bits.

    Args:
        detector: name of a shipped detector, path of a TOML file, or a detector. Conditions are drawn from its ranges
            and densities; layers, cells and all else that showers depend on must be those of the model's detector.
        n: how many showers; with ``like`` the first n of its conditions, all by default.
        model: path of a bundle, a family that is shipped for the detector, or None for the shipped default.
        output: an HDF5 file, written block by block in bounded memory; None returns the showers.
        seed: of conditions and noise.
        like: take the conditions of this file instead of drawing them from the detector's densities: a file of
            showers, or a table of conditions in CSV, parquet or ROOT (``file.root:tree``).
        energy: fix the incident energy, or narrow its range to (low, high); MeV.
        particle: PDG code, or the weight of each code of a mixture, such as ``{11: 3, 22: 1}``; by default the model's
            first that the detector takes.
        batch: showers a call of the model; memory and speed depend on it, the showers do not.
        workers: processes; each uses one thread. 1, the default, stays in this process.
        engine: "onnxruntime", "openvino", "openvino-bf16", "onnxruntime-cuda" or "torch" ("numpy" for ``neighbour``),
            or "auto": of the first two, as far as they are installed, the one that was faster on this machine when it
            was first asked.
        threads: threads of the engine in this process; all cores by default. With more than one, blocks are written
            while the next are made.
        cluster: do it on a Dask cluster instead: the address of a scheduler, such as ``tcp://host:8786``, or a YAML
            file that describes batch jobs (:func:`caloforge.clusters.read_cluster`). The showers are the same. An
            interrupted call leaves its finished showers in the folder ``.NAME.work`` beside the output, from where the
            same call goes on. Needs an output, and neither workers nor threads.
        allow_extrapolation: take conditions outside the model's domain, and flag these showers.
        overwrite: replace an existing output, and throw away an unfinished run on a cluster with other settings.
        progress: draw a bar on the error stream.

    Returns:
        The path of the output, or the showers where there is none (at most 1 GiB of cell energies, 298,261 showers of
        ``lhcb-ecal``). The provenance of the output notes two times a shower: ``seconds_per_shower_core``, in seconds
        of one core (wall-clock seconds times the threads or workers, whether or not each was busy), from the call to
        the last block written, with loading the model, conditions, noise, compression and writing;
        ``model_seconds_per_shower_core``, added up over the threads, inside the model alone. On a cluster they are
        sums over its workers, with the compression there and without the way back. Here
        ``step_seconds_per_shower`` has conditions, noise, model and writing, each added up over the threads.

    Raises:
        RequestError: a wrong value, before any work; ``DomainError`` outside the domain, ``FormatError`` for a file.
            A cluster that does not answer, or one of its workers with other versions; ``MissingExtraError`` without
            the extra ``cluster``.
        WorkError: the model gave something that is no shower, a worker died, or the disk is full. Dask does the work
            of a dead worker of a cluster again.
    """
    started = time.perf_counter()
    if output is not None:
        output = check_output(output, overwrite=overwrite)
    where = None if cluster is None else _read_cluster(cluster, output, workers, threads)
    workers = 1 if workers is None else workers
    if workers < 1 or (threads is not None and threads < 1):
        raise RequestError(f"workers and threads must be at least 1; got {workers} and {threads}")
    if workers > 1 and threads not in (None, 1):
        raise RequestError("several workers use one thread each; leave out threads, or ask for one worker")
    request = make_request(
        detector,
        n,
        model=model,
        seed=seed,
        like=like,
        energy=energy,
        particle=particle,
        batch=batch,
        allow_extrapolation=allow_extrapolation,
    )
    size = 4 * request.n * request.bundle.detector.n_cells
    if output is None and size > MOST_IN_MEMORY:
        raise RequestError(
            f"{request.n} showers take {size / 2**30:.1f} GiB of memory, more than 1 GiB; give an output file"
        )
    engine = choose_engine(request.bundle, engine)
    if threads is None:
        threads = 1 if workers > 1 else available_cores()
    request.check_domain()
    if output is not None and where is not None:
        facts = _provenance(request, engine, 1, 0, like)
        generate_on_cluster(request, engine, output, where, facts, overwrite=overwrite, progress=progress)
        return output
    run = Run(request, engine, threads, workers)
    with progress_bar("generating", request.n, show=progress) as advance, closing(run.showers()) as blocks:
        if output is None:
            parts = []
            for showers in blocks:
                parts.append(showers)
                advance(len(showers))
            return concatenate(parts)
        facts = _provenance(request, engine, threads, workers, like)
        with ShowerWriter(output, request.detector, source="model", provenance=facts, overwrite=overwrite) as writer:
            for showers in blocks:
                with run.step("writing"):
                    writer.append(showers)
                advance(len(showers))
            writer.note(
                seconds_per_shower_core=(time.perf_counter() - started) * max(threads, workers) / request.n,
                model_seconds_per_shower_core=run.seconds["model"] / request.n,
                step_seconds_per_shower={name: value / request.n for name, value in run.seconds.items()},
            )
    return output


def _read_cluster(cluster: str | Path, output: str | Path | None, workers: int | None, threads: int | None) -> Cluster:
    if workers is not None or threads is not None:
        raise RequestError(
            "workers and threads are those of this machine, of which a cluster needs none; leave out one of them"
        )
    if output is None:
        raise RequestError("a cluster writes to a file; give an output")
    return read_cluster(cluster)


def _provenance(request: Request, engine: str, threads: int, workers: int, like: str | Path | None) -> dict[str, Any]:
    bundle = request.bundle
    energy = request.energy
    return {
        "model": {"name": bundle.path.name, "family": bundle.family, "digest": bundle.digest},
        "seed": request.seed,
        "conditions": "drawn" if like is None else f"those of {source_name(like)}",
        "energy": list(energy) if isinstance(energy, tuple) else energy,
        "particle": request.mixture.to_json(),
        "allow_extrapolation": request.allow_extrapolation,
        "engine": engine,
        "threads": threads,
        "workers": workers,
        "batch": request.batch,
        "versions": {
            "python": platform.python_version(),
            **installed_versions(["numpy", "scipy", ENGINES[engine].package]),
        },
    }
