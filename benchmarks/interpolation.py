"""Interpolation in energy: a model that has seen no shower of 10 to 20 GeV, asked for just these.

    python benchmarks/interpolation.py --train lhcb-ecal-electron-train.h5 --test lhcb-ecal-electron-test.h5 --work WORK

Trains the same family (``vae``, briefly) with and without the showers of that interval, lets both make the test events,
and compares with Geant4 inside the interval, below and above. Without ``--test`` the validation showers at the end of
the training file are held against, on which the epoch was chosen. What is done stays in the work folder, so that a run
that was interrupted goes on. Writes ``benchmarks/results/interpolation.json`` and ``interpolation.md``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ensembles import TRAINING, VALIDATION, held_out

import caloforge
from caloforge.evaluation import binned_response, response_ratio
from caloforge.evaluation.collect import Sample, collect
from caloforge.evaluation.distances import compare, histogram_edges
from caloforge.evaluation.resampling import Plan
from caloforge.generation import generate
from caloforge.observables import observables_for
from caloforge.showers import ShowerFile, ShowerWriter
from caloforge.training import train

RESULTS = Path(__file__).parent / "results"
LOW, HIGH = 10e3, 20e3  # MeV
MODELS = {"whole": "all energies", "hole": "none of 10 to 20 GeV"}


def with_hole(data: Path, work: Path) -> tuple[Path, int]:
    """The showers outside the interval as a file, in order, and how many of them are for validation."""
    path = work / "hole.h5"
    with ShowerFile(data) as file:
        energies = file.conditions().column("energy")
        outside = (energies < LOW) | (energies > HIGH)
        if not path.exists():
            with ShowerWriter(path, file.detector, source="geant4", provenance=file.provenance) as writer:
                for start in range(0, len(file), 2000):
                    block = file.read(start, min(start + 2000, len(file)))
                    writer.append(block[outside[start : start + len(block)]])
    return path, int(outside[-VALIDATION:].sum())


def made(name: str, data: Path, truth: Path, work: Path) -> Path:
    """Showers at the conditions of the truth, of a model that is trained first."""
    model, path = work / f"{name}.caloforge", work / f"{name}-at-{truth.stem}.h5"
    validation = VALIDATION
    if name == "hole":
        data, validation = with_hole(data, work)
    with ShowerFile(data) as file:
        detector = file.detector
    if not model.exists():
        config = work / f"{name}.yaml"
        config.write_text(yaml.safe_dump({**TRAINING, "validation_events": validation}))
        train(detector.name, data, model, config=config, progress=True)
    if not path.exists():
        generate(detector, model=model, like=truth, output=path, seed=1)
    return path


def figures(sample: Sample, truth: Sample, low: float, high: float) -> dict[str, Any]:
    """Response, resolution and distances in a part of the energies."""
    inside = (truth.incident >= low) & (truth.incident <= high)
    edges = [low * (1 - 1e-6), high * (1 + 1e-6)]
    ratio = response_ratio(*(binned_response(item.visible, truth.incident, edges) for item in (sample, truth)))
    ours, theirs = ({name: values[inside] for name, values in item.observables.items()} for item in (sample, truth))
    table = observables_for(truth.detector)
    bins = {name: histogram_edges(values, lattice=table[name].lattice) for name, values in theirs.items()}
    compared = compare(ours, theirs, bins, Plan(int(inside.sum()), int(inside.sum()), True, 50, 30, 0))
    distances = {item.name: item.wasserstein for item in compared}
    worst = max(distances, key=lambda name: distances[name].value.value)
    return {
        "showers": int(inside.sum()),
        "response": [ratio.response[0] - 1, ratio.response_error[0]],
        "resolution": [ratio.resolution[0] - 1, ratio.resolution_error[0]],
        "mean_distance": float(np.mean([item.value.value for item in distances.values()])),
        "mean_floor": float(np.mean([item.floor.value for item in distances.values()])),
        "worst": [worst, distances[worst].value.value, distances[worst].value.error],
    }


def markdown(found: dict[str, Any], what: str) -> str:
    lines = [
        "# Interpolation in energy: 10 to 20 GeV left out of the training",
        "",
        f"caloforge {caloforge.__version__}; {what}; `{TRAINING['model']}`, {TRAINING['epochs']} epochs, the same for "
        "both. Wasserstein-1 over sigma in each part: mean over observables with its floor (Geant4 against itself), "
        "and the worst observable. Made by `benchmarks/interpolation.py`.",
        "",
        "| energies | trained on | showers | response | resolution | mean W1 / sigma | floor | worst |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for part, models in found.items():
        for name, row in models.items():
            response, resolution = (
                f"{100 * value:+.2f} ± {100 * error:.2f} %" for value, error in (row["response"], row["resolution"])
            )
            observable, value, error = row["worst"]
            lines.append(
                f"| {part} | {MODELS[name]} | {row['showers']:,} | {response} | {resolution} | "
                f"{row['mean_distance']:.3f} | {row['mean_floor']:.3f} | {observable} {value:.3f} ± {error:.3f} |"
            )
    lines += [
        "",
        "The domain in a bundle is a box: a hole inside it is not refused, and not flagged either.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="Geant4 showers to train on")
    parser.add_argument("--test", type=Path, help="Geant4 showers that no model has seen")
    parser.add_argument("--work", type=Path, required=True, help="folder for bundles and showers")
    arguments = parser.parse_args()
    arguments.work.mkdir(exist_ok=True)
    path = arguments.test or held_out(arguments.train, arguments.work)
    truth = collect(path, progress=lambda *_: None)
    column = truth.detector.column("energy")
    ends = float(truth.detector.low[column]), float(truth.detector.high[column])
    parts = {"1 to 10 GeV": (ends[0], LOW), "10 to 20 GeV": (LOW, HIGH), "20 to 100 GeV": (HIGH, ends[1])}
    found: dict[str, Any] = {part: {} for part in parts}
    for name in MODELS:
        sample = collect(made(name, arguments.train, path, arguments.work), progress=lambda *_: None)
        for part, (low, high) in parts.items():
            found[part][name] = figures(sample, truth, low, high)
    what = f"{len(truth):,} {'test' if arguments.test else 'validation'} showers of Geant4 in {truth.detector.name}"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "interpolation.json").write_text(json.dumps({"events": what, "found": found}, indent=1) + "\n")
    (RESULTS / "interpolation.md").write_text(markdown(found, what), encoding="utf-8")
    print(markdown(found, what))


if __name__ == "__main__":
    main()
