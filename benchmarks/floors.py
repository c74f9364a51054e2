"""Geant4 against Geant4: what every figure of an evaluation says of two samples that are alike.

    python benchmarks/floors.py lhcb-ecal-electron-test.h5 --work WORK

The first 5,000 showers of the file are the reference, the next 5,000 the sample, each under conditions of their own.
The neural networks are trained too, which takes two and a half hours on one core; a run that was interrupted goes
on with the next network. Writes ``benchmarks/results/floors.json`` and ``floors.md``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import caloforge
from caloforge.evaluation import Evaluation, evaluate
from caloforge.evaluation.metrics import METRICS
from caloforge.evaluation.network_rows import NETWORKS
from caloforge.reports import write_report
from caloforge.reports.wording import WHOLE_SHOWERS
from caloforge.showers import ShowerFile, save

RESULTS = Path(__file__).parent / "results"
EVENTS = 5_000


def halves(data: Path, work: Path) -> tuple[Path, Path]:
    """Sample and reference, written once."""
    reference, sample = work / "Geant4-reference.h5", work / "Geant4-sample.h5"
    with ShowerFile(data) as file:
        for number, path in enumerate((reference, sample)):
            if not path.exists():
                showers = file.read(number * EVENTS, (number + 1) * EVENTS)
                save(path, showers, source="geant4", provenance=file.provenance)
    return sample, reference


def aucs(found: Evaluation) -> list[tuple[str, float, float]]:
    """Every AUC with its error."""
    sample = found.samples[0]
    named = [("gradient boosting on observables and conditions", sample.classifier.auc)]
    named += [(WHOLE_SHOWERS[row.name], row.value) for row in sample.whole if row.perfect == 0.5 and row.value]
    return [(name, auc.value, auc.error) for name, auc in named]


def distances(found: Evaluation) -> list[dict[str, Any]]:
    """Every distance of one number: its excess over the floor in spreads."""
    sample = found.samples[0]
    named = [(f"{key} of {item.name}", figure) for item in sample.distances for key, figure in item.figures.items()]
    named.append(("mean image", sample.image_distance))
    if sample.correlations.distance is not None:
        named.append(("correlations", sample.correlations.distance))
    return [
        {
            "name": name,
            "value": figure.value.value,
            "floor": figure.floor.value,
            "spreads_above": figure.spreads_above_floor,
            "band": figure.band,
            "within": figure.within_floor,
        }
        for name, figure in named
    ]


def markdown(found: Evaluation) -> str:
    lines = [
        "# Geant4 against Geant4",
        "",
        f"caloforge {caloforge.__version__}; electrons of lhcb-ecal, {EVENTS:,} against {EVENTS:,}, conditions of "
        "their own. Made by `benchmarks/floors.py`.",
        "",
        "| AUC | value | off 0.5 by |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {auc:.4f} ± {error:.4f} | {(auc - 0.5) / error:+.1f} of its errors |"
        for name, auc, error in aucs(found)
    ]
    table = distances(found)
    lines += [
        "",
        f"{len(found.samples[0].distances)} observables, {len(METRICS)} distances each, mean image and correlations: "
        f"{sum(item['within'] for item in table)} of {len(table)} distances within the floor, each kind over all "
        "observables together. Largest excess of each kind:",
        "",
        "| distance | largest | spreads above the floor | floor reaches | beyond |",
        "|---|---|---|---|---|",
    ]
    kinds = [(f"{key} of ", metric.title) for key, metric in METRICS.items()]
    for start, title in [*kinds, ("mean image", "mean image"), ("correlations", "correlations")]:
        own = [item for item in table if item["name"].startswith(start)]
        worst = max(own, key=lambda item: float(item["spreads_above"]))
        beyond = sum(not item["within"] for item in own)
        name = worst["name"].removeprefix(start).replace("_", " ")
        lines.append(
            f"| {title} | {name} | {worst['spreads_above']:+.1f} | {worst['band']:+.1f} | {beyond} of {len(own)} |"
        )
    lines += ["", "| whole showers | value | floor | p |", "|---|---|---|---|"]
    for row in found.samples[0].whole:
        if row.value is not None and row.p_value is not None:
            floor = "" if row.floor is None else f"{row.floor.value:.4g} ± {row.floor.error:.2g}"
            value = f"{row.value.value:.4g} ± {row.value.error:.2g}"
            lines.append(f"| {WHOLE_SHOWERS[row.name]} | {value} | {floor} | {row.p_value:.2g} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="Geant4 showers, 10,000 at least")
    parser.add_argument("--work", type=Path, required=True, help="folder for the two halves and the report")
    arguments = parser.parse_args()
    arguments.work.mkdir(exist_ok=True)
    paths = halves(arguments.data, arguments.work)
    found = evaluate(*paths, networks=NETWORKS, keep=arguments.work / "networks", progress=print)
    write_report(found, arguments.work / "report", overwrite=True)
    RESULTS.mkdir(exist_ok=True)
    record = {"version": found.version, "events": EVENTS, "aucs": aucs(found), "distances": distances(found)}
    (RESULTS / "floors.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "floors.md").write_text(markdown(found), encoding="utf-8")


if __name__ == "__main__":
    main()
