"""Kill -9 of a worker or of the parent at random moments; the file in the end is that of an undisturbed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from caloforge.runs.work import work_folder
from fullsim.samples import Samples, reference_tables

EVENTS = 5000
GEV = 2.0
KILLS = 10
SEED = 3
MOMENTS = (0.5, 7.0)
"""Seconds after the start of the command between which the kill falls; Geant4 takes two or three to start."""
_PROGRAM = b"caloforge.fullsim.worker"


def measure(samples: Samples) -> dict[str, Any]:
    folder = samples.work / "resume"
    folder.mkdir(exist_ok=True)
    disturbed, undisturbed = folder / "disturbed.h5", folder / "undisturbed.h5"
    for path in (disturbed, undisturbed):
        path.unlink(missing_ok=True)
    random = np.random.default_rng(SEED)
    kills = []
    while len(kills) < KILLS:
        kill = _kill(disturbed, random)
        if kill is None:
            raise SystemExit(f"the run was over after {len(kills)} kills; raise EVENTS")
        kills.append(kill)
        print(f"kill {len(kills)}: {kill}", flush=True)
    for path in (disturbed, undisturbed):
        if _start(path).wait():
            raise SystemExit(f"simulate failed for {path}")
    return {"events": EVENTS, "GeV": GEV, "kills": kills} | _compare(disturbed, undisturbed)


def _start(output: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "caloforge", "simulate", "lhcb-ecal", "-n", str(EVENTS), "--seed", str(SEED)]
    command += ["--energy", str(1e3 * GEV), str(1e3 * GEV), "--workers", "2", "--json", "-o", str(output)]
    with reference_tables():
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _kill(output: Path, random: np.random.Generator) -> dict[str, Any] | None:
    """Start the command, kill its parent process or a worker, and wait until all are gone; None if it ended before."""
    process = _start(output)
    moment, parent, which = random.uniform(*MOMENTS), random.random() < 0.5, int(random.integers(2))
    time.sleep(moment)
    workers = _workers(process.pid)
    parent = parent or not workers  # killed before it has any
    if process.poll() is not None:
        return None
    victim = process.pid if parent else workers[which % len(workers)]
    os.kill(victim, signal.SIGKILL)
    said = process.communicate()[1].decode().strip().splitlines()
    while any(map(_alive, workers)):
        time.sleep(0.02)
    if not parent and (process.returncode != 1 or "was killed" not in said[-1]):
        raise SystemExit(f"a killed worker gave exit code {process.returncode} and {said}")
    shards = len(list(work_folder(output).glob("shard-*.h5")))
    return {"seconds": round(moment, 2), "victim": "parent" if parent else "worker", "shards_kept": shards}


def _workers(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [
            int(child)
            for child in children
            if b"caloforge.fullsim.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
    except OSError:
        return []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _compare(path: Path, other: Path) -> dict[str, Any]:
    """Which arrays differ in a bit, and which attributes differ besides the measured seconds."""
    arrays, attributes = _contents(path)
    others, other_attributes = _contents(other)
    differ = [name for name in {*arrays, *others} if not _identical(arrays.get(name), others.get(name))]
    facts = [name for name in attributes if attributes[name] != other_attributes.get(name)]
    same = not differ and not facts and attributes.keys() == other_attributes.keys()
    return {"arrays": sorted(arrays), "different_arrays": differ, "different_attributes": facts, "identical": same}


def _identical(one: Any, other: Any) -> bool:
    return one is not None and other is not None and one.dtype == other.dtype and one.tobytes() == other.tobytes()


def _contents(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: arrays.update({name: item[:]} if isinstance(item, h5py.Dataset) else {}))
        attributes = dict(file.attrs)
    provenance = json.loads(attributes.pop("provenance"))
    del provenance["seconds_per_event_core"]
    return arrays, attributes | {"provenance": provenance}
