"""On a worker of Dask: shards made by Geant4 processes that are kept warm, one a thread."""

from __future__ import annotations

import shutil
import threading
from functools import lru_cache

import numpy as np

from caloforge._version import __version__
from caloforge.detector import Conditions, Detector, detector_from_toml
from caloforge.detector.materials import elements_of
from caloforge.errors import CaloForgeError, WorkError
from caloforge.fullsim.job import BINDINGS, Job
from caloforge.fullsim.physics_data import PhysicsData, prepare_physics_data
from caloforge.fullsim.process import Geant4Process
from caloforge.fullsim.worker import Task
from caloforge.processes import installed_versions
from caloforge.runs.remote import Answer, Order, host, new_folder, refuse_versions

LINGER = 30.0
"""Seconds that a Geant4 without work stays, for the next shard of the same job."""


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """The versions on which showers depend; "none" for a package that is not installed."""
    return {"caloforge": __version__, **installed_versions([BINDINGS])}


def make_order(job: Job, tables: str, start: int, stop: int) -> Order:
    """Return the order for the events ``start`` to ``stop``, to be made with the same versions and ``tables``."""
    conditions = job.conditions(start, stop)
    return {
        "versions": versions(),
        "tables": tables,
        "detector": job.detector.toml,
        "physics": job.physics_list,
        "seed": job.seed,
        "start": start,
        "conditions": conditions.matrix.tolist(),  # Python's floats are exact
        "pdg": conditions.pdg.tolist(),
    }


def make_shard(order: Order) -> Answer:
    """Carry out an order of :func:`make_order` on this worker."""
    refusal = refuse_versions(order["versions"], versions())
    if refusal is not None:
        return refusal
    try:
        with _lock:  # of several threads one prepares the tables
            detector, data = _prepared(order["detector"], order["physics"])
    except CaloForgeError as error:
        return "refused", f"the worker on {host()} has no tables for Geant4: {error}", ""
    if data.description != order["tables"]:
        text = f"the worker on {host()} has other tables for Geant4 ({data.description}) than here ({order['tables']})"
        return "refused", text, ""
    conditions = Conditions(detector, np.array(order["conditions"]), np.array(order["pdg"]))
    geant4 = _take(order["detector"], order["physics"], data)
    try:
        content = geant4.make(conditions, order["seed"], order["start"])
    except WorkError as error:
        geant4.end()
        return "failed", f"on {host()}: {error}", geant4.news
    except BaseException:
        geant4.end()
        raise
    _keep(geant4)
    return "shard", content, geant4.news


class _Geant4:
    """A Geant4 process with a folder of its own, where Dask clears up should this worker be killed."""

    timer: threading.Timer

    def __init__(self, toml: str, physics_list: str, data: PhysicsData) -> None:
        self.made_for = (toml, physics_list, data)
        self.news = ""
        self._folder = new_folder()
        self._process = Geant4Process(toml, physics_list, data.environment, self._folder / "geant4.log")

    def make(self, conditions: Conditions, seed: int, start: int) -> bytes:
        """Return the bytes of the shard's file."""
        path = self._folder / "shard.h5"
        try:
            self._process.send(Task(start, conditions, seed, path))
            while self._process.receive()[0] != "shard":
                pass
        finally:
            self.news = self._process.news()
        content = path.read_bytes()
        path.unlink()
        return content

    def end(self) -> None:
        self._process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


_lock = threading.Lock()
_idle: list[_Geant4] = []


@lru_cache(maxsize=1)
def _prepared(toml: str, physics_list: str) -> tuple[Detector, PhysicsData]:
    detector = detector_from_toml(toml)
    return detector, prepare_physics_data(physics_list, sorted(elements_of(detector)))


def _take(toml: str, physics_list: str, data: PhysicsData) -> _Geant4:
    """A warm Geant4 where there is one; an idle one of another job makes room."""
    with _lock:
        idle = _idle.pop() if _idle else None
    if idle is not None:
        idle.timer.cancel()
        if idle.made_for == (toml, physics_list, data):
            return idle
        idle.end()
    return _Geant4(toml, physics_list, data)


def _keep(geant4: _Geant4) -> None:
    geant4.timer = threading.Timer(LINGER, _end_if_idle, [geant4])
    geant4.timer.daemon = True
    with _lock:
        _idle.append(geant4)
        geant4.timer.start()


def _end_if_idle(geant4: _Geant4) -> None:
    with _lock:
        if geant4 not in _idle:
            return
        _idle.remove(geant4)
    geant4.end()
