"""Built-in tables against reference tables: the same events, settings and seeds, electrons at normal incidence."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from caloforge.evaluation import Measured
from fullsim.samples import Samples, normal_incidence
from fullsim.statistics import Events, bootstrap, core, read_events, resolution

ABSORBERS = {"Pb": "G4_Pb", "W": "G4_W"}
RUNS = {
    "Pb": {2.0: (2000, 14000), 10.0: (2000,), 50.0: (2000, 2000)},
    "W": {2.0: (2000,), 10.0: (2000,), 50.0: (2000,)},
}
"""Events of each run by absorber and GeV; a second run where 2,000 events leave the resolution open."""
FIGURES = {
    "visible energy": lambda sample: float(sample.visible.mean()),
    "resolution": lambda sample: resolution(sample.visible),
    "depth": lambda sample: float(sample.depth.mean()),
    "radius": lambda sample: float(sample.radius.mean()),
    "resolution of the core": lambda sample: core(sample.visible),
}
BARS = {"visible energy": 0.5, "resolution": 5.0, "depth": 1.0, "radius": 1.0}
"""Per cent."""


def measure(samples: Samples) -> dict[str, Any]:
    """Deviation of each figure in per cent, its error, and how it lies to the bar."""
    points = []
    for absorber in ABSORBERS:
        for gev in RUNS[absorber]:
            reference, builtin = (read_events(*paths) for paths in files(samples, absorber, gev))
            points.append({"absorber": absorber, "GeV": gev, "events": len(builtin)} | compare(builtin, reference))
    return {"points": points, "bars": BARS, "consistency": consistency(points)}


def files(samples: Samples, absorber: str, gev: float) -> tuple[list[Path], list[Path]]:
    """The files of showers with reference tables and those with built-in tables, one of each for every run."""
    detector = normal_incidence(ABSORBERS[absorber])
    made: tuple[list[Path], list[Path]] = ([], [])
    for run, events in enumerate(RUNS[absorber][gev]):
        for builtin, paths in zip((False, True), made, strict=True):
            name = f"{absorber}-{gev:g}-GeV-{'built-in' if builtin else 'reference'}" + (f"-{run + 1}" if run else "")
            seed = round(gev) + 1000 * run
            paths.append(samples.simulated(name, detector, events, seed=seed, gev=gev, builtin=builtin))
    return made


def compare(builtin: Events, reference: Events) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, figure in FIGURES.items():
        deviation = bootstrap(
            lambda ours, theirs, figure=figure: 100 * (figure(ours) / figure(theirs) - 1),
            builtin,
            reference,
            paired=True,
        )
        record[name] = asdict(deviation) | {"reference": figure(reference)}
        if name in BARS:
            record[name]["verdict"] = verdict(deviation, BARS[name])
    return record


def verdict(deviation: Measured, bar: float) -> str:
    """Where a deviation lies to its bar, its error counted twice."""
    if abs(deviation.value) > bar:
        return f"beyond by {(abs(deviation.value) - bar) / deviation.error:.1f} standard errors"
    return "within" if abs(deviation.value) + 2 * deviation.error <= bar else "within, two standard errors reach beyond"


def consistency(points: list[dict[str, Any]]) -> dict[str, Any]:
    """For each figure chi-square of all points against no deviation, and their weighted mean."""
    record = {}
    for name in BARS:
        found = [Measured(point[name]["value"], point[name]["error"]) for point in points]
        weights = [1 / item.error**2 for item in found]
        mean = sum(w * item.value for w, item in zip(weights, found, strict=True)) / sum(weights)
        record[name] = {
            "chi2": sum((item.value / item.error) ** 2 for item in found),
            "points": len(found),
            "mean": Measured(mean, 1 / math.sqrt(sum(weights))),
        }
    return record
