"""Where a library of showers is no longer enough: how often it repeats itself, and what that does to a narrow request.

    python benchmarks/library.py --train lhcb-ecal-electron-train.h5 --test lhcb-ecal-electron-test.h5 --work WORK

`neighbour` gives the nearest of its 45,000 showers and their mirror images. First it is asked for ever more showers of
the whole domain, and the different ones are counted. Then library and shipped model are asked for 2,000 showers under
conditions drawn from a part of the domain that shrinks to a single point, and compared with as many of Geant4 under the
same conditions. What is done stays in the work folder. Writes ``benchmarks/results/library.json``, ``library.md`` and
``library.png``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import caloforge
from caloforge.detector import Detector
from caloforge.evaluation import evaluate
from caloforge.fullsim import simulate
from caloforge.generation import generate
from caloforge.models.bundle import shipped_bundle
from caloforge.random import uniforms
from caloforge.reports.style import new_figure, plot_style, sample_colour, sample_marker
from caloforge.showers import ShowerFile, Showers, load, save
from caloforge.training import train

RESULTS = Path(__file__).parent / "results"
SHOWERS = 2_000
CENTRE = {"energy": 10e3, "x": 2.0, "y": -1.0, "angle_xz": 0.15, "angle_yz": -0.06}  # MeV, mm, rad
PARTS = (0.3, 0.1, 0.03, 0.0)
ASKED = (100, 1_000, 10_000, 100_000, 250_000)
HOTTEST = 6
SAME = 1e-3


def different(energies: NDArray[np.float32]) -> int:
    """How many of the showers (N, n_cells) are no mirrored or scaled copies, by the ratios of the hottest cells."""
    hottest = -np.sort(-energies, axis=1)[:, :HOTTEST].astype(np.float64)
    ratios = np.round(np.log(np.maximum(hottest[:, 1:], 1e-3) / hottest[:, :1]) / SAME)
    return len(np.unique(ratios, axis=0))


def repeats(detector: Detector, model: Path) -> dict[int, int]:
    """Different showers among so many of the whole domain."""
    found = {}
    for n in ASKED:
        showers = generate(detector, n, model=model, seed=7)
        assert isinstance(showers, Showers)
        found[n] = different(showers.energies)
    return found


def table(detector: Detector, part: float, path: Path) -> Path:
    """Conditions in a part of the domain round ``CENTRE``, as CSV; the energy in equal parts of its logarithm."""
    columns = []
    for number, spec in enumerate(detector.conditions):
        share = uniforms(3, f"benchmarks/library/{number}", 0, SHOWERS, 1)[:, 0] - 0.5
        centre = CENTRE[spec.name]
        if spec.name == "energy":
            columns.append(centre * (spec.high / spec.low) ** (part * share))
        else:
            columns.append(np.clip(centre + part * (spec.high - spec.low) * share, spec.low, spec.high))
    np.savetxt(path, np.stack(columns, 1), delimiter=",", header=",".join(CENTRE), comments="", fmt="%.9g")
    return path


def truth(detector: Detector, part: float, work: Path, test: Path) -> Path:
    """Geant4's showers of a part of the domain; of the whole domain the first of the test file."""
    path = work / f"geant4-{part:g}.h5"
    if not path.exists():
        if part == 1:
            save(path, load(test, 0, SHOWERS), source="geant4", provenance={})
        else:
            simulate(detector, output=path, like=table(detector, part, path.with_suffix(".csv")), seed=5)
    return path


def compared(detector: Detector, part: float, models: dict[str, Path], work: Path, test: Path) -> dict[str, Any]:
    """Each model against Geant4 in a part of the domain."""
    kept = work / f"{part:g}.json"
    if not kept.exists():
        reference = truth(detector, part, work, test)
        found: dict[str, Any] = {}
        for name, model in models.items():
            file = work / f"{name}-{part:g}.h5"
            generate(detector, model=model, like=reference, output=file, seed=1, overwrite=True)
            sample = evaluate(file, reference, quick=True).samples[0]
            worst = max(sample.distances, key=lambda item: item.wasserstein.value.value)
            found[name] = {
                "auc": [sample.classifier.auc.value, sample.classifier.auc.error],
                "floor": [sample.classifier.floor.value, sample.classifier.floor.error],
                "different": different(load(file).energies),
                "worst": [worst.name, worst.wasserstein.value.value, worst.wasserstein.value.error],
                "resolution": [sample.ratio.resolution, sample.ratio.resolution_error],
            }
        kept.write_text(json.dumps(found))
    result: dict[str, Any] = json.loads(kept.read_text())
    return result


