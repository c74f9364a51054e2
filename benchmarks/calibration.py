"""How often the errors of distances cover: Geant4 against Geant4, 200 times, from disjoint random parts of one file.

    python benchmarks/calibration.py lhcb-ecal-electron-train.h5

Each repetition draws two disjoint samples of the file's showers and compares all observables. Where the two follow one
law the true excess over the floor is zero; where one of them is tilted in energy the true value is the mean over all
repetitions. A standard error covers if it does so in 68 % of the repetitions. Writes
``benchmarks/results/calibration.json`` and ``calibration.md``.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import caloforge
from caloforge.evaluation.distances import compare, histogram_edges
from caloforge.evaluation.evaluate import FULL, QUICK, Effort
from caloforge.evaluation.metrics import METRICS
from caloforge.evaluation.resampling import Plan
from caloforge.observables import compute, observables_for
from caloforge.random import permutation, uniforms
from caloforge.showers import ShowerFile

RESULTS = Path(__file__).parent / "results"
REPETITIONS = 200
NOMINAL, BAR = 0.6827, 0.05
TILT = 0.5  # the density of the tilted sample goes from 1 - TILT to 1 + TILT over the ranks of the energy

Values = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Case:
    """One series of repetitions: its name, showers a side, tilted or of one law, and the numbers of draws."""

    name: str
    showers: int
    tilted: bool
    effort: Effort


CASES = [
    Case("one law, 1,000 a side", 1000, False, QUICK),
    Case("one law, 2,000 a side", 2000, False, QUICK),
    Case("one law, 5,000 a side", 5000, False, QUICK),
    Case("tilted in energy, 2,000 a side", 2000, True, QUICK),
    Case("one law, 2,000 a side, the draws of a full evaluation", 2000, False, FULL),
]


def observables(path: Path) -> tuple[Values, Values, NDArray[np.float64]]:
    """All observables that vary, their bins, and the incident energies."""
    parts: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    energies = []
    with ShowerFile(path) as file:
        for block in file.blocks(2000):
            found = compute(block.energies.astype(np.float64), block.conditions.matrix, file.detector)
            for name, values in found.items():
                parts[name].append(values)
            energies.append(block.conditions.column("energy"))
        table = observables_for(file.detector)
    values = {name: np.concatenate(items) for name, items in parts.items()}
    print(f"{path.name}: {len(values)} observables of {len(np.concatenate(energies)):,} showers", flush=True)
    kept = {name: item for name, item in values.items() if np.ptp(item) > 0}
    edges = {name: histogram_edges(item, lattice=table[name].lattice) for name, item in kept.items()}
    return kept, edges, np.concatenate(energies)


def chosen(
    case: Case, energies: NDArray[np.float64], repetition: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of sample and reference, disjoint."""
    order = permutation(seed, f"calibration/{case.name}", repetition, len(energies))
    reference, rest = order[: case.showers], order[case.showers :]
    if case.tilted:
        rank = np.argsort(np.argsort(energies)) / len(energies)
        keep = uniforms(seed, f"calibration/{case.name}/tilt", repetition, 1, len(energies))[0]
        rest = rest[keep[rest] < (1 + TILT * (2 * rank[rest] - 1)) / (1 + TILT)]
    if len(rest) < case.showers:
        raise SystemExit(f"{len(energies)} showers are too few for {case.name}")
    return rest[: case.showers], reference


def run(
    case: Case, values: Values, edges: Values, energies: NDArray[np.float64], repetitions: int, seed: int
) -> dict[str, Any]:
    """Coverage of every distance of every observable, and how often all observables are within the floor."""
    found: dict[str, dict[str, list[tuple[float, ...]]]] = {key: defaultdict(list) for key in METRICS}
    for repetition in range(repetitions):
        first, second = chosen(case, energies, repetition, seed)
        plan = Plan(case.showers, case.showers, False, case.effort.bootstraps, case.effort.floors, repetition)
        sample, reference = ({name: item[part] for name, item in values.items()} for part in (first, second))
        for item in compare(sample, reference, edges, plan):
            for key, figure in item.figures.items():
                found[key][item.name].append(
                    (figure.value.value, figure.value.error, figure.floor.value, float(figure.within_floor))
                )
        print(f"{case.name}: {repetition + 1} of {repetitions}", end="\r", flush=True)
    print()
    return {
        key: {
            "all_within_floor": float(np.array(list(items.values()))[..., 3].all(axis=0).mean()),
            "observables": {name: _coverage(np.array(rows), case.tilted) for name, rows in items.items()},
        }
        for key, items in found.items()
    }


def _coverage(rows: NDArray[np.float64], tilted: bool) -> dict[str, float]:
    value, error, floor, within = rows.T
    # Of one law: is the excess over the floor of this very comparison compatible with zero?
    distance = np.abs(value - value.mean()) if tilted else np.abs(value - floor)
    found = {
        "coverage": (distance <= error).mean(),
        "coverage_of_mean": (np.abs(value - value.mean()) <= error).mean(),
        "mean_value": value.mean(),
        "mean_floor": floor.mean(),
        "spread_of_values": value.std(ddof=1),
        "mean_error": error.mean(),
        "within_floor": within.mean(),
    }
    return {name: float(f"{item:.4g}") for name, item in found.items()}


def table(case: Case, found: dict[str, Any]) -> list[str]:
    """A row for each distance, means over the observables."""
    lines = [
        f"## {case.name}",
        "",
        f"{case.effort.bootstraps} bootstrap samples, {case.effort.floors} halves.",
        "",
        "| distance | coverage | observables: lowest | highest | mean error / spread | one in floor | all | kept |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, entry in found.items():
        items = entry["observables"]
        column = {name: np.array([item[name] for item in items.values()]) for name in next(iter(items.values()))}
        mean = column["coverage"].mean()
        lines.append(
            f"| {key.replace('_', ' ')} | {100 * mean:.1f} % | {100 * column['coverage'].min():.1f} % | "
            f"{100 * column['coverage'].max():.1f} % | "
            f"{(column['mean_error'] / column['spread_of_values']).mean():.2f} | "
            f"{100 * column['within_floor'].mean():.1f} % | {100 * entry['all_within_floor']:.1f} % | "
            f"{'yes' if abs(mean - NOMINAL) <= BAR else 'no'} |"
        )
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="Geant4 showers, at least 15,000")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    values, edges, energies = observables(arguments.data)
    lines = [
        f"# Do the errors of the distances cover? {arguments.repetitions} comparisons of Geant4 with Geant4",
        "",
        f"caloforge {caloforge.__version__}; {len(values)} observables of {len(energies):,} electrons in lhcb-ecal, "
        "disjoint random parts. Coverage: how often the true value lies within one standard error, mean over the "
        f"observables; nominal {100 * NOMINAL:.1f} %, kept within {100 * BAR:.0f} points. Of one law: the excess over "
        "the floor of the same comparison, which is truly zero. Tilted: the mean over all repetitions. The count for "
        "one observable has an error of 3.3 points. Last: how often one observable is within the floor, "
        "and how often all are (nominal 95 % of one law). Made by `benchmarks/calibration.py`.",
        "",
    ]
    record = []
    for case in CASES:
        found = run(case, values, edges, energies, arguments.repetitions, arguments.seed)
        lines += table(case, found)
        record.append({**asdict(case), "distances": found})
        print("\n".join(table(case, found)), flush=True)
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "calibration.json").write_text(json.dumps(record, allow_nan=False) + "\n")
        (RESULTS / "calibration.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
