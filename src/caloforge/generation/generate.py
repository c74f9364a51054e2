"""From conditions to showers: streamed in blocks, reproducible event by event, in one process or several."""

from __future__ import annotations

import platform
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector, Energy, Particle
from caloforge.errors import RequestError, WorkError
from caloforge.generation.engines import choose_engine, load_sampler
from caloforge.generation.request import Block, Request, make_request
from caloforge.generation.workers import ordered
from caloforge.models.base import Sampler
from caloforge.models.bundle import read_bundle
from caloforge.processes import available_cores
from caloforge.progress import progress_bar
from caloforge.random import normals
from caloforge.showers import Showers, ShowerWriter, concatenate
from caloforge.showers.asked import source_name
from caloforge.showers.atomic import check_output

STREAM = "noise"
MOST_IN_MEMORY = 2**30
"""Bytes of cell energies that :func:`generate` returns without an output file; more are refused."""

_Task = tuple[int, NDArray[np.float32]]
_Made = tuple[NDArray[np.float32], float]


def generate(
    detector: str | Path | Detector = "lhcb-ecal",
    n: int | None = None,
    *,
    model: str | Path | None = None,
    output: str | Path | None = None,
    seed: int = 0,
    like: str | Path | None = None,
    energy: Energy | None = None,
    particle: Particle | None = None,
    batch: int = 1000,
    workers: int = 1,
    engine: str = "auto",
    threads: int | None = None,
    allow_extrapolation: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> Showers | Path:
    """Generate showers with a trained model.

    Event i of a seed is the same alone, in any batch and on any worker: bit for bit with onnxruntime and for
    ``neighbour``, within 1e-5 with torch.

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
        workers: processes; each uses one thread. 1 stays in this process.
        engine: "auto", "onnxruntime" or "torch" ("numpy" for ``neighbour``).
        threads: threads of the engine in this process; all cores by default.
        allow_extrapolation: take conditions outside the model's domain, and flag these showers.
        overwrite: replace an existing output.
        progress: draw a bar on the error stream.

    Returns:
        The path of the output, or the showers where there is none (at most 1 GiB of cell energies, 298,261 showers of
        ``lhcb-ecal``). The provenance of the output notes two times a shower, both in seconds of one core (wall-clock
        seconds times the threads or workers, whether or not each was busy): ``seconds_per_shower_core`` from the call
        to the last block written, with loading the model, conditions, noise, compression and writing;
        ``model_seconds_per_shower_core`` inside the model alone.

    Raises:
        RequestError: a wrong value, before any work; ``DomainError`` outside the domain, ``FormatError`` for a file.
        WorkError: the model gave something that is no shower, a worker died, or the disk is full.
    """
    started = time.perf_counter()
    if output is not None:
        output = check_output(output, overwrite=overwrite)
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
    run = _Run(request, engine, threads, workers)
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
                writer.append(showers)
                advance(len(showers))
            cores = max(threads, workers)
            writer.note(
                seconds_per_shower_core=(time.perf_counter() - started) * cores / request.n,
                model_seconds_per_shower_core=run.seconds * threads / request.n,
            )
    return output


class _Run:
    """The sampling of one request; ``seconds`` adds up the wall-clock time inside the model, over all workers."""

    def __init__(self, request: Request, engine: str, threads: int, workers: int) -> None:
        self.seconds = 0.0
        self._request = request
        self._workers = workers
        self._arguments = (
            str(request.bundle.path),
            request.bundle.digest,
            engine,
            threads,
            request.seed,
            request.batch,
        )

    def showers(self) -> Generator[Showers, None, None]:
        """Yield the showers of each block, in order."""
        made = self._made()
        for block, (energies, seconds) in zip(self._request.blocks(), made, strict=True):
            self.seconds += seconds
            yield self._validated(block, energies)

    def _made(self) -> Iterator[_Made]:
        tasks = ((block.start, block.conditions.inputs) for block in self._request.blocks())
        if self._workers > 1:
            yield from ordered(_work, tasks, self._workers, _prepare, self._arguments)
        else:
            worker = _Worker(*self._arguments)
            for task in tasks:
                yield worker.make(task)

    def _validated(self, block: Block, energies: NDArray[np.float32]) -> Showers:
        try:
            return Showers(self._request.detector, block.conditions, energies, extrapolated=block.outside)
        except RequestError as error:
            name = self._request.bundle.path.name
            raise WorkError(f"the model {name} gave something that is no shower: {error}") from error


class _Worker:
    """A loaded sampler and what it needs to make the showers of a stretch of events."""

    def __init__(self, path: str, digest: str, engine: str, threads: int, seed: int, batch: int) -> None:
        bundle = read_bundle(path)
        if bundle.digest != digest:
            raise WorkError(f"{path} changed while showers were generated from it; generate again")
        self._sampler: Sampler = load_sampler(bundle, engine, threads)
        self._seed = seed
        self._batch = batch

    def make(self, task: _Task) -> _Made:
        """Return the energies of the task's events and the seconds spent inside the model."""
        first, conditions = task
        parts = []
        seconds = 0.0
        for start in range(0, len(conditions), self._batch):
            rows = conditions[start : start + self._batch]
            noise = normals(self._seed, STREAM, first + start, len(rows), self._sampler.noise_width)
            before = time.perf_counter()
            parts.append(self._sampler.sample(rows, noise))
            seconds += time.perf_counter() - before
        return np.concatenate(parts), seconds


_worker: _Worker | None = None


def _prepare(*arguments: Any) -> None:
    global _worker  # one sampler a process, loaded once
    _worker = _Worker(*arguments)


def _work(task: _Task) -> _Made:
    assert _worker is not None
    return _worker.make(task)


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
        "versions": {"python": platform.python_version(), **_versions(("numpy", "scipy", engine))},
    }


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
