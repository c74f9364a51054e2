"""A worker process: its own Geant4, which turns shards of primaries into files.

Messages to the parent are tuples: ("ready",) once, ("events", n) as they are done, ("shard",) when the file of the
task is in place, ("failed", text) before an end by an error. Tasks from the parent are :class:`Task`.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from caloforge.detector import Conditions, detector_from_toml
from caloforge.errors import CaloForgeError
from caloforge.fullsim.primaries import make_primaries
from caloforge.processes import end_with_parent
from caloforge.showers import Showers, save


@dataclass(frozen=True)
class Task:
    """The events ``start`` .. ``start + len(conditions)`` of a seed, and the file they go to."""

    start: int
    conditions: Conditions
    seed: int
    path: Path


def work(connection: Connection, toml: str, physics_list: str, environment: dict[str, str], log: Path) -> None:
    """Simulate the tasks that come through ``connection`` until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _redirect(log)
    end_with_parent()
    os.environ.update(environment)
    try:
        _serve(connection, toml, physics_list)
    except (EOFError, BrokenPipeError):
        pass
    except Exception as error:
        traceback.print_exc()
        text = str(error) if isinstance(error, CaloForgeError) else f"{type(error).__name__}: {error}"
        connection.send(("failed", text))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # Geant4's own clean-up at the end of a process is not safe


def _serve(connection: Connection, toml: str, physics_list: str) -> None:
    from caloforge.fullsim.engine import Engine  # loads Geant4, which reads the environment

    detector = detector_from_toml(toml)
    engine = Engine(replace(detector, simulation=replace(detector.simulation, physics_list=physics_list)))
    connection.send(("ready",))
    while True:
        task: Task = connection.recv()
        deposits = engine.run(
            make_primaries(task.conditions, task.seed, task.start), lambda more: connection.send(("events", more))
        )
        showers = Showers(detector, task.conditions, deposits.cells, deposits.layers, deposits.absorbers)
        facts = {"seconds": deposits.seconds, "geant4": engine.version}
        save(task.path, showers, source="geant4", provenance=facts, overwrite=True)
        connection.send(("shard",))


def _redirect(log: Path) -> None:
    """Send everything this process prints, from C++ too, to the log; and give it nothing to read."""
    sys.stdout.flush()
    sys.stderr.flush()
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(target, 1)
    os.dup2(target, 2)
