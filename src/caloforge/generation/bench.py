"""How long a shower takes: the model alone, the whole way to a file, a process of its own, Geant4 beside it."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.detector import Detector, draw_conditions, load_detector
from caloforge.errors import MissingExtraError, RequestError
from caloforge.fullsim import simulate
from caloforge.generation.choice import choose_engine, load_sampler
from caloforge.generation.engines import engines_of
from caloforge.generation.generate import generate
from caloforge.generation.machine import copy_rate, product_rate
from caloforge.generation.maker import STREAM
from caloforge.models.base import Sampler
from caloforge.models.bundle import WEIGHTS, Bundle, reference_sample, resolve_bundle
from caloforge.models.neighbour import NEIGHBOURS
from caloforge.processes import available_cores, processor_name
from caloforge.random import normals
from caloforge.showers import ShowerFile

BATCHES = (1, 64, 100, 10_000)
_LEAST_REPEATS, _MOST_REPEATS = 5, 200
_LEAST_SECONDS, _MOST_SECONDS = 0.5, 8.0
_WARM_UP = 1000

Report = Callable[[str], None]


@dataclass(frozen=True)
class Timing:
    """Milliseconds a shower: median and the quartiles over the repeats, after a warm-up that is not counted.

    ``batch`` is None for the whole way to a file (conditions, noise, model, compression, writing), where ``workers``
    processes work; ``threads`` are those of each process.
    """

    what: str
    engine: str
    threads: int
    workers: int
    batch: int | None
    median_ms: float
    low_ms: float
    high_ms: float
    repeats: int

    @property
    def per_second(self) -> float:
        """Showers a second, at the median."""
        return 1e3 / self.median_ms


@dataclass(frozen=True)
class OwnProcess:
    """A process of its own that generates ``showers`` to a file: from its start to its end, and its most memory.

    With one shower it is the cold start.
    """

    showers: int
    seconds: float
    peak_resident_mb: float
    file_mb: float


@dataclass(frozen=True)
class Roofline:
    """The arithmetic of a model beside what this machine can do with as many threads.

    ``gflops`` is reached at the fastest batch, ``product_gflops`` by a product of matrices; ``bytes_per_shower`` are
    those of noise and shower, which cross the memory whatever the model does.
    """

    threads: int
    flops_per_shower: int
    bytes_per_shower: int
    gflops: float
    product_gflops: float
    gigabytes: float
    copy_gigabytes: float

    @property
    def share(self) -> float:
        """Of the rate of a product of matrices."""
        return self.gflops / self.product_gflops


@dataclass(frozen=True)
class Bench:
    """All timings of one model on this machine, and of full simulation: here, or where the reference was made."""

    detector: str
    model: dict[str, str]
    machine: dict[str, Any]
    timings: tuple[Timing, ...]
    own_processes: tuple[OwnProcess, ...]
    roofline: Roofline | None
    geant4: dict[str, Any] | None

    @property
    def speed_up(self) -> float | None:
        """Geant4's time over that to a file, core against core; None without either."""
        times = [timing.median_ms * timing.threads * timing.workers for timing in self.timings if timing.batch is None]
        if not times or self.geant4 is None:
            return None
        return 1e3 * float(self.geant4["seconds_per_shower_and_core"]) / min(times)

    def sentences(self) -> list[str]:
        """What stands below the table of timings."""
        lines = ["Median over the repeats after a warm-up; to file: conditions, noise, model, compression and writing."]
        lines += [
            f"A process of its own, from start to end, {own.showers:,} showers: {own.seconds:.2f} s, "
            f"{own.peak_resident_mb:,.0f} MB resident at most, {own.file_mb:.1f} MB of file."
            for own in self.own_processes
        ]
        if self.roofline is not None:
            roof = self.roofline
            lines.append(
                f"Arithmetic: {1e-6 * roof.flops_per_shower:.2f} MFLOP a shower, {roof.gflops:.0f} GFLOP/s, "
                f"{100 * roof.share:.0f} % of a product of matrices ({roof.product_gflops:.0f}), "
                f"threads: {roof.threads}; noise and showers {roof.gigabytes:.2f} GB/s, "
                f"a copy {roof.copy_gigabytes:.0f} on one core."
            )
        if self.geant4 is not None:
            milliseconds = 1e3 * self.geant4["seconds_per_shower_and_core"]
            lines.append(
                f"Geant4 {self.geant4['geant4']}: {milliseconds:.0f} ms a shower and core ({self.geant4['source']})."
            )
        if self.speed_up is not None:
            lines.append(f"To a file {self.speed_up:,.0f} times faster than Geant4, core against core.")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


