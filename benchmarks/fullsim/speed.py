"""``simulate`` against a bare Geant4 loop on the same events, and two workers against one; turn and turn about.

Every program runs twice a round, for a short and a long list of events, so that the difference has no start-up in it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import caloforge
from caloforge.fullsim.physics_data import prepare_physics_data
from caloforge.fullsim.primaries import event_seeds
from fullsim.samples import Samples, reference_tables
from fullsim.timing import timed

SHORT, LONG = 100, 400
GEV = 10.0
ROUNDS = 5
SEED = 10
BARS = {"over_bare": 10.0, "two_workers": 1.8}
PROGRAMS = ("bare", "one worker", "two workers")
_BEFORE_FACE = 0.01  # mm, where `simulate` starts its particles
_BARE = Path(__file__).with_name("bare_loop.py")


def measure(samples: Samples) -> dict[str, Any]:
    folder = samples.work / "speed"
    folder.mkdir(exist_ok=True)
    with reference_tables():
        environment = {**os.environ, **prepare_physics_data("G4EmStandardPhysics_option1", [1, 6, 82]).environment}
    same = _prepare(folder, environment)
    times: dict[str, dict[int, list[dict[str, float]]]] = {name: {SHORT: [], LONG: []} for name in PROGRAMS}
    for number in range(ROUNDS):
        for name in PROGRAMS[number % 3 :] + PROGRAMS[: number % 3]:
            for events in (SHORT, LONG):
                times[name][events].append(_run(name, events, folder, environment))
                print(f"round {number + 1}, {name}, {events} events: {times[name][events][-1]}", flush=True)
    return _figures(times) | {"events": [SHORT, LONG], "GeV": GEV, "same_showers": same, "bars": BARS, "rounds": times}


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
    """Seconds: ``wall`` and ``processor`` of the whole program, ``loop`` of processor time in the event loop alone;
    ``others``: how many cores were busy with something else meanwhile."""
    if name == "bare":
        command = [sys.executable, str(_BARE), str(folder / f"{events}.npz")]
    else:
        workers = {"one worker": "1", "two workers": "2"}[name]
        command = [sys.executable, "-m", "caloforge", "simulate", "lhcb-ecal", "-n", str(events), "--seed", str(SEED)]
        command += ["--energy", str(1e3 * GEV), str(1e3 * GEV), "--workers", workers, "--json", "--overwrite"]
        command += ["-o", str(folder / "timed.h5")]
    done = timed(command, environment)
    last = json.loads(done.out.strip().splitlines()[-1])
    loop = last["processor"] if name == "bare" else events * last["provenance"]["seconds_per_event_core"]
    return {"wall": done.wall, "processor": done.processor, "loop": loop, "others": done.others}


def _spread(values: list[float]) -> dict[str, float]:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return {"median": float(median), "low": float(low), "high": float(high), "least": float(min(values))}


def _figures(times: dict[str, dict[int, list[dict[str, float]]]]) -> dict[str, Any]:
    """Ratios are of the same round, so that a slow spell of the machine enters both sides."""

    def slope(name: str, kind: str) -> list[float]:
        """Seconds an event without start-up, of each round."""
        short, long = (times[name][events] for events in (SHORT, LONG))
        return [(b[kind] - a[kind]) / (LONG - SHORT) for a, b in zip(short, long, strict=True)]

    def whole(name: str, kind: str) -> list[float]:
        return [item[kind] for item in times[name][LONG]]

    def over(ours: list[float], theirs: list[float]) -> dict[str, float]:
        return _spread([one / other for one, other in zip(ours, theirs, strict=True)])

    per_gev = 1e3 / GEV
    return {
        "ms_per_GeV": {
            name: {
                kind: _spread([per_gev * value for value in slope(name, kind)])
                for kind in ("loop", "processor", "wall")
            }
            for name in PROGRAMS
        },
        "over_bare": {
            **{kind: over(slope("one worker", kind), slope("bare", kind)) for kind in ("loop", "processor", "wall")},
            "whole program, wall": over(whole("one worker", "wall"), whole("bare", "wall")),
        },
        "two_workers": {
            "without start-up": over(slope("one worker", "wall"), slope("two workers", "wall")),
            "whole program": over(whole("one worker", "wall"), whole("two workers", "wall")),
        },
        "start_up": {
            name: _spread([a["wall"] - SHORT * s for a, s in zip(times[name][SHORT], slope(name, "wall"), strict=True)])
            for name in PROGRAMS
        },
        "others": _spread([run["others"] for name in PROGRAMS for runs in times[name].values() for run in runs]),
    }
