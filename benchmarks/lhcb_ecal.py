"""Every figure of the lead system, from the shipped model and full simulation, in one run; speed first, in ten minutes.

    python benchmarks/lhcb_ecal.py --train lhcb-ecal-electron-train.h5 --test lhcb-ecal-electron-test.h5

Writes ``benchmarks/results/lhcb-ecal.json``, ``lhcb-ecal.md`` and ``lhcb-ecal-speed.png``, and the page with all plots
under ``--work``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import caloforge
from caloforge.detector import load_detector
from caloforge.evaluation import evaluate
from caloforge.evaluation.results import Evaluation
from caloforge.generation import generate
from caloforge.generation.bench import bench, own_process
from caloforge.generation.timings import Bench, OwnProcess
from caloforge.models.bundle import read_bundle, shipped_bundle
from caloforge.reports import write_report
from caloforge.reports.speed import write_speed_plot
from caloforge.training import train

DETECTOR = "lhcb-ecal"
BIG = 1_000_000
ENGINES = ("auto", "openvino-bf16")
RESULTS = Path(__file__).parent / "results"


def figures(found: Evaluation) -> dict[str, Any]:
    """The evaluation without what only plots and parts of the conditions need."""
    full = found.to_json()
    full.pop("histograms")
    for sample in (full["reference"], *full["samples"]):
        for picture in ("mean_image", "correlations", "displays", "regions", "grids"):
            sample.pop(picture, None)
    return full


def markdown(found: Evaluation, speed: Bench, big: list[OwnProcess]) -> str:
    """The tables that the README and the changelog quote."""
    lines = [
        f"# lhcb-ecal, electrons: {', '.join(sample.info.label for sample in found.samples)} against Geant4",
        "",
        f"caloforge {caloforge.__version__}; {found.reference.info.events:,} Geant4 test events, the same conditions "
        "for every model. Floor: Geant4 against Geant4 of the same size, from random halves of the reference. Equal "
        "conditions: from random swaps of the two showers at each condition, lower, since the conditions then add "
        "nothing (model showers enter it, so a bad model raises it a little). Mean and spread. Made by "
        "`benchmarks/lhcb_ecal.py`.",
        "",
        "## Response E_visible/E and resolution sigma/E over Geant4's",
        "",
        "| energy [GeV] | " + " | ".join(f"{s.info.label}: response | resolution" for s in found.samples) + " |",
        "|---|" + "---|---|" * len(found.samples),
    ]
    edges = found.samples[0].response.edges
    for index, (low, high) in enumerate(itertools.pairwise(edges)):
        cells = []
        for sample in found.samples:
            ratio = sample.ratio
            cells.append(f"{ratio.response[index]:.4f} +- {ratio.response_error[index]:.4f}")
            cells.append(f"{ratio.resolution[index]:.3f} +- {ratio.resolution_error[index]:.3f}")
        lines.append(f"| {low / 1e3:.1f} to {high / 1e3:.1f} | " + " | ".join(cells) + " |")
    columns = ("W1/sigma", "floor", "equal conditions", "separation", "floor", "equal conditions")
    for sample in found.samples:
        lines += ["", f"## Observables, {sample.info.label}", ""]
        lines += [f"| observable | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
        for item in sample.distances:
            cells = [
                f"{figure.value:.{digits}f} +- {figure.error:.{digits}f}"
                for distance, digits in ((item.wasserstein, 4), (item.figures["separation"], 5))
                for figure in (distance.value, distance.floor, distance.strictest_floor)
            ]
            lines.append(f"| {item.name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## Classifier (gradient boosting on the observables)",
        "",
        "| model | AUC | floor |",
        "|---|---|---|",
    ]
    for sample in found.samples:
        auc, floor = sample.classifier.auc, sample.classifier.floor
        lines.append(
            f"| {sample.info.label} | {auc.value:.3f} +- {auc.error:.3f} | {floor.value:.3f} +- {floor.error:.3f} |"
        )
    lines += [
        "",
        "## Speed of the shipped model",
        "",
        f"{speed.machine['processor']}, {speed.machine['cores']} cores. Median over repeats, quartiles in brackets.",
        "",
        "| what | engine | threads | workers | batch | ms a shower |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {t.what} | {t.engine} | {t.threads} | {t.workers} | {t.batch or '-'} | "
        f"{t.median_ms:.4f} ({t.low_ms:.4f} to {t.high_ms:.4f}) |"
        for t in speed.timings
    ]
    lines += ["", *(f"- {sentence}" for sentence in speed.sentences())]
    lines += [
        f"- `caloforge generate {DETECTOR} -n {own.showers} --engine {own.engine}`, a process of its own: "
        f"{own.seconds:.1f} s ({1e3 * own.seconds / own.showers:.4f} ms a shower), {own.peak_resident_mb:.0f} MB "
        f"resident at most, {own.file_mb:.0f} MB of file."
        for own in big
    ]
    lines += ["", "![cost, scaling and roofline](lhcb-ecal-speed.png)", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="Geant4 showers that the models were trained on")
    parser.add_argument("--test", type=Path, required=True, help="Geant4 showers that no model has seen")
    parser.add_argument("--work", type=Path, help="folder for the generated files and the page; temporary by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        neighbour, model = work / "neighbour.caloforge", shipped_bundle(DETECTOR, "wgan-gp")
        speed = bench(DETECTOR, file_showers=30_000, report=print)
        big = [own_process(load_detector(DETECTOR), read_bundle(model), BIG, engine) for engine in ENGINES]
        print("speed is measured")
        train(DETECTOR, arguments.train, neighbour, model="neighbour", overwrite=True)
        files = []
        for name, bundle, engine in (
            ("wgan-gp", model, ENGINES[0]),
            ("wgan-gp in bfloat16", model, ENGINES[1]),
            ("neighbour", neighbour, "auto"),
        ):
            files.append(work / f"{name}.h5")
            generate(
                DETECTOR, model=bundle, like=arguments.test, output=files[-1], seed=1, engine=engine, overwrite=True
            )
        found = evaluate(files, arguments.test)
        write_report(found, work / "report", overwrite=True)
    record: dict[str, Any] = {
        "model": {"file": model.name, "digest": read_bundle(model).digest, "metrics": read_bundle(model).metrics},
        "evaluation": figures(found),
        "bench": speed.to_json(),
        "big_runs": [asdict(own) for own in big],
    }
    RESULTS.mkdir(exist_ok=True)
    write_speed_plot(speed, RESULTS / "lhcb-ecal-speed.png")
    (RESULTS / "lhcb-ecal.json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    (RESULTS / "lhcb-ecal.md").write_text(markdown(found, speed, big))
    print(markdown(found, speed, big))


if __name__ == "__main__":
    main()