def bench(
    detector: str | Path | Detector = "lhcb-ecal",
    *,
    model: str | Path | None = None,
    engine: str | None = None,
    batches: Sequence[int] = BATCHES,
    threads: Sequence[int] | None = None,
    file_showers: int = 10_000,
    geant4_showers: int = 100,
    report: Report | None = None,
) -> Bench:
    """Measure the time a shower takes on this machine.

    The model is timed on conditions drawn from the detector's densities and noise drawn before; the time to a file
    includes everything. Geant4 simulates the first of the same showers on all cores. Where it is not installed, its
    time is the one noted in the reference sample that comes with the package, on the machine that made it.

    Args:
        model: as for :func:`caloforge.generate`.
        engine: measure this one only; by default all of the family whose packages are installed.
        batches: showers a call.
        threads: threads inside one call; by default 1 and all cores.
        file_showers: showers written in each repeat to a file, and in a process of its own; 0 leaves this part out.
        geant4_showers: showers that Geant4 simulates; with 0 it is not asked.
        report: told what is measured next.

    Raises:
        RequestError: an unknown detector, model or engine, a batch or thread count below 1, or fewer than 0 showers
            to a file or by Geant4; before anything is measured.
    """
    described = load_detector(detector)
    bundle = resolve_bundle(model, described.name)
    cores = available_cores()
    counts = sorted({1, cores}) if threads is None else list(threads)
    if min([*batches, *counts], default=0) < 1:
        raise RequestError(f"batches and threads must be at least 1; got {list(batches)} and {counts}")
    if file_showers < 0:
        raise RequestError(f"the showers to a file must be at least 1, or 0 to leave this part out; got {file_showers}")
    if geant4_showers < 0:
        raise RequestError(f"the showers of Geant4 must be at least 1, or 0 for none; got {geant4_showers}")
    names = _engines(bundle, engine)
    tell = report or (lambda what: None)
    tell("Geant4")
    geant4 = _geant4_here(described, bundle, geant4_showers) or geant4_time(described.name)
    timings = []
    own: list[OwnProcess] = []
    for name in names:
        for used in counts:
            sampler = load_sampler(bundle, name, used)
            for batch in batches:
                tell(f"{name}, threads: {used}, batch: {batch:,}")
                timings.append(_time_model(bundle, sampler, name, used, batch))
    if file_showers:
        name = choose_engine(bundle, engine or "auto")
        for workers in sorted({1, cores}):
            tell(f"{name}, to file, workers: {workers}")
            timings.append(_time_file(described, bundle, name, workers, file_showers))
        tell("a process of its own")
        own = [own_process(described, bundle, showers) for showers in (1, file_showers)]
    tell("a product of matrices")
    roofline = _roofline(bundle, timings)
    return Bench(
        detector=described.name,
        model={"name": bundle.path.name, "family": bundle.family, "digest": bundle.digest},
        machine={"processor": processor_name(), "cores": cores, "python": platform.python_version()},
        timings=tuple(timings),
        own_processes=tuple(own),
        roofline=roofline,
        geant4=geant4,
    )


def geant4_time(detector: str) -> dict[str, Any] | None:
    """Return the seconds per shower and core noted in the shipped reference sample, or None where there is none."""
    try:
        path = reference_sample(detector)
    except RequestError:
        return None
    with ShowerFile(path) as file:
        seconds = file.provenance.get("seconds_per_event_core")
        if seconds is None:
            return None
        return {
            "seconds_per_shower_and_core": float(seconds),
            "geant4": str(file.provenance.get("geant4", "unknown")),
            "source": f"noted in {path.name}: measured on the machine that made the sample, not on this one",
        }


def _geant4_here(detector: Detector, bundle: Bundle, n: int) -> dict[str, Any] | None:
    """Geant4's time for the first n showers that the model is asked for; None where it is not installed, or n is 0."""
    if n == 0:
        return None
    with tempfile.TemporaryDirectory(prefix="caloforge-bench-") as folder:
        path = Path(folder) / "full.h5"
        try:
            simulate(detector, n, output=path, particle=bundle.domain.particles[0])
        except MissingExtraError:
            return None
        with ShowerFile(path) as file:
            return {
                "seconds_per_shower_and_core": float(file.provenance["seconds_per_event_core"]),
                "geant4": str(file.provenance["geant4"]),
                "source": f"{n:,} showers in this run",
            }