def markdown(counted: dict[str, dict[int, int]], parts: dict[float, Any]) -> str:
    lines = [
        "# Where the library stops and the model goes on",
        "",
        f"caloforge {caloforge.__version__}; `neighbour` holds 45,000 Geant4 electrons of lhcb-ecal. Made by "
        "`benchmarks/library.py`.",
        "",
        "| showers asked for, whole domain | " + " | ".join(f"different ones of `{name}`" for name in counted) + " |",
        "|---|" + "---|" * len(counted),
        *(f"| {n:,} | " + " | ".join(f"{found[n]:,}" for found in counted.values()) + " |" for n in ASKED),
        "",
        f"{SHOWERS:,} showers under conditions from a part of each range round one point, against as many of Geant4 "
        "under the same:",
        "",
        "| part of each range | model | different showers | AUC, boosting | floor | worst Wasserstein-1 / sigma |",
        "|---|---|---|---|---|---|",
    ]
    for part, models in parts.items():
        for name, item in models.items():
            (auc, auc_error), (floor, floor_error) = item["auc"], item["floor"]
            observable, distance, error = item["worst"]
            lines.append(
                f"| {part:g} | `{name}` | {item['different']:,} | {auc:.3f} ± {auc_error:.3f} "
                f"| {floor:.3f} ± {floor_error:.3f} | {distance:.3f} ± {error:.3f} ({observable}) |"
            )
    return "\n".join([*lines, "", "![library](library.png)", ""])


def draw(counted: dict[str, dict[int, int]], parts: dict[float, Any], path: Path) -> None:
    """Left: different showers against showers asked for. Right: AUC against the part of the domain."""
    names = list(next(iter(parts.values())))
    with plot_style():
        figure = new_figure(9.0, 3.8)
        left, right = figure.subplots(1, 2)
        for number, found in enumerate(counted.values()):
            shares = [found[n] / n for n in ASKED]
            left.plot(ASKED, shares, color=sample_colour(number), marker=sample_marker(number))
        left.set_xscale("log")
        left.set_ylim(0, 1.08)
        left.set_xlabel("showers asked for, whole domain")
        left.set_ylabel("share of different showers")
        places = np.arange(len(parts))
        for number, name in enumerate(names):
            values = np.array([item[name]["auc"] for item in parts.values()])
            right.errorbar(
                places, *values.T, color=sample_colour(number), marker=sample_marker(number), label=name, capsize=2
            )
        floors = np.array([item[names[0]]["floor"] for item in parts.values()])
        right.plot(places, floors[:, 0], color="0.6", linestyle=":", label="Geant4 against Geant4")
        right.set_xticks(places, [f"{part:g}" if part else "a point" for part in parts])
        right.minorticks_off()
        right.set_xlabel("part of each range of conditions")
        right.set_ylabel("AUC of gradient boosting")
        right.legend()
        figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="Geant4 showers of the library")
    parser.add_argument("--test", type=Path, required=True, help="Geant4 showers that are not in it")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made on the way")
    arguments = parser.parse_args()
    arguments.work.mkdir(exist_ok=True)
    library = arguments.work / "neighbour.caloforge"
    with ShowerFile(arguments.test) as file:
        detector = file.detector
    if not library.exists():
        train(detector.name, arguments.train, library, model="neighbour")
    models = {"wgan-gp": shipped_bundle(detector.name, "wgan-gp"), "neighbour": library}
    parts = {part: compared(detector, part, models, arguments.work, arguments.test) for part in (1.0, *PARTS)}
    counted = {name: repeats(detector, model) for name, model in models.items()}
    record = {"different": counted, "parts": parts}
    (RESULTS / "library.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "library.md").write_text(markdown(counted, parts), encoding="utf-8")
    draw(counted, parts, RESULTS / "library.png")
    print(markdown(counted, parts))


if __name__ == "__main__":
    main()
