"""Which figure of the evaluation sees which mistake: Geant4 altered in known ways, against Geant4.

    python benchmarks/sensitivity.py --train lhcb-ecal-electron-train.h5 --test lhcb-ecal-electron-test.h5

The reference is the first 5,000 events of the test file, what is altered the next 5,000, each under conditions of their
own; the training set is the first 20,000 events of the training file. Files and figures are kept under ``--work``, and
a run that was interrupted goes on from there. Writes ``benchmarks/results/sensitivity.json`` and ``sensitivity.md``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2, ks_2samp

import caloforge
from caloforge.evaluation import binned_response, energy_edges, response_ratio
from caloforge.evaluation.classifier import classify
from caloforge.evaluation.collect import Sample, collect
from caloforge.evaluation.results import SIGNIFICANT
from caloforge.evaluation.rows import Draws, auc_row
from caloforge.evaluation.whole import compare_whole
from caloforge.random import normals, uniforms
from caloforge.reports.wording import WHOLE_SHOWERS
from caloforge.showers import ShowerFile, Showers, save

RESULTS = Path(__file__).parent / "results"
EVENTS = 5_000
SWAPPED = (10, 20)
TRAINING = 20_000
DRAWS = Draws(errors=20, floors=10, permutations=300, slow_floors=2)
Figures = dict[str, dict[str, Any]]
"""Value and p value of each figure by name, and which observable it is of where it is the worst of several."""


def unaltered(showers: Showers) -> Showers:
    """Geant4 as it is: what is seen here is a false alarm."""
    return showers


def smeared(showers: Showers) -> Showers:
    """Every shower times a normal factor of mean 1 and deviation 0.01."""
    factor = 1 + np.float32(0.01) * normals(1, "sensitivity/smear", 0, len(showers), 1)
    assert showers.layer_energies is not None
    return dataclasses.replace(
        showers, energies=showers.energies * factor, layer_energies=showers.layer_energies * factor
    )


def shifted(showers: Showers) -> Showers:
    """0.5 mm along x: that share of a cell's energy moves into its neighbour, 1/40 for cells of 20 mm.

    The mean moves by 0.5 mm exactly; the width grows by about 1 % of its square, which no real shift would do.
    """
    cells = showers.detector.cells
    share = np.float32(0.5 / cells.size[0])
    image = showers.energies.reshape(-1, *cells.shape)
    moved = (1 - share) * image
    moved[:, 1:] += share * image[:, :-1]
    return dataclasses.replace(showers, energies=moved.reshape(showers.energies.shape))


def dropped(showers: Showers) -> Showers:
    """Every cell of every shower empty with a probability of 1 %."""
    kept = uniforms(1, "sensitivity/drop", 0, len(showers), showers.energies.shape[1]) >= 0.01
    return dataclasses.replace(showers, energies=showers.energies * kept.astype(np.float32))


def swapped(showers: Showers) -> Showers:
    """The energies of layers 10 and 20 exchanged; the cells, which sum over the layers, stay."""
    assert showers.layer_energies is not None
    layers = showers.layer_energies.copy()
    layers[:, SWAPPED] = layers[:, SWAPPED[::-1]]
    return dataclasses.replace(showers, layer_energies=layers)


ALTERATIONS: dict[str, Callable[[Showers], Showers]] = {
    "nothing": unaltered,
    "smeared by 1 %": smeared,
    "shifted by 0.5 mm": shifted,
    "1 % of cells dropped": dropped,
    "two layers swapped": swapped,
}
COPY = "training set copied"


def single_observables(sample: Sample, reference: Sample, names: list[str]) -> Figures:
    """Figures of one observable at a time.

    Where a figure is the worst of several, its p value is multiplied by their number.
    """
    tests = {name: ks_2samp(sample.observables[name], reference.observables[name]) for name in names}
    worst = min(tests, key=lambda name: tests[name].pvalue)
    found = {
        "Kolmogorov-Smirnov, worst observable": {
            "value": float(tests[worst].statistic),
            "p_value": min(1.0, float(tests[worst].pvalue) * len(tests)),
            "note": worst,
        }
    }
    spec = reference.detector.conditions[reference.detector.column("energy")]
    edges = energy_edges(spec.low, spec.high, [reference.incident, sample.incident])
    ratio = response_ratio(*(binned_response(item.visible, item.incident, edges) for item in (sample, reference)))
    for name, values, errors in (
        ("response in bins of energy", ratio.response, ratio.response_error),
        ("resolution in bins of energy", ratio.resolution, ratio.resolution_error),
    ):
        pulls = (np.array(values) - 1) / np.array(errors)
        found[name] = {
            "value": values[int(np.abs(pulls).argmax())],
            "p_value": float(chi2.sf((pulls**2).sum(), len(pulls))),
        }
    return found


def boosting(sample: Sample, reference: Sample, names: list[str]) -> Figures:
    """The classifier that every evaluation has."""
    x, y = (
        np.column_stack([*(item.observables[name] for name in names), item.conditions]) for item in (sample, reference)
    )
    test = classify(x, y, [*names, *reference.detector.condition_names], paired=False, seed=0, rotations=2)
    row = auc_row("boosting", test.auc, test.floor, test.events, "", {})
    assert row.p_value is not None
    return {"AUC, gradient boosting on observables": {"value": test.auc.value, "p_value": row.p_value}}


def figures(sample: Sample, reference: Sample, training: Sample, paths: tuple[Path, Path]) -> Figures:
    """Everything with a p value."""
    names = [name for name, values in reference.observables.items() if np.ptp(values) > 0]
    found = single_observables(sample, reference, names) | boosting(sample, reference, names)
    rows = compare_whole(sample, reference, training, paths, names, paired=False, seed=0, report=print, draws=DRAWS)
    for row in rows:
        if row.value is not None and row.p_value is not None:
            found[WHOLE_SHOWERS[row.name]] = {"value": row.value.value, "p_value": row.p_value}
    return found


def markdown(table: dict[str, Figures]) -> str:
    columns = list(table)
    names = list(table[columns[0]])
    lines = [
        "# Which figure sees which mistake",
        "",
        f"caloforge {caloforge.__version__}; Geant4 electrons of lhcb-ecal: {EVENTS:,} altered against {EVENTS:,} "
        f"others, conditions of their own. p values; **bold**: seen, p < {SIGNIFICANT:g}. Those from "
        f"{DRAWS.permutations} random deals cannot go below {1 / (DRAWS.permutations + 1):.4f} (twice that where both "
        "sides count). Made by `benchmarks/sensitivity.py`.",
        "",
        "| figure | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in names:
        cells = []
        for column in columns:
            p, note = table[column][name]["p_value"], table[column][name].get("note")
            text = f"{p:.2g}" if p >= 1e-4 else "< 0.0001"
            cells.append(f"**{text}**{f' ({note})' if note else ''}" if p < SIGNIFICANT else text)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="the training file: what is copied")
    parser.add_argument("--test", type=Path, required=True, help="the test file: 10,000 events at least")
    parser.add_argument("--work", type=Path, required=True, help="folder for altered files and figures")
    arguments = parser.parse_args()
    folder: Path = arguments.work
    folder.mkdir(exist_ok=True)

    def write(label: str, make: Callable[[], Showers]) -> Path:
        path = folder / f"{label}.h5"
        if not path.exists():
            save(path, make(), source="import", provenance={})
        return path

    def read(source: Path, start: int) -> Showers:
        with ShowerFile(source) as file:
            return file.read(start, start + EVENTS)

    path = write("reference", lambda: read(arguments.test, 0))
    reference = collect(path, max_events=EVENTS, progress=print)
    training = collect(arguments.train, max_events=TRAINING, progress=print)
    table: dict[str, Figures] = {}
    for label in (*ALTERATIONS, COPY):
        known = folder / f"{label}.json"
        if not known.exists():

            def altered(label: str = label) -> Showers:
                return read(arguments.train, 0) if label == COPY else ALTERATIONS[label](read(arguments.test, EVENTS))

            sample = write(label, altered)
            found = figures(collect(sample, max_events=EVENTS, progress=print), reference, training, (sample, path))
            known.write_text(json.dumps(found), encoding="utf-8")
        table[label] = json.loads(known.read_text(encoding="utf-8"))
    RESULTS.mkdir(exist_ok=True)
    plain = {"version": caloforge.__version__, "events": EVENTS, "training": TRAINING, "figures": table}
    (RESULTS / "sensitivity.json").write_text(json.dumps(plain) + "\n", encoding="utf-8")
    (RESULTS / "sensitivity.md").write_text(markdown(table), encoding="utf-8")
    print(markdown(table))


if __name__ == "__main__":
    main()
