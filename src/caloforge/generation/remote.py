"""On a worker of Dask: shards made by a model that is loaded once and kept for the next shard."""

from __future__ import annotations

import shutil
import threading
import time
from functools import lru_cache
from pathlib import Path

import numpy as np

from caloforge._version import __version__
from caloforge.detector import Conditions, Detector, detector_from_toml
from caloforge.errors import CaloForgeError
from caloforge.generation.engines import ENGINES
from caloforge.generation.maker import Maker, made_showers
from caloforge.generation.request import Block, Request
from caloforge.processes import installed_versions
from caloforge.runs.remote import Answer, Order, host, new_folder, refuse_versions
from caloforge.showers import ShowerWriter
from caloforge.showers.arrays import WHOLE_CHUNKS

_Settings = tuple[str, str, int, int]


@lru_cache(maxsize=1)
def versions(engine: str) -> dict[str, str]:
    """The versions on which showers depend; "none" for a package that is not installed."""
    return {"caloforge": __version__, **installed_versions(["numpy", "scipy", ENGINES[engine].package])}


def make_order(request: Request, engine: str, start: int, stop: int) -> Order:
    """Return the order for the events ``start`` to ``stop``; the bytes of the bundle go along with it."""
    block = request.stretch(start, stop)
    return {
        "versions": versions(engine),
        "model": request.bundle.path.name,
        "digest": request.bundle.digest,
        "engine": engine,
        "seed": request.seed,
        "batch": request.batch,
        "detector": request.detector.toml,
        "start": start,
        "conditions": block.conditions.matrix.tobytes(),
        "pdg": block.conditions.pdg.tobytes(),
        "outside": None if block.outside is None else block.outside.tobytes(),
    }


def make_shard(order: Order, model: bytes) -> Answer:
    """Carry out an order of :func:`make_order` on this worker.

    Args:
        model: content of the bundle.

    The shard's provenance notes its wall-clock ``seconds``, those inside the model, and the ``thread`` that worked.
    """
    started = time.perf_counter()
    refusal = refuse_versions(order["versions"], versions(order["engine"]))
    if refusal is not None:
        return refusal
    folder = new_folder()
    shard = folder / "shard.h5"
    try:
        maker = _loaded(order, model, folder)
        block = _block(order)
        inside = 0.0
        facts = {"thread": f"{folder.parent}/{threading.get_ident()}"}
        with ShowerWriter(shard, block.conditions.detector, source="model", provenance=facts) as writer:
            for part in block.parts(WHOLE_CHUNKS):
                made = maker.make(part.start, part.conditions.inputs)
                writer.append(made_showers(part, made.energies, order["model"]))
                inside += made.model_seconds
            writer.note(seconds=time.perf_counter() - started, model_seconds=inside)
        return "shard", shard.read_bytes(), ""
    except CaloForgeError as error:
        return "failed", f"on {host()}: {error}", ""
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_lock = threading.Lock()
_makers: dict[_Settings, Maker] = {}  # one at most


def _loaded(order: Order, model: bytes, folder: Path) -> Maker:
    settings = (order["digest"], order["engine"], order["seed"], order["batch"])
    with _lock:  # of several threads one loads it, for all
        if settings not in _makers:
            _makers.clear()
            path = folder / order["model"]
            path.write_bytes(model)
            _makers[settings] = Maker(path, order["digest"], order["engine"], 1, order["seed"], order["batch"])
        return _makers[settings]


def _block(order: Order) -> Block:
    pdg = np.frombuffer(order["pdg"], dtype=np.int32)
    matrix = np.frombuffer(order["conditions"], dtype=np.float64).reshape(len(pdg), -1)
    outside = None if order["outside"] is None else np.frombuffer(order["outside"], dtype=np.bool_)
    return Block(order["start"], Conditions(_detector(order["detector"]), matrix, pdg), outside)


@lru_cache(maxsize=1)
def _detector(toml: str) -> Detector:
    return detector_from_toml(toml)
