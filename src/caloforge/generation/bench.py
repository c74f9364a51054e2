"""How long a shower takes: the model alone, the whole way to a file, a process of its own, Geant4 beside it."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.detector import DEFAULT_DETECTOR, Detector, draw_conditions, load_detector
from caloforge.errors import MissingExtraError, RequestError, WorkError
from caloforge.fullsim import simulate
from caloforge.generation.choice import choose_engine
from caloforge.generation.engines import ENGINES, engines_of, start_engine
from caloforge.generation.generate import generate
from caloforge.generation.machine import bfloat16_product_rate, copy_rate, product_rate
from caloforge.generation.maker import STREAM
from caloforge.generation.rows import InRows
from caloforge.generation.timings import Bench, OwnProcess, Roofline, Timing
from caloforge.models.bundle import WEIGHTS, Bundle, reference_sample, resolve_bundle
from caloforge.models.neighbour import NEIGHBOURS
from caloforge.processes import available_cores, processor_name
from caloforge.random import normals
from caloforge.showers import ShowerFile

BATCHES = (1, 10, 100, 1_000, 10_000)
_LEAST_REPEATS, _MOST_REPEATS = 5, 200
_LEAST_SECONDS, _MOST_SECONDS = 0.5, 8.0
_WARM_UP = 1000

Report = Callable[[str], None]


def bench(
    detector: str | Path | Detector = DEFAULT_DETECTOR,
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
    wanted = None if engine is None else choose_engine(bundle, engine)
    names = [
        name for name, item in engines_of(bundle.family).items() if wanted == name or (not wanted and item.installed)
    ]
    tell = report or (lambda what: None)
    tell("Geant4")
    geant4 = _geant4_here(described, bundle, geant4_showers) or geant4_time(described.name)
    timings = []
    for name in names:
        for used in counts:
            try:
                sampler = start_engine(name, bundle, used)
            except RequestError as error:
                if wanted:
                    raise
                tell(f"{name}: not here; {error}")
                break
            for batch in batches:
                tell(f"{name}, threads: {used}, batch: {batch:,}")
                timings.append(_time_model(bundle, sampler, name, used, batch))
    steps: dict[str, float] = {}
    own: list[OwnProcess] = []
    if file_showers:
        chosen = wanted or choose_engine(bundle)
        rough = {timing.engine for timing in timings if ENGINES[timing.engine].precision != "float32"}
        for name in dict.fromkeys([chosen, *rough]):
            for used, workers in dict.fromkeys([(1, 1), (cores, 1), (1, cores)]):
                tell(f"{name}, to file, threads: {used}, workers: {workers}")
                timing, found = _time_file(described, bundle, name, used, workers, file_showers)
                timings.append(timing)
                if name == chosen and used == workers == 1:
                    steps = found
        tell("a process of its own")
        own = [own_process(described, bundle, showers, chosen) for showers in (1, file_showers)]
    tell("a product of matrices")
    return Bench(
        detector=described.name,
        model={"name": bundle.path.name, "family": bundle.family, "digest": bundle.digest},
        machine={"processor": processor_name(), "cores": cores, "python": platform.python_version()},
        timings=tuple(timings),
        steps=steps,
        own_processes=tuple(own),
        rooflines=tuple(_rooflines(bundle, timings)),
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


def own_process(detector: Detector, bundle: Bundle, n: int, engine: str = "auto") -> OwnProcess:
    """Generate n showers with ``caloforge generate`` in a process of its own.

    Raises:
        WorkError: it failed; with the last line that it printed.
    """
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
        command += ["--engine", engine]
        before = time.perf_counter()
        printed = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True)
        seconds = time.perf_counter() - before
        if printed.returncode:
            last = (printed.stderr.strip().splitlines() or ["without a message"])[-1]
            raise WorkError(f"caloforge generate failed in a process of its own: {last}")
        return OwnProcess(engine, n, seconds, int(printed.stdout.split()[-1]) / 1024, output.stat().st_size / 1e6)


def _rooflines(bundle: Bundle, timings: Sequence[Timing]) -> Iterator[Roofline]:
    """One a precision, for its fastest engine on the processor; none without a network, its weights, or torch."""
    if bundle.family in NEIGHBOURS or WEIGHTS not in bundle.parts or not ENGINES["torch"].installed:
        return
    from caloforge.models.networks.sampler import load_generator, operations

    flops = operations(load_generator(bundle), bundle.detector)
    size = 4 * (bundle.noise_width + bundle.detector.n_cells)
    copied = copy_rate()
    of_model = [timing for timing in timings if timing.batch is not None and not ENGINES[timing.engine].gpu]
    for precision, rate in (("float32", product_rate), ("bfloat16", bfloat16_product_rate)):
        mine = [timing for timing in of_model if ENGINES[timing.engine].precision == precision]
        if not mine:
            continue
        fastest = min(mine, key=lambda timing: timing.median_ms)
        yield Roofline(
            engine=fastest.engine,
            precision=precision,
            threads=fastest.threads,
            flops_per_shower=flops,
            bytes_per_shower=size,
            gflops=1e-9 * flops * fastest.per_second,
            product_gflops=1e-9 * rate(fastest.threads),
            gigabytes=1e-9 * size * fastest.per_second,
            copy_gigabytes=1e-9 * copied,
        )


def _time_model(bundle: Bundle, sampler: InRows, engine: str, threads: int, batch: int) -> Timing:
    conditions = draw_conditions(bundle.detector, 0, 0, batch, bundle.domain.particles[0]).inputs
    noise = normals(0, STREAM, 0, batch, sampler.noise_width)
    for _ in range(2):
        sampler.sample(conditions[:_WARM_UP], noise[:_WARM_UP])

    def once() -> None:
        sampler.sample(conditions, noise)

    return _timing("model", engine, threads, 1, batch, _repeat(once), batch)


def _time_file(
    detector: Detector, bundle: Bundle, engine: str, threads: int, workers: int, n: int
) -> tuple[Timing, dict[str, float]]:
    """The time to a file, and the milliseconds a shower of each step in the last repeat."""
    with tempfile.TemporaryDirectory(prefix="caloforge-bench-") as folder:
        output = Path(folder) / "showers.h5"

        def once() -> None:
            generate(
                detector,
                n,
                model=bundle.path,
                output=output,
                workers=workers,
                threads=threads,
                engine=engine,
                overwrite=True,
            )

        timing = _timing("to file", engine, threads, workers, None, _repeat(once, least=3), n)
        with ShowerFile(output) as file:
            steps = file.provenance["step_seconds_per_shower"]
        return timing, {name: 1e3 * seconds for name, seconds in steps.items()}


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
