"""Which engine runs a model: the one asked for, or the one that was fastest on this machine."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from contextlib import suppress
from pathlib import Path

from caloforge.cache import cache_folder, write_files
from caloforge.detector import draw_conditions
from caloforge.errors import RequestError, unknown_name
from caloforge.generation.engines import ENGINES, engines_of, start_engine
from caloforge.generation.rows import InRows
from caloforge.models.bundle import Bundle
from caloforge.processes import available_cores, installed_versions, processor_name
from caloforge.random import normals

_SHOWERS = 128
_REPEATS = 3


def choose_engine(bundle: Bundle, engine: str = "auto") -> str:
    """Return the name of the engine that a request means; "auto" is :func:`fastest_engine`.

    Raises:
        RequestError: the family has no such engine; lists those it has.
    """
    engines = engines_of(bundle.family)
    if engine == "auto":
        return fastest_engine(bundle)
    if engine not in engines:
        raise unknown_name(f"engine of the model {bundle.family}", engine, ("auto", *engines))
    return engine


def load_sampler(bundle: Bundle, engine: str = "auto", threads: int | None = None, batch: int | None = None) -> InRows:
    """Return a sampler of the model in the bundle.

    Args:
        engine: "auto", or a name of :func:`engines_of` its family.
        threads: threads inside one call; all cores that this process may use by default.
        batch: most showers that the engine is given at a time; by default what is best for it.

    Raises:
        RequestError: no such engine for this family, or fewer than one thread. Otherwise as :func:`start_engine`.
    """
    threads = available_cores() if threads is None else threads
    if threads < 1:
        raise RequestError(f"threads must be at least 1, not {threads}")
    return start_engine(choose_engine(bundle, engine), bundle, threads, batch)


def fastest_engine(bundle: Bundle) -> str:
    """Return the engine that was fastest for this model here, of those installed that "auto" may mean.

    Measured on one thread when it is first asked for, about a second; then noted in the user's cache for this bundle,
    processor and versions.
    """
    engines = engines_of(bundle.family)
    names = [name for name, engine in engines.items() if engine.automatic and engine.installed]
    if len(names) < 2:
        return next(iter([*names, *engines]))
    packages = sorted({ENGINES[name].package for name in names})
    facts = [bundle.digest, processor_name(), platform.python_version(), installed_versions(packages)]
    note = cache_folder() / "engines" / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}.json"
    known = _read(note)
    if known in names:
        return known
    seconds = _measure(bundle, names)
    fastest = min(seconds, key=lambda name: seconds[name])
    text = json.dumps({"fastest": fastest, "seconds_per_shower": seconds, "facts": facts}, indent=1)
    with suppress(RequestError):  # a cache that cannot be written: measured again next time
        write_files(note.parent, {note.name: text})
    return fastest


def _read(note: Path) -> str | None:
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["fastest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _measure(bundle: Bundle, names: list[str]) -> dict[str, float]:
    """Seconds a shower of each engine, the least of some calls in turn."""
    conditions = draw_conditions(bundle.detector, 0, 0, _SHOWERS, bundle.domain.particles[0]).inputs
    noise = normals(0, "engines", 0, _SHOWERS, bundle.noise_width)
    samplers = {name: start_engine(name, bundle, 1) for name in names}
    seconds = dict.fromkeys(names, float("inf"))
    for repeat in range(1 + _REPEATS):
        for name, sampler in samplers.items():
            before = time.perf_counter()
            sampler.sample(conditions, noise)
            if repeat:  # the first is the warm-up
                seconds[name] = min(seconds[name], (time.perf_counter() - before) / _SHOWERS)
    return seconds
