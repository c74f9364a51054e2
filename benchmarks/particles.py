"""One model for electrons and photons: how near it is to Geant4 for each, and that it tells them apart.

    caloforge simulate lhcb-ecal --particle gamma -n 12000 --seed 5 -o photons.h5
    python benchmarks/particles.py --electrons lhcb-ecal-electron-train.h5 --test lhcb-ecal-electron-test.h5 \
        --photons photons.h5 --work WORK

The last 2,000 photons are for the test; the others are shuffled among the electrons of the training file, and a
`flow` is trained on both. It makes a shower for each test event, and for each photon also an electron in its place.
What is done stays in the work folder. Writes ``benchmarks/results/particles.json`` and ``particles.md``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from front import COLUMNS, floor, row, text

import caloforge
from caloforge.evaluation import evaluate
from caloforge.generation import generate
from caloforge.models.bundle import Bundle, read_bundle
from caloforge.random import permutation
from caloforge.reports import write_report
from caloforge.showers import ShowerFile, concatenate, load, save
from caloforge.training import train

RESULTS = Path(__file__).parent / "results"
FAMILY = "flow"
TEST_PHOTONS = 2_000
ELECTRON = 11
SHOWN = ("auc", "response", "resolution", "wasserstein", "correlations")


def mixed(electrons: Path, photons: Path, work: Path) -> tuple[Path, Path]:
    """Training showers of both particles in random order, and the photons for the test."""
    both, test = work / "both.h5", work / "photons-test.h5"
    if not test.exists():
        with ShowerFile(photons) as file:
            provenance, split = file.provenance, len(file) - TEST_PHOTONS
        parts = concatenate([load(electrons), load(photons, 0, split)])
        order = permutation(0, "benchmarks/particles", 0, len(parts))
        save(both, parts[order], source="geant4", provenance=provenance)
        save(test, load(photons, split), source="geant4", provenance=provenance)
    return both, test


def exchanged(photons: Path, work: Path) -> Path:
    """The conditions of photons, for electrons."""
    path = work / "exchanged-conditions.h5"
    showers = load(photons)
    conditions = dataclasses.replace(showers.conditions, pdg=np.full(len(showers), ELECTRON))
    save(path, dataclasses.replace(showers, conditions=conditions), source="geant4", provenance={}, overwrite=True)
    return path


def judged(name: str, bundle: Bundle, test: Path, work: Path, *, like: Path | None = None) -> dict[str, Any]:
    """The figures of the model's showers at the conditions of a test file, or of another in its place."""
    kept, file = work / f"{name}.json", work / f"{name}.h5"
    if not kept.exists():
        generate(bundle.detector, model=bundle.path, like=like or test, output=file, seed=1, overwrite=True)
        found = evaluate(file, test, progress=print)
        write_report(found, work / f"{name}-report", overwrite=True)
        kept.write_text(json.dumps(row(found, found.samples[0], bundle) | {"floor": floor(found)}))
    figures: dict[str, Any] = json.loads(kept.read_text())
    return figures


def markdown(rows: dict[str, dict[str, Any]], bundle: Bundle) -> str:
    first = next(iter(rows.values()))
    lines = [
        "# One model for electrons and photons",
        "",
        f"caloforge {caloforge.__version__}; `{bundle.family}`, trained on {bundle.provenance['events']:,} showers, "
        f"for {first['training_hours']:.2f} h of one core. Each shower at the conditions of a Geant4 test shower. Made "
        "by `benchmarks/particles.py`.",
        "",
        "| asked for, held against | showers | floor of the AUC | "
        + " | ".join(COLUMNS[key] for key in SHOWN)
        + " | worst observable |",
        "|---|---|---|" + "---|" * (len(SHOWN) + 1),
    ]
    for name, item in rows.items():
        cells = [text(key, item[key]) for key in SHOWN]
        lines.append(
            f"| {name} | {item['showers']:,} | {text('auc', item['floor']['auc'])} | {' | '.join(cells)} "
            f"| {item['worst_observable']} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--electrons", type=Path, required=True, help="Geant4 electrons to train on")
    parser.add_argument("--test", type=Path, required=True, help="Geant4 electrons that the model has not seen")
    parser.add_argument(
        "--photons", type=Path, required=True, help="Geant4 photons, some for training, some for the test"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made on the way")
    arguments = parser.parse_args()
    work = arguments.work
    work.mkdir(exist_ok=True)
    both, photons = mixed(arguments.electrons, arguments.photons, work)
    model = work / f"{FAMILY}.caloforge"
    if not model.exists():
        train("lhcb-ecal", both, model, model=FAMILY, progress=True)
    bundle = read_bundle(model)
    rows = {
        "electrons, electrons": judged("electrons", bundle, arguments.test, work),
        "photons, photons": judged("photons", bundle, photons, work),
        "electrons, photons": judged("exchanged", bundle, photons, work, like=exchanged(photons, work)),
    }
    (RESULTS / "particles.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "particles.md").write_text(markdown(rows, bundle), encoding="utf-8")
    print(markdown(rows, bundle))


if __name__ == "__main__":
    main()
