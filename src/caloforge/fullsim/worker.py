"""A worker process: its own Geant4, which turns shards of primaries into files.

Messages to the parent are tuples: ("ready",) once, ("events", n) as they are done, ("shard",) when the file of the
task is in place, ("failed", text) before an end by an error. Tasks from the parent are :class:`Task`.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from caloforge.detector import Conditions, detector_from_toml
from caloforge.errors import CaloForgeError
from caloforge.fullsim.primaries import make_primaries
from caloforge.showers import Showers, save


@dataclass(frozen=True)
class Task:
    """The events ``start`` .. ``start + len(conditions)`` of a seed, and the file they go to."""

    start: int
    conditions: Conditions
    seed: int
    path: Path


def work() -> None:
    """Simulate the tasks that come through the connection whose file descriptor is the program's argument.

    The first message on it is the detector's TOML and the physics list. The process ends with the connection, also
    amid a task.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(int(sys.argv[1]))
    threading.Thread(target=_end_with, args=[connection], daemon=True).start()
    try:
        _serve(connection, *connection.recv())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except Exception as error:
        traceback.print_exc()
        text = str(error) if isinstance(error, CaloForgeError) else f"{type(error).__name__}: {error}"
        connection.send(("failed", text))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # Geant4's own clean-up at the end of a process is not safe


def _end_with(connection: Connection) -> None:
    other_end = select.poll()
    other_end.register(connection.fileno(), 0)  # of no event but its closing
    other_end.poll()
    os._exit(1)


def _serve(connection: Connection, toml: str, physics_list: str) -> None:
    from caloforge.fullsim.engine import Engine  # loads Geant4, which reads the environment

    detector = detector_from_toml(toml)
    engine = Engine(detector, physics_list)
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
