"""Is the model's resolution off, or the test sample's? Many model showers, and every Geant4 sample there is.

    python benchmarks/resolution.py --train lhcb-ecal-electron-train.h5 --test TEST [MORE ...]

A test sample of 10,000 has 1,700 showers in each bin of energy, and a handful of rare ones (energy that leaves at the
back) decide the resolution of the highest bins. So the shipped model makes ten showers for each test event, and the
training showers of Geant4, which are other ones of the same kind, are held against the test showers too. Writes
``benchmarks/results/resolution.json`` and ``resolution.md``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

import caloforge
from caloforge.evaluation import binned_response, energy_edges, response_ratio
from caloforge.evaluation.results import ResponseBins, ResponseRatio
from caloforge.generation import generate
from caloforge.showers import ShowerFile, Showers

RESULTS = Path(__file__).parent / "results"
REPEATS = 10
BLOCK = 2_000
Energies = tuple[np.ndarray, np.ndarray]


def energies(files: list[Path]) -> Energies:
    """Visible and incident energies of the showers of files."""
    visible, incident = [], []
    for path in files:
        with ShowerFile(path) as file:
            incident.append(file.conditions().column("energy"))
            for start in range(0, len(file), BLOCK):
                visible.append(file.read(start, min(start + BLOCK, len(file))).energies.sum(1))
    return np.concatenate(visible), np.concatenate(incident)


def made(files: list[Path]) -> Energies:
    """The same of the shipped model, ``REPEATS`` showers for each event of the files."""
    visible, incident = [], []
    for path in files:
        with ShowerFile(path) as file:
            detector = file.detector
        for seed in range(1, REPEATS + 1):
            showers = generate(detector, like=path, seed=seed)
            assert isinstance(showers, Showers)
            visible.append(showers.energies.sum(1))
            incident.append(showers.conditions.column("energy"))
    return np.concatenate(visible), np.concatenate(incident)


def markdown(bins: ResponseBins, ratios: dict[str, ResponseRatio]) -> str:
    lines = [
        "# Response and resolution, model and Geant4 samples",
        "",
        f"caloforge {caloforge.__version__}; {sum(bins.events):,} Geant4 test showers, {REPEATS} showers of the "
        "shipped model for each. Ratio minus one, in per cent; errors from the samples' own fourth moments. Made by "
        "`benchmarks/resolution.py`.",
        "",
        "| energy [GeV] | test showers | " + " | ".join(f"{name}: response | resolution" for name in ratios) + " |",
        "|---|---|" + "---|---|" * len(ratios),
    ]
    for number, events in enumerate(bins.events):
        low, high = (edge / 1e3 for edge in bins.edges[number : number + 2])
        cells = [
            f"{100 * (values[number] - 1):+.2f} +- {100 * errors[number]:.2f}"
            for ratio in ratios.values()
            for values, errors in ((ratio.response, ratio.response_error), (ratio.resolution, ratio.resolution_error))
        ]
        lines.append(f"| {low:.1f} to {high:.1f} | {events:,} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="Geant4 showers that the model was trained on")
    parser.add_argument("--test", type=Path, required=True, nargs="+", help="Geant4 showers that no model has seen")
    arguments = parser.parse_args()
    samples = {"test": energies(arguments.test), "train": energies([arguments.train]), "model": made(arguments.test)}
    edges = energy_edges(1e3, 1e5, [incident for _, incident in samples.values()])
    bins = {name: binned_response(*sample, edges) for name, sample in samples.items()}
    ratios = {
        "model / test": response_ratio(bins["model"], bins["test"]),
        "training / test": response_ratio(bins["train"], bins["test"]),
        "model / training": response_ratio(bins["model"], bins["train"]),
    }
    record = {"bins": {name: asdict(item) for name, item in bins.items()}}
    record |= {"ratios": {name: asdict(item) for name, item in ratios.items()}}
    (RESULTS / "resolution.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "resolution.md").write_text(markdown(bins["test"], ratios))
    print(markdown(bins["test"], ratios))


if __name__ == "__main__":
    main()
