"""How many Geant4 showers do the showers of a model stand in for that was trained on a few?

    python benchmarks/amplification.py lhcb-ecal-electron-train.h5 --work WORK

The test of A. Butter et al., arXiv:2008.06545, and S. Bieringer et al., arXiv:2202.07352: a model learns from n = 1,000
showers and makes many; in quantiles of an observable these are some distance away from a large sample that none learnt
from. So many fresh Geant4 showers as are equally far are what the model's showers are worth; over n that is the
amplification. Five sets of 1,000, disjoint, from the first 5,000 showers of the file; the other 45,000 are the large
sample. Observables are taken minus a polynomial in the conditions and in bins of energy, so that a model gains nothing
from knowing the spectrum. What is done stays in the work folder, so that a run that was interrupted goes on. Writes
``benchmarks/results/amplification.json``, ``amplification.md`` and ``amplification.png``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

import caloforge
from caloforge.generation import generate
from caloforge.models.neighbour import fit_neighbour
from caloforge.observables import compute
from caloforge.reports.style import new_figure, plot_style, sample_colour, sample_marker
from caloforge.showers import ShowerFile, save
from caloforge.training import train

RESULTS = Path(__file__).parent / "results"
N = 1_000
SETS = 5
GENERATED = 20_000
ENERGY_BINS = 4
QUANTILES = (5, 20, 100)
SHOWN = 20
TRAINING = {
    "model": "vae",
    "validation_events": 200,
    "batch_size": 64,
    "pretraining_steps": 300,
    "epochs": 60,
}
MODELS = {"vae": "`vae`", "neighbour": "`neighbour`", "training": "the 1,000 training showers"}

Floats = NDArray[np.float64]


def training_set(data: Path, work: Path, number: int) -> Path:
    """One of the sets of 1,000 showers as a file."""
    path = work / f"training-{number}.h5"
    if not path.exists():
        with ShowerFile(data) as file:
            save(path, file.read(number * N, (number + 1) * N), source="geant4", provenance=file.provenance)
    return path


def sample(family: str, data: Path, work: Path, number: int) -> Path:
    """Showers of a family that has learnt from one of the sets, or that set itself."""
    few = training_set(data, work, number)
    if family == "training":
        return few
    model, path = (work / f"{family}-{number}{suffix}" for suffix in (".caloforge", ".h5"))
    with ShowerFile(few) as file:
        detector = file.detector
    if not model.exists():
        if family == "neighbour":
            fit_neighbour(few, model)
        else:
            config = work / f"{family}-{number}.yaml"
            config.write_text(yaml.safe_dump({**TRAINING, "seed": number}))
            train(detector.name, few, model, config=config, progress=True)
    if not path.exists():
        generate(detector, GENERATED, model=model, output=path, seed=number, allow_extrapolation=True)
    return path


class Observed:
    """Observables (N, K) and conditions of a file, or of a part of it."""

    def __init__(self, path: Path, start: int = 0) -> None:
        values, conditions = [], []
        with ShowerFile(path) as file:
            for first in range(start, len(file), 2000):
                block = file.read(first, min(first + 2000, len(file)))
                found = compute(block.energies.astype(np.float64), block.conditions.matrix, file.detector)
                self.names = list(found)
                values.append(np.column_stack(list(found.values())))
                conditions.append(block.conditions.matrix)
            self.column = file.detector.column("energy")
        self.values = np.concatenate(values)
        self.conditions = np.concatenate(conditions)


class Quantiles:
    """The quantiles of a large sample, and how far other samples are from it."""

    def __init__(self, large: Observed) -> None:
        self.column = large.column
        self.size = len(large.values)
        self.energies = np.quantile(large.conditions[:, self.column], np.linspace(0, 1, ENERGY_BINS + 1)[1:-1])
        self.mean, self.scale = self._moments(large.conditions)
        self.polynomial = np.linalg.lstsq(self._terms(large.conditions), large.values, rcond=None)[0]
        self.large = self._parts(large)

    def equivalent(self, samples: list[Observed], quantiles: int) -> tuple[Floats, Floats]:
        """Fresh showers that are as far from the large sample as samples are, and their errors, (K,) each.

        The distance is D = sum_j (f_j - 1/q)^2 over the q quantiles, mean over the bins of energy. On average D is
        (1 - 1/q) B (1/m + 1/M) for m fresh showers, B bins of energy and a large sample of M.
        """
        levels = np.linspace(0, 1, quantiles + 1)[1:-1]
        edges = [np.quantile(part, levels, axis=0) for part in self.large]
        distances = np.array([self._distance(sample, edges) for sample in samples])
        per_shower = distances / ((1 - 1 / quantiles) * ENERGY_BINS)
        mean, error = per_shower.mean(0), per_shower.std(0, ddof=1) / np.sqrt(len(samples))
        left = np.maximum(mean - 1 / self.size, 1e-9)
        return 1 / left, error / left**2

    def _distance(self, sample: Observed, edges: list[Floats]) -> Floats:
        found = []
        for part, limits in zip(self._parts(sample), edges, strict=True):
            shares = [
                np.bincount(np.searchsorted(limit, values), minlength=len(limit) + 1) / len(values)
                for values, limit in zip(part.T, limits.T, strict=True)
            ]
            found.append(((np.array(shares) - 1 / (len(limits) + 1)) ** 2).sum(1))
        return np.mean(found, axis=0)

    def _parts(self, sample: Observed) -> list[Floats]:
        """Observables minus the polynomial, in the bins of energy."""
        values = sample.values - self._terms(sample.conditions) @ self.polynomial
        index = np.digitize(sample.conditions[:, self.column], self.energies)
        return [values[index == number] for number in range(ENERGY_BINS)]

    def _scaled(self, conditions: Floats) -> Floats:
        scaled = conditions.copy()
        scaled[:, self.column] = np.log(scaled[:, self.column])
        return scaled

    def _moments(self, conditions: Floats) -> tuple[Floats, Floats]:
        scaled = self._scaled(conditions)
        return scaled.mean(0), np.where(scaled.std(0) > 0, scaled.std(0), 1.0)

    def _terms(self, conditions: Floats) -> Floats:
        scaled = (self._scaled(conditions) - self.mean) / self.scale
        energy = scaled[:, [self.column]]
        lines = [np.ones_like(energy), scaled, scaled * energy, scaled**2, scaled**2 * energy]
        return np.hstack([*lines, energy**3, energy**4])


def markdown(found: dict[str, Any], names: list[str]) -> str:
    lines = [
        "# Amplification: how many Geant4 showers the showers of a model stand in for",
        "",
        f"caloforge {caloforge.__version__}; models that learnt from {N:,} Geant4 showers, {GENERATED:,} generated, "
        f"held against 45,000 others; {SETS} disjoint training sets. Fresh Geant4 showers at the same distance, over "
        f"{N:,}: above 1 the showers of the model are worth more than those it learnt from. Observables minus a "
        f"polynomial in the conditions, in {ENERGY_BINS} bins of energy. The training showers themselves must give 1, "
        "which checks the method. Method: arXiv:2008.06545, arXiv:2202.07352. Made by `benchmarks/amplification.py`.",
        "",
        f"Median over {len(names)} observables:",
        "",
        "| showers of | " + " | ".join(f"{q} quantiles" for q in QUANTILES) + " |",
        "|---|" + "---|" * len(QUANTILES),
    ]
    lines += [
        f"| {title} | " + " | ".join(f"{found[model][str(q)]['median']:.2g}" for q in QUANTILES) + " |"
        for model, title in MODELS.items()
    ]
    lines += [
        "",
        f"{SHOWN} quantiles, mean and standard error over the training sets:",
        "",
        "| observable | " + " | ".join(MODELS.values()) + " |",
        "|---|" + "---|" * len(MODELS),
    ]
    for name in names:
        row = [found[model][str(SHOWN)]["factors"][name] for model in MODELS]
        lines.append(f"| {name} | " + " | ".join(f"{value:.2g} ± {error:.1g}" for value, error in row) + " |")
    return "\n".join([*lines, "", "![amplification](amplification.png)", ""])


def draw(found: dict[str, Any], path: Path) -> None:
    """Factor against the number of quantiles: median and quartiles over the observables."""
    with plot_style():
        figure = new_figure(5.4, 3.8)
        axes = figure.subplots()
        for number, (model, title) in enumerate(MODELS.items()):
            factors = np.array([[pair[0] for pair in found[model][str(q)]["factors"].values()] for q in QUANTILES])
            low, median, high = np.quantile(factors, [0.25, 0.5, 0.75], axis=1)
            axes.errorbar(
                np.array(QUANTILES) * 1.06 ** (number - 1),
                median,
                [median - low, high - median],
                fmt=sample_marker(number),
                color=sample_colour(number),
                label=title.replace("`", ""),
            )
        axes.axhline(1.0, color="0.5", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("quantiles")
        axes.set_ylabel("amplification (median and quartiles of the observables)")
        axes.legend()
        figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="Geant4 showers, 50,000")
    parser.add_argument("--work", type=Path, required=True, help="folder for bundles and showers")
    arguments = parser.parse_args()
    arguments.work.mkdir(exist_ok=True)
    large = Observed(arguments.data, SETS * N)
    quantiles = Quantiles(large)
    found: dict[str, Any] = {}
    for model in MODELS:
        samples = [Observed(sample(model, arguments.data, arguments.work, number)) for number in range(SETS)]
        found[model] = {}
        for q in QUANTILES:
            worth, error = quantiles.equivalent(samples, q)
            pairs = zip((worth / N).tolist(), (error / N).tolist(), strict=True)
            found[model][str(q)] = {
                "factors": dict(zip(large.names, pairs, strict=True)),
                "median": float(np.median(worth / N)),
            }
            print(f"{model}, {q} quantiles: median {np.median(worth / N):.2f}", flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "amplification.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "amplification.md").write_text(markdown(found, large.names), encoding="utf-8")
    draw(found, RESULTS / "amplification.png")
    print(markdown(found, large.names))


if __name__ == "__main__":
    main()
