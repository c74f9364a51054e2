"""Time of a program, its children's included, and what else the machine did meanwhile."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timed:
    """Seconds of wall clock and of processor; ``others``, how many cores were busy with something else; the output."""

    wall: float
    processor: float
    others: float
    out: str
    err: str


def timed(command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> Timed:
    """Run a program to its end, which must be a good one."""
    busy, before, started = _busy(), _processor(), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    wall, processor = time.perf_counter() - started, _processor() - before
    others = max(0.0, (_busy() - busy - processor) / wall)
    return Timed(wall, processor, others, done.stdout, done.stderr)


def _processor() -> float:
    """Processor seconds of this process's finished children, theirs included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _busy() -> float:
    """Seconds that all cores together were busy since the machine started."""
    user, nice, system, _, _, irq, soft, steal = (
        int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
