"""Is the spread between the members of an ensemble the error that its showers have?

    python benchmarks/ensembles.py --train lhcb-ecal-electron-train.h5 --test lhcb-ecal-electron-test.h5 --work WORK

Trains the members in each of the three ways (``vae``, in short trainings), lets each make several showers for every
test event, and compares mean and deviation of every observable, in bins of log energy, with Geant4: the true deviation
against the spread, and how often it is within one and two errors. Without ``--test`` the validation showers at the end
of the training file are held against, on which the epoch was chosen. What is done stays in the work folder, so that a
run that was interrupted goes on. Writes ``benchmarks/results/ensembles.json``, ``ensembles.md`` and ``ensembles.png``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import stats

import caloforge
from caloforge.evaluation.ensembles import FIGURES, Ensemble, Summary, combine, coverage, pulls, summarise
from caloforge.generation import generate
from caloforge.models.bundle import read_bundle
from caloforge.reports.style import new_figure, plot_style, sample_colour, sample_marker
from caloforge.showers import ShowerFile, Showers, ShowerWriter, save
from caloforge.showers.atomic import member_file
from caloforge.training import train

RESULTS = Path(__file__).parent / "results"
KINDS = {"seeds": "other seeds", "repulsion": "repulsion, annealed", "dropout": "fixed dropout masks"}
MEMBERS = 5
VALIDATION = 5_000
REPEATS = 4  # showers for each test event, so that their own fluctuation is half of Geant4's
BINS = 6
TRAINING = {"model": "vae", "epochs": 6, "pretraining_steps": 1000, "validation_events": VALIDATION}


def held_out(data: Path, work: Path) -> Path:
    """The validation showers as a file."""
    path = work / "validation.h5"
    if not path.exists():
        with ShowerFile(data) as file:
            showers = file.read(len(file) - VALIDATION)
            save(path, showers, source="geant4", provenance=file.provenance)
    return path


def members(kind: str, data: Path, work: Path) -> list[Path]:
    """The bundles of an ensemble, trained once."""
    output = work / f"{kind}.caloforge"
    bundles = [member_file(output, number + 1) for number in range(MEMBERS)]
    if not all(bundle.exists() for bundle in bundles):
        config = work / f"{kind}.yaml"
        config.write_text(yaml.safe_dump({**TRAINING, "ensemble": {"kind": kind, "members": MEMBERS}}))
        with ShowerFile(data) as file:
            detector = file.detector.name
        train(detector, data, output, config=config, overwrite=True, progress=True)
    return bundles


def made(bundle: Path, truth: Path) -> Path:
    """Showers of a member, ``REPEATS`` for each event of the truth."""
    path = bundle.with_name(f"{bundle.stem}-at-{truth.stem}.h5")
    if not path.exists():
        model = read_bundle(bundle)
        with ShowerWriter(path, model.detector, source="model", provenance={"model": bundle.name}) as writer:
            for seed in range(REPEATS):
                showers = generate(model.detector, model=bundle, like=truth, seed=seed)
                assert isinstance(showers, Showers)
                writer.append(showers)
    return path


def calibration(ensemble: Ensemble, truth: Summary) -> dict[str, Any]:
    """How far off the ensemble is in its own errors, over all observables and bins of energy."""
    found: dict[str, Any] = {}
    for figure in FIGURES:
        inside = pulls(ensemble, truth, figure)[1:]
        alone = pulls(ensemble, truth, figure, with_spread=False)[1:]
        found[figure] = {
            "within_1": coverage(inside),
            "within_2": coverage(inside, 2.0),
            "rms_pull": float(np.sqrt((inside**2).mean())),
            "within_1_without_spread": coverage(alone),
            "rms_pull_without_spread": float(np.sqrt((alone**2).mean())),
            "deviation": float(np.median(true_deviation(ensemble, truth, figure))),
            "spread": float(np.median(spread(ensemble, truth, figure))),
            "rank_correlation": float(
                stats.spearmanr(spread(ensemble, truth, figure), true_deviation(ensemble, truth, figure)).statistic
            ),
            "worst": worst(inside, truth),
        }
    return found


def spread(ensemble: Ensemble, truth: Summary, figure: str) -> NDArray[np.float64]:
    """Spread of every observable and bin, over the deviation of Geant4's showers."""
    scale = truth.figures["deviation"].value[1:]
    return (ensemble.figures[figure].error[1:] / scale).ravel()


def true_deviation(ensemble: Ensemble, truth: Summary, figure: str) -> NDArray[np.float64]:
    """Distance from Geant4 of every observable and bin, over the deviation of Geant4's showers."""
    scale = truth.figures["deviation"].value[1:]
    return (np.abs(ensemble.figures[figure].value - truth.figures[figure].value)[1:] / scale).ravel()


def worst(inside: NDArray[np.float64], truth: Summary) -> dict[str, Any]:
    """The observable and bin with the largest pull."""
    number, column = np.unravel_index(np.abs(inside).argmax(), inside.shape)
    low, high = truth.bins[int(number) + 1]
    return {"observable": truth.names[column], "low_mev": low, "high_mev": high, "pull": float(inside[number, column])}