def own_process(detector: Detector, bundle: Bundle, n: int) -> OwnProcess:
    """Generate n showers with ``caloforge generate`` in a process of its own."""
    program = (  # not ru_maxrss where there is another way: it counts this process too, from which the other was forked
        "import pathlib, resource, sys; from caloforge.cli import main; code = main(sys.argv[1:]);"
        "status = pathlib.Path('/proc/self/status');"
        "peak = status.read_text().split('VmHWM:')[1].split()[0] if status.exists() else"
        " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "print(peak); sys.exit(code)"
    )
    with tempfile.TemporaryDirectory(prefix="caloforge-bench-") as folder:
        output, description = Path(folder) / "showers.h5", Path(folder) / f"{detector.name}.toml"
        description.write_text(detector.toml, encoding="utf-8")
        command = ["generate", str(description), "-n", str(n), "-o", str(output), "--model", str(bundle.path), "--json"]
        before = time.perf_counter()
        printed = subprocess.run([sys.executable, "-c", program, *command], check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - before
        return OwnProcess(n, seconds, int(printed.stdout.split()[-1]) / 1024, output.stat().st_size / 1e6)


def _roofline(bundle: Bundle, timings: Sequence[Timing]) -> Roofline | None:
    """None for what is no network, for a bundle without weights, and without torch, which counts the operations."""
    if bundle.family in NEIGHBOURS or WEIGHTS not in bundle.parts or importlib.util.find_spec("torch") is None:
        return None
    from caloforge.models.networks.sampler import load_generator, operations

    fastest = min((timing for timing in timings if timing.batch is not None), key=lambda timing: timing.median_ms)
    flops = operations(load_generator(bundle), bundle.detector)
    size = 4 * (bundle.noise_width + bundle.detector.n_cells)
    return Roofline(
        threads=fastest.threads,
        flops_per_shower=flops,
        bytes_per_shower=size,
        gflops=1e-9 * flops * fastest.per_second,
        product_gflops=1e-9 * product_rate(fastest.threads),
        gigabytes=1e-9 * size * fastest.per_second,
        copy_gigabytes=1e-9 * copy_rate(),
    )


def _engines(bundle: Bundle, engine: str | None) -> list[str]:
    if engine is not None:
        return [choose_engine(bundle, engine)]
    return [name for name, item in engines_of(bundle.family).items() if item.installed]


def _time_model(bundle: Bundle, sampler: Sampler, engine: str, threads: int, batch: int) -> Timing:
    conditions = draw_conditions(bundle.detector, 0, 0, batch, bundle.domain.particles[0]).inputs
    noise = normals(0, STREAM, 0, batch, sampler.noise_width)
    for _ in range(2):
        sampler.sample(conditions[:_WARM_UP], noise[:_WARM_UP])

    def once() -> None:
        sampler.sample(conditions, noise)

    return _timing("model", engine, threads, 1, batch, _repeat(once), batch)


def _time_file(detector: Detector, bundle: Bundle, engine: str, workers: int, n: int) -> Timing:
    threads = 1 if workers > 1 else available_cores()
    with tempfile.TemporaryDirectory(prefix="caloforge-bench-") as folder:

        def once() -> None:
            generate(
                detector,
                n,
                model=bundle.path,
                output=Path(folder) / "showers.h5",
                workers=workers,
                threads=threads,
                engine=engine,
                overwrite=True,
            )

        return _timing("to file", engine, threads, workers, None, _repeat(once, least=3), n)


def _repeat(once: Callable[[], None], least: int = _LEAST_REPEATS) -> list[float]:
    """Seconds of each repeat: at least ``least`` and half a second of them; three suffice where they take very long."""
    seconds: list[float] = []
    while len(seconds) < _MOST_REPEATS:
        before = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - before)
        total = sum(seconds)
        if (len(seconds) >= least and total >= _LEAST_SECONDS) or (len(seconds) >= 3 and total >= _MOST_SECONDS):
            break
    return seconds


def _timing(
    what: str, engine: str, threads: int, workers: int, batch: int | None, seconds: list[float], n: int
) -> Timing:
    low, median, high = (float(value) * 1e3 / n for value in np.percentile(seconds, [25, 50, 75]))
    return Timing(what, engine, threads, workers, batch, median, low, high, len(seconds))
