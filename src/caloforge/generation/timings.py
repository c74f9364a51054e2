"""What :mod:`caloforge.generation.bench` found, and how it is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


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

    engine: str
    showers: int
    seconds: float
    peak_resident_mb: float
    file_mb: float


@dataclass(frozen=True)
class Roofline:
    """The arithmetic of a model beside what this machine can do with as many threads.

    ``gflops`` is reached by the ``engine`` at its fastest batch, ``product_gflops`` by a product of matrices of the
    same ``precision``; ``bytes_per_shower`` are those of noise and shower, which cross the memory whatever the model
    does, ``copy_gigabytes`` the rate at which one core copies (S. Williams et al., "Roofline", CACM 52, 2009).
    """

    engine: str
    precision: str
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
    """All timings of one model on this machine, and of full simulation: here, or where the reference was made.

    ``steps`` are milliseconds a shower of each step on the way to a file, on one thread; empty where none was written.
    """

    detector: str
    model: dict[str, str]
    machine: dict[str, Any]
    timings: tuple[Timing, ...]
    steps: dict[str, float]
    own_processes: tuple[OwnProcess, ...]
    rooflines: tuple[Roofline, ...]
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
        if self.steps:
            whole = sum(self.steps.values())
            shares = ", ".join(
                f"{name} {1e3 * ms:.1f} us ({100 * ms / whole:.0f} %)" for name, ms in self.steps.items()
            )
            lines.append(f"Steps to a file, one thread: {shares}.")
        for roof in self.rooflines:
            lines.append(
                f"Arithmetic, {roof.engine}: {1e-6 * roof.flops_per_shower:.2f} MFLOP a shower, "
                f"{roof.gflops:.0f} GFLOP/s, {100 * roof.share:.0f} % of a product of matrices in {roof.precision} "
                f"({roof.product_gflops:.0f}), threads: {roof.threads}; noise and showers {roof.gigabytes:.2f} GB/s, "
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
