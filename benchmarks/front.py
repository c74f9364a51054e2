"""Speed against fidelity: every trained model on the same test conditions, judged by all figures, timed in one run.

    python benchmarks/front.py --train lhcb-ecal-electron-train.h5 --test lhcb-ecal-electron-test.h5 --work WORK MODELS
    python benchmarks/front.py --name calogan-electron --train ... --test ... --work WORK MODELS

Every model makes one shower for each test event; conditions are the same for all. What is found is kept in the work
folder: a run adds rows to the table, or with ``--networks dnn_low_level ... resnet18`` columns to rows, each of which
takes ten minutes to an hour of one core, and goes on where one was interrupted. The times of all models in the work
folder are measured anew, one after the other; rows of the table whose models are elsewhere stay as they are. Writes
``benchmarks/results/NAME.json``, ``NAME.md`` and ``NAME.png``, ``front`` if no name is given.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import caloforge
from caloforge.evaluation import Evaluation, evaluate
from caloforge.evaluation.network_rows import NETWORKS
from caloforge.evaluation.results import Correlations, SampleResult
from caloforge.generation import generate
from caloforge.generation.bench import bench
from caloforge.models.base import UNCONDITIONAL
from caloforge.models.bundle import Bundle, read_bundle
from caloforge.reports import write_report
from caloforge.reports.style import new_figure, plot_style, sample_colour

RESULTS = Path(__file__).parent / "results"
FLOOR = "Geant4 against Geant4"
BATCH = 10_000
COLUMNS = {
    "ms": "ms a shower, all cores",
    "auc": "AUC, boosting",
    "dnn_low_level": "AUC, network on cells",
    "dnn_normalised": "the same, normalised",
    "dnn_high_level": "AUC, network on observables",
    "resnet18_error": "ResNet-18, validation error",
    "response": "response, worst bin",
    "resolution": "resolution, worst bin",
    "wasserstein": "worst W1/sigma above floor",
    "separation": "separation power, mean",
    "correlations": "correlations, Frobenius",
    "nearer_to_training": "nearer to training showers than Geant4",
    "training_hours": "training, h",
    "megabytes": "MB",
}


def frobenius(sample: Correlations, reference: Correlations) -> float:
    """Relative difference of two correlation matrices: ||A - B|| / ||B||, Frobenius norms."""
    ours, theirs = np.array(sample.matrix), np.array(reference.matrix)
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def row(found: Evaluation, sample: SampleResult, bundle: Bundle) -> dict[str, Any]:
    """The figures of one model, each a number or a pair of number and error."""
    worst = max(
        sample.distances, key=lambda item: item.wasserstein.value.value - item.wasserstein.strictest_floor.value
    )
    ratio = sample.ratio
    figures: dict[str, Any] = {
        "name": sample.info.label,
        "family": bundle.family,
        "detector": found.detector,
        "showers": found.reference.info.events,
        "auc": [sample.classifier.auc.value, sample.classifier.auc.error],
        "wasserstein": [
            worst.wasserstein.value.value - worst.wasserstein.strictest_floor.value,
            worst.wasserstein.value.error,
        ],
        "worst_observable": worst.name,
        "separation": float(np.mean([item.figures["separation"].value.value for item in sample.distances])),
        "correlations": frobenius(sample.correlations, found.reference.correlations),
        "training_hours": bundle.metrics.get("training_seconds", 0.0) / 3600,
        "megabytes": bundle.path.stat().st_size / 1e6,
        "digest": bundle.digest,
        **{item.name: [item.value.value, item.value.error] for item in sample.whole if item.value},
    }
    for name, values, errors in (
        ("response", ratio.response, ratio.response_error),
        ("resolution", ratio.resolution, ratio.resolution_error),
    ):
        value, error = max(zip(values, errors, strict=True), key=lambda pair: abs(pair[0] - 1))
        figures[name] = [value - 1, error]
    for item in sample.whole:
        if item.name == "resnet18" and item.value is not None:
            figures["resnet18_error"] = [item.details["chosen_error_rate"], item.details["error_rate_error"]]
    return figures


def floor(found: Evaluation) -> dict[str, Any]:
    """What Geant4 scores against Geant4, as far as the evaluation knows."""
    sample = found.samples[0]
    return {
        "auc": [sample.classifier.floor.value, sample.classifier.floor.error],
        **{item.name: [item.floor.value, item.floor.error] for item in sample.whole if item.floor},
    }


def text(name: str, value: Any) -> str:
    """A cell of the table."""
    if value is None:
        return ""
    if name in ("response", "resolution"):
        return f"{100 * value[0]:+.2f} ± {100 * value[1]:.2f} %"
    if name == "correlations":
        return f"{100 * value:.1f} %"
    if isinstance(value, list):
        return f"{value[0]:.3f} ± {value[1]:.3f}"
    return f"{value:.3g}"


def markdown(rows: list[dict[str, Any]], machine: dict[str, Any]) -> str:
    columns = {key: title for key, title in COLUMNS.items() if any(key in item for item in rows)}
    lines = [
        "# Speed against fidelity",
        "",
        f"caloforge {caloforge.__version__}; {rows[0]['showers']:,} Geant4 test showers of "
        f"{rows[0]['detector']}, equal conditions. {machine['processor']}, {machine['cores']} cores; batch {BATCH:,}, "
        "sampling only, median. Each bundle's manifest has the configuration that `caloforge train` makes it from "
        "again. " + " and ".join(f"`{name}`" for name in sorted(UNCONDITIONAL)) + " are not told the conditions: their "
        "showers follow the spectrum of the training sample, and all figures but that of ResNet-18, which sees images "
        "alone, say just that. Made by `benchmarks/front.py`.",
        "",
        "| model | " + " | ".join(columns.values()) + " |",
        "|---|" + "---|" * len(columns),
    ]
    lines += [f"| {item['name']} | {' | '.join(text(key, item.get(key)) for key in columns)} |" for item in rows]
    return "\n".join([*lines, ""])


def draw(rows: list[dict[str, Any]], floor_auc: float, path: Path) -> None:
    """Time against the AUC of gradient boosting, of the models that take conditions; to the lower left is better."""
    with plot_style():
        figure = new_figure(6.4, 4.2)
        axes = figure.subplots()
        told = [item for item in rows if item["family"] not in UNCONDITIONAL]
        for number, item in enumerate(told):
            value, error = item["auc"]
            axes.errorbar(item["ms"], value, error, fmt="o", color=sample_colour(number))
            axes.annotate(item["name"], (item["ms"], value), xytext=(5, 4), textcoords="offset points", fontsize=8)
        axes.axhline(floor_auc, color="0.6", linestyle=":", label="Geant4 against Geant4")
        axes.set_xscale("log")
        axes.margins(x=0.2)
        axes.set_xlabel("ms a shower (all cores, batch 10,000)")
        axes.set_ylabel("AUC of gradient boosting on observables")
        axes.legend()
        figure.savefig(path, dpi=130)


def judged(bundle: Bundle, networks: list[str], arguments: argparse.Namespace) -> None:
    """Keep the figures of a model, and those of the floor, in the work folder; what is known is not asked again."""
    name = bundle.path.stem
    kept = arguments.work / f"{name}.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    if known.get("digest") != bundle.digest:
        known = {}
    wanted = sorted({*networks, *known.get("networks", [])})
    if known and wanted == known["networks"]:
        return
    file = arguments.work / f"{name}.h5"
    generate(bundle.detector, model=bundle.path, like=arguments.test, output=file, seed=1, overwrite=True)
    found = evaluate(
        file,
        arguments.test,
        networks=wanted,
        keep=arguments.work / "networks",
        training=arguments.train,
        progress=print,
    )
    write_report(found, arguments.work / f"{name}-report", overwrite=True)
    figures = row(found, found.samples[0], bundle) | {"path": str(bundle.path), "networks": wanted}
    kept.write_text(json.dumps({**figures, "floor": floor(found)}, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="*", help="trained models")
    parser.add_argument("--train", type=Path, required=True, help="Geant4 showers that the models were trained on")
    parser.add_argument("--test", type=Path, required=True, help="Geant4 showers that no model has seen")
    parser.add_argument("--work", type=Path, required=True, help="folder for what was generated and found")
    parser.add_argument("--name", default="front", help="of the table")
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=[], help="that judge these models too")
    arguments = parser.parse_args()
    arguments.work.mkdir(exist_ok=True)
    for path in arguments.models:
        judged(read_bundle(path), arguments.networks, arguments)
    table = RESULTS / f"{arguments.name}.json"
    known = json.loads(table.read_text()) if table.exists() else {"machine": {}, "rows": [{"name": FLOOR}]}
    *others, floors = known["rows"]
    machine = known["machine"]
    rows = [json.loads(path.read_text()) for path in sorted(arguments.work.glob("*.json"))]
    for figures in rows:
        floors |= figures.pop("floor")
        bundle = read_bundle(Path(figures.pop("path")))
        speed = bench(
            bundle.detector, model=bundle.path, engine="auto", batches=[BATCH], file_showers=0, geant4_showers=0
        )
        figures["ms"] = speed.timings[-1].median_ms
        figures["ms_one_thread"] = speed.timings[0].median_ms
        machine = speed.machine
    rows += [item for item in others if item["name"] not in {figures["name"] for figures in rows}]
    rows.sort(key=lambda item: item["auc"][0])
    table.write_text(json.dumps({"machine": machine, "rows": [*rows, floors]}, indent=1) + "\n")
    table.with_suffix(".md").write_text(markdown([*rows, floors], machine), encoding="utf-8")
    draw(rows, floors["auc"][0], table.with_suffix(".png"))
    print(markdown([*rows, floors], machine))


if __name__ == "__main__":
    main()