def draw(ensembles: dict[str, Ensemble], truth: Summary, path: Path) -> None:
    """True deviation against spread, a point an observable and bin; on the line they are equal."""
    with plot_style():
        figure = new_figure(9.6, 3.6)
        panels = figure.subplots(1, len(ensembles), sharex=True, sharey=True)
        for axes, (kind, ensemble) in zip(panels, ensembles.items(), strict=True):
            for number, name in enumerate(FIGURES):
                axes.plot(
                    np.maximum(spread(ensemble, truth, name), 1e-4),
                    np.maximum(true_deviation(ensemble, truth, name), 1e-4),
                    sample_marker(number),
                    color=sample_colour(number),
                    markersize=3,
                    alpha=0.6,
                    label=name,
                )
            ends = np.array([1e-3, 1.0])
            axes.plot(ends, ends, color="0.4", linewidth=0.8)
            error = np.median(truth.figures["mean"].error[1:] / truth.figures["deviation"].value[1:])
            axes.axhline(error, color="0.6", linestyle=":", label="statistical error of Geant4")
            axes.set_title(KINDS[kind])
            axes.set_xlabel(rf"spread of {MEMBERS} members / $\sigma$")
            axes.set_xscale("log")
            axes.set_yscale("log")
        panels[0].set_ylabel(r"distance from Geant4 / $\sigma$")
        panels[0].legend()
        figure.savefig(path, dpi=130)


def markdown(found: dict[str, Any], truth: Summary, what: str) -> str:
    student = stats.t(MEMBERS - 1)
    nominal = [student.cdf(width) - student.cdf(-width) for width in (1.0, 2.0)]
    lines = [
        "# Is the spread between members the error of their showers?",
        "",
        f"caloforge {caloforge.__version__}; {what}; {MEMBERS} members of the family `{TRAINING['model']}`, trained "
        f"{TRAINING['epochs']} epochs on 45,000 showers, {REPEATS} showers for each event. Mean and deviation of "
        f"{len(truth.names)} observables in {BINS} bins of log energy, {BINS * len(truth.names)} numbers in each row. "
        "Error: spread of the members, its factor 1 + 1/M, and statistical errors of both sides. If Geant4 were one "
        f"more member {100 * nominal[0]:.0f} % would be within one error and {100 * nominal[1]:.0f} % within two "
        "(Student's distribution); where statistical errors prevail 68 % and 95 %. Distance and spread: medians, in "
        "deviations of Geant4's showers. Rank correlation: between the two, whether the members know where they are "
        "wrong. Made by `benchmarks/ensembles.py`.",
        "",
        "| members | of the | within 1 | within 2 | rms pull | without the spread: within 1 | rms | distance | "
        "spread | rank correlation | worst |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, figures in found.items():
        for name, row in figures.items():
            place = row["worst"]
            where = f"{place['low_mev'] / 1e3:.3g} to {place['high_mev'] / 1e3:.3g} GeV"
            lines.append(
                f"| {KINDS[kind]} | {name} | {100 * row['within_1']:.0f} % | {100 * row['within_2']:.0f} % | "
                f"{row['rms_pull']:.2f} | {100 * row['within_1_without_spread']:.0f} % | "
                f"{row['rms_pull_without_spread']:.2f} | {row['deviation']:.3f} | {row['spread']:.3f} | "
                f"{row['rank_correlation']:.2f} | {place['observable']}, {where}: {place['pull']:+.1f} |"
            )
    return "\n".join([*lines, "", "![distance against spread](ensembles.png)", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="Geant4 showers to train on")
    parser.add_argument("--test", type=Path, help="Geant4 showers that no member has seen")
    parser.add_argument("--work", type=Path, required=True, help="folder for bundles and showers")
    parser.add_argument("--only", choices=list(KINDS), help="train the members of one way and stop")
    arguments = parser.parse_args()
    arguments.work.mkdir(exist_ok=True)
    if arguments.only:
        members(arguments.only, arguments.train, arguments.work)
        return
    path = arguments.test or held_out(arguments.train, arguments.work)
    with ShowerFile(path) as file:
        column = file.detector.column("energy")
        edges = np.geomspace(file.detector.low[column], file.detector.high[column], BINS + 1)
        what = f"{len(file):,} {'test' if arguments.test else 'validation'} showers of Geant4 in {file.detector.name}"
    edges *= 1 + 1e-6 * np.linspace(-1, 1, BINS + 1)  # energies in files are rounded
    truth = summarise(path, edges)
    ensembles = {}
    for kind in KINDS:
        bundles = members(kind, arguments.train, arguments.work)
        ensembles[kind] = combine([summarise(made(bundle, path), edges) for bundle in bundles])
        print(kind, json.dumps(calibration(ensembles[kind], truth), indent=1), flush=True)
    found = {kind: calibration(ensemble, truth) for kind, ensemble in ensembles.items()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "ensembles.json").write_text(json.dumps({"events": what, "found": found}, indent=1) + "\n")
    (RESULTS / "ensembles.md").write_text(markdown(found, truth, what), encoding="utf-8")
    draw(ensembles, truth, RESULTS / "ensembles.png")
    print(markdown(found, truth, what))


if __name__ == "__main__":
    main()
