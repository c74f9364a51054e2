"""How long a shower takes: the model alone at several batches and threads, and the whole way to a file."""

from __future__ import annotations

import importlib.util
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.detector import Detector, draw_conditions, load_detector
from caloforge.errors import RequestError
from caloforge.generation.engines import ENGINES, choose_engine, load_sampler
from caloforge.generation.generate import generate
from caloforge.generation.maker import STREAM
from caloforge.models.base import Sampler
from caloforge.models.bundle import Bundle, reference_sample, resolve_bundle
from caloforge.processes import available_cores
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
class Bench:
    """All timings of one model on this machine, and what full simulation took where the reference was made."""

    detector: str
    model: dict[str, str]
    machine: dict[str, Any]
    timings: tuple[Timing, ...]
    geant4: dict[str, Any] | None

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
    report: Report | None = None,
) -> Bench:
    """Measure the time a shower takes on this machine.

    The model is timed on conditions drawn from the detector's densities and noise drawn before; the time to a file
    includes everything. Geant4's time is not measured here: it is the one noted in the reference sample that comes
    with the package, on one core of the machine that made it.

    Args:
        model: as for :func:`caloforge.generate`.
        engine: measure this one only; by default all of the family whose packages are installed.
        batches: showers a call.
        threads: threads inside one call; by default 1 and all cores.
        file_showers: showers written in each repeat to a file; 0 leaves this part out.
        report: told what is measured next.

    Raises:
        RequestError: an unknown detector, model or engine, a batch or thread count below 1, or fewer than 0 showers
            to a file; before anything is measured.
    """
    described = load_detector(detector)
    bundle = resolve_bundle(model, described.name)
    cores = available_cores()
    counts = sorted({1, cores}) if threads is None else list(threads)
    if min([*batches, *counts], default=0) < 1:
        raise RequestError(f"batches and threads must be at least 1; got {list(batches)} and {counts}")
    if file_showers < 0:
        raise RequestError(f"the showers to a file must be at least 1, or 0 to leave this part out; got {file_showers}")
    names = _engines(bundle, engine)
    tell = report or (lambda what: None)
    timings = []
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
    return Bench(
        detector=described.name,
        model={"name": bundle.path.name, "family": bundle.family, "digest": bundle.digest},
        machine={"processor": _processor(), "cores": cores, "python": platform.python_version()},
        timings=tuple(timings),
        geant4=geant4_time(described.name),
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


def _engines(bundle: Bundle, engine: str | None) -> list[str]:
    if engine is not None:
        return [choose_engine(bundle, engine)]
    return [name for name in ENGINES[bundle.family] if importlib.util.find_spec(name) is not None]


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


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
