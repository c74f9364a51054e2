"""``simulate`` against a bare Geant4 loop on the same events, side by side, and two workers against one, in turn.

The clock of a shared machine may change by tens of per cent from one minute to the next, so the bare loop and one
worker run at the same time, each on a core of its own, and their processor times are compared. Workers are compared by
wall clock; the wall clock of a run of one shard less its event loop is the start-up.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import caloforge
from caloforge.fullsim.physics_data import prepare_physics_data
from caloforge.fullsim.primaries import event_seeds
from fullsim.samples import Samples, reference_tables
from fullsim.timing import timed

SHORT, LONG = 20, 200
GEV = 10.0
ROUNDS = 4
SEED = 10
BARS = {"over_bare": 10.0, "two_workers": 1.8}
BARE, ONE, TWO = "bare", "one worker", "two workers"
_BEFORE_FACE = 0.01  # mm, where `simulate` starts its particles
_BARE = Path(__file__).with_name("bare_loop.py")


def measure(samples: Samples) -> dict[str, Any]:
    folder = samples.work / "speed"
    folder.mkdir(exist_ok=True)
    with reference_tables():
        environment = {**os.environ, **prepare_physics_data("G4EmStandardPhysics_option1", [1, 6, 82]).environment}
    same = _prepare(folder, environment)
    rounds = []
    for _ in range(ROUNDS):
        with ThreadPoolExecutor(2) as pool:
            pair = [pool.submit(_run, name, LONG, folder, environment) for name in (BARE, ONE)]
            beside = [item.result() for item in pair]
        alone = {name: [_run(name, events, folder, environment) for events in (SHORT, LONG)] for name in (ONE, TWO)}
        rounds.append({"side by side": dict(zip((BARE, ONE), beside, strict=True)), "alone": alone})
        print(f"round {len(rounds)} of {ROUNDS}: {rounds[-1]}", flush=True)
    return _figures(rounds) | {
        "events": [SHORT, LONG],
        "GeV": GEV,
        "same_showers": same,
        "bars": BARS,
        "rounds": rounds,
    }


def _prepare(folder: Path, environment: Mapping[str, str]) -> bool:
    """Write the primaries of `simulate`'s own events for the bare loop; whether both make the same showers of them."""
    output = folder / "untimed.h5"
    with reference_tables():
        caloforge.simulate("lhcb-ecal", LONG, output=output, seed=SEED, energy=1e3 * GEV, overwrite=True)
    showers = caloforge.load(output)
    form = showers.conditions.to_file_form()
    momentum = form.momentum.astype(np.float64)
    directions = momentum / np.linalg.norm(momentum, axis=1, keepdims=True)
    starts = np.zeros((LONG, 3))
    starts[:, :2] = form.position
    starts -= directions * (_BEFORE_FACE / directions[:, 2:])
    starts[:, 2] = -_BEFORE_FACE  # to the last bit
    for events in (SHORT, LONG):
        np.savez(
            folder / f"{events}.npz",
            energies=form.incident_energies[:events, 0].astype(np.float64),
            directions=directions[:events],
            starts=starts[:events],
            seeds=event_seeds(SEED, 0, events),
        )
    visible = folder / "visible.npy"
    timed([sys.executable, str(_BARE), str(folder / f"{SHORT}.npz"), "--visible", str(visible)], environment)
    ours = showers.energies[:SHORT].sum(axis=1, dtype=np.float64)
    return bool(np.allclose(ours, np.load(visible), rtol=1e-6, atol=0))


def _run(name: str, events: int, folder: Path, environment: Mapping[str, str]) -> dict[str, float]:
    """Seconds: ``wall`` of the whole program, ``loop`` of processor time in the event loop; ``others``, how many cores
    were busy with something else meanwhile."""
    if name == BARE:
        command = [sys.executable, str(_BARE), str(folder / f"{events}.npz")]
    else:
        workers = {ONE: "1", TWO: "2"}[name]
        command = [sys.executable, "-m", "caloforge", "simulate", "lhcb-ecal", "-n", str(events), "--seed", str(SEED)]
        command += ["--energy", str(1e3 * GEV), str(1e3 * GEV), "--workers", workers, "--json", "--overwrite"]
        command += ["-o", str(folder / "timed.h5")]
    done = timed(command, environment)
    last = json.loads(done.out.strip().splitlines()[-1])
    loop = last["processor"] if name == BARE else events * last["provenance"]["seconds_per_event_core"]
    return {"wall": done.wall, "loop": loop, "others": done.others}


def _spread(values: list[float]) -> dict[str, float]:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(median), "low": float(low), "high": float(high), "least": float(min(values))}


def _figures(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Ratios are of the same round. A short run is one shard, on one worker whatever their number."""
    beside = [item["side by side"] for item in rounds]
    alone = [item["alone"] for item in rounds]
    whole = {name: [item[name][1] for item in alone] for name in (ONE, TWO)}
    net = {
        name: [long["wall"] - (short["wall"] - short["loop"]) for short, long in (item[name] for item in alone)]
        for name in (ONE, TWO)
    }
    per_gev = 1e3 / GEV / LONG
    return {
        "ms_per_GeV": {
            "bare, beside one worker": _spread([per_gev * item[BARE]["loop"] for item in beside]),
            "one worker, beside the bare loop": _spread([per_gev * item[ONE]["loop"] for item in beside]),
            "one worker alone": _spread([per_gev * item["loop"] for item in whole[ONE]]),
            "two workers, each": _spread([per_gev * item["loop"] for item in whole[TWO]]),
        },
        "over_bare": _spread([item[ONE]["loop"] / item[BARE]["loop"] for item in beside]),
        # What the machine has for two programs that share nothing: work done side by side over that of one alone.
        "two_programs": _spread(
            [
                alone["loop"] * (1 / pair[BARE]["loop"] + 1 / pair[ONE]["loop"])
                for alone, pair in zip(whole[ONE], beside, strict=True)
            ]
        ),
        "two_workers": {
            "without start-up": _spread([a / b for a, b in zip(net[ONE], net[TWO], strict=True)]),
            "whole program": _spread([a["wall"] / b["wall"] for a, b in zip(whole[ONE], whole[TWO], strict=True)]),
        },
        "others": _spread([item["others"] for name in (ONE, TWO) for item in whole[name]]),
    }
