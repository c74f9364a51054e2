"""What a priority improves and what it costs elsewhere: small trainings with and without, judged on held-out Geant4.

    python benchmarks/priorities.py lhcb-ecal-electron-train.h5 --work WORK

A small `wgan-gp` is trained without priorities, with one on an observable that has a gradient, and with one on a count
of cells through a surrogate, as good as it gets and deliberately weak (``WEAK_STEPS`` steps); each with several seeds
of batches, noise and initial weights. Events of the file: training and validation first, then the held-out showers
that all are judged by. Everything is kept in the work folder: a run that was interrupted goes on, inside a training
too. A training takes about five minutes of one core. Writes ``benchmarks/results/priorities.json``, ``priorities.md``
and ``priorities.png``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

import caloforge
from caloforge.evaluation import evaluate
from caloforge.generation import generate
from caloforge.models.networks.generator import ShowerGenerator
from caloforge.reports.style import new_figure, plot_style, sample_colour
from caloforge.showers import ShowerFile, save
from caloforge.training import train
from caloforge.training.pretraining import Pretraining
from caloforge.training.priorities import PULL_RANGE, Surrogate
from caloforge.training.steps import batch_of

RESULTS = Path(__file__).parent / "results"
DETECTOR = "lhcb-ecal"
TRAINING, VALIDATION, HELD_OUT = 20_000, 2_000, 5_000
STEPS, WEAK_STEPS = 1000, 100
WEIGHT = 10.0
SETTINGS = {
    "model": "wgan-gp",
    "validation_events": VALIDATION,
    "epochs": 4,
    "pretraining_steps": STEPS,
    "critic_steps": 3,
    "averaging": 0.99,
    "network": {"latent": 16, "maps": 2, "channels": 8, "critic_channels": 16, "hidden": 64},
}
Figures = dict[str, dict[str, float]]
"""Value, its error from the sizes of the samples, and the floor, by observable; the classifier's AUC as ``AUC``."""


@dataclass(frozen=True)
class Variant:
    """A name for the table, the observable that has priority, and the steps that its surrogate is trained for."""

    name: str
    observable: str | None = None
    steps: int = STEPS

    def file(self, folder: Path, seed: int, ending: str) -> Path:
        """Where a training, or what came of it, is kept."""
        return folder / f"{self.name.replace(', ', '-').replace(' ', '-')}-{seed}.{ending}"


VARIANTS = (
    Variant("no priority"),
    Variant("width_across", "width_across"),
    Variant("sparsity_1", "sparsity_1"),
    Variant("sparsity_1, weak surrogate", "sparsity_1", WEAK_STEPS),
)


@contextmanager
def surrogate_steps(steps: int, note: Path) -> Iterator[None]:
    """Surrogates are trained for so many steps; what share of the variance of the pulls they explain goes to a file."""
    whole = Pretraining.surrogate

    def fit(self: Pretraining, surrogate: Surrogate, pulls: torch.Tensor, generator: ShowerGenerator) -> None:
        config = self.config.model_copy(update={"pretraining_steps": steps})
        whole(Pretraining(self.sample, config, self.device, self.advance), surrogate, pulls, generator)
        energies, conditions = batch_of(self.sample, slice(0, 2000), self.device)
        with torch.no_grad():
            features = generator.features(conditions)
            wanted = pulls[:2000, -surrogate.n_outputs :].clamp(-PULL_RANGE, PULL_RANGE)
            misses = surrogate(surrogate.images(energies, conditions, generator), features) - wanted
        note.write_text(json.dumps(float(1 - misses.square().mean() / wanted.var())))

    with mock.patch.object(Pretraining, "surrogate", fit):
        yield


def cut(data: Path, folder: Path) -> tuple[Path, Path]:
    """Files of the showers for training, with those for validation, and of the held-out ones."""
    paths = folder / "training.h5", folder / "held-out.h5"
    edges = 0, TRAINING + VALIDATION, TRAINING + VALIDATION + HELD_OUT
    with ShowerFile(data) as file:
        for path, start, stop in zip(paths, edges[:-1], edges[1:], strict=True):
            if not path.exists():
                save(path, file.read(start, stop), source="geant4", provenance={})
    return paths


def figures(variant: Variant, seed: int, files: tuple[Path, Path], folder: Path) -> Figures:
    """Train, generate at the held-out conditions, compare."""
    known = variant.file(folder, seed, "json")
    if not known.exists():
        bundle, made, settings = (variant.file(folder, seed, ending) for ending in ("caloforge", "h5", "yaml"))
        priorities = {variant.observable: WEIGHT} if variant.observable else {}
        settings.write_text(yaml.safe_dump({**SETTINGS, "seed": seed, "priorities": priorities}))
        if not bundle.exists():
            with surrogate_steps(variant.steps, variant.file(folder, seed, "surrogate")):
                train(DETECTOR, files[0], bundle, config=settings, progress=True)
        generate(DETECTOR, model=bundle, like=files[1], output=made, seed=1, overwrite=True)
        sample = evaluate(made, files[1], quick=True).samples[0]
        found = {
            item.name: {
                "value": item.wasserstein.value.value,
                "error": item.wasserstein.value.error,
                "floor": item.wasserstein.strictest_floor.value,
            }
            for item in sample.distances
        }
        auc, floor = sample.classifier.auc, sample.classifier.floor
        found["AUC"] = {"value": auc.value, "error": auc.error, "floor": floor.value}
        known.write_text(json.dumps(found))
        print(f"{variant.name}, seed {seed}: AUC {auc.value:.4f}", flush=True)
    figures: Figures = json.loads(known.read_text())
    return figures


@dataclass(frozen=True)
class Table:
    """Wasserstein-1 over sigma, and the AUC, of every variant: means (V, K) over the seeds, and what they are held to.

    Attributes:
        names: the K rows.
        errors: (K,) of a mean: spread of the seeds about their mean, pooled over the variants, over root of the seeds.
        floors: (K,) of a perfect sample.
    """

    names: list[str]
    means: NDArray[np.float64]
    errors: NDArray[np.float64]
    floors: NDArray[np.float64]


def table(found: list[list[Figures]]) -> Table:
    """Of the figures of each variant and seed."""
    names = list(found[0][0])
    values, floors = (
        np.array([[[figures[name][key] for name in names] for figures in seeds] for seeds in found])
        for key in ("value", "floor")
    )
    n_seeds = values.shape[1]
    pooled = values.var(axis=1, ddof=1).mean(axis=0)
    return Table(names, values.mean(axis=1), np.sqrt(pooled / n_seeds), floors.mean(axis=(0, 1)))


def markdown(result: Table, surrogates: list[list[float]], seeds: int) -> str:
    notes = [
        f"{variant.name} {100 * np.mean(shares):.0f} %"
        for variant, shares in zip(VARIANTS, surrogates, strict=True)
        if shares
    ]
    lines = [
        "# What a priority improves, and what it costs elsewhere",
        "",
        f"caloforge {caloforge.__version__}; small `wgan-gp` trained on {TRAINING:,} Geant4 electrons of {DETECTOR}, "
        f"{SETTINGS['epochs']} epochs, {seeds} seeds; weight {WEIGHT:g}. Against {HELD_OUT:,} held-out showers, equal "
        "conditions: Wasserstein-1 over sigma, mean over the seeds; one standard error of such a mean, from the spread "
        "of the seeds, pooled over the columns. The floor is that of a perfect sample. **Bold**: what had priority. "
        f"Of the variance of the pulls of Geant4 showers the surrogates explain: {'; '.join(notes)}. Made by "
        "`benchmarks/priorities.py`.",
        "",
        "| | " + " | ".join(variant.name for variant in VARIANTS) + " | ± | floor |",
        "|---" * (len(VARIANTS) + 3) + "|",
    ]
    for name, means, error, floor in zip(result.names, result.means.T, result.errors, result.floors, strict=True):
        cells = [
            f"**{mean:.4f}**" if variant.observable == name else f"{mean:.4f}"
            for variant, mean in zip(VARIANTS, means, strict=True)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {error:.4f} | {floor:.4f} |")
    worst = ", ".join(f"{mean:.4f} ({variant.name})" for variant, mean in zip(VARIANTS, _overall(result), strict=True))
    return "\n".join([*lines, "", f"Mean over all observables: {worst}.", ""])


def _overall(result: Table) -> list[float]:
    rows = [number for number, name in enumerate(result.names) if name != "AUC"]
    return [float(value) for value in result.means[:, rows].mean(axis=1)]


def draw(result: Table, path: Path) -> None:
    """Change of every observable by each priority, in Wasserstein-1 over sigma; to the left of zero is better."""
    rows = [number for number, name in enumerate(result.names) if name != "AUC"]
    with plot_style():
        figure = new_figure(7.0, 6.0)
        axes = figure.subplots()
        for number, variant in enumerate(VARIANTS[1:], 1):
            places = np.arange(len(rows)) + 0.2 * (number - 2)
            change = (result.means[number] - result.means[0])[rows]
            error = np.sqrt(2) * result.errors[rows]
            axes.errorbar(change, places, xerr=error, fmt="o", markersize=3, color=sample_colour(number - 1))
            axes.plot([], [], "o", markersize=3, color=sample_colour(number - 1), label=f"priority: {variant.name}")
        axes.axvline(0, color="0.6", linewidth=0.8)
        axes.set_yticks(np.arange(len(rows)), [result.names[row] for row in rows])
        axes.tick_params(axis="y", which="minor", left=False, right=False)
        axes.invert_yaxis()
        axes.set_xlabel(r"change of Wasserstein-1 / $\sigma$ by the priority")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(VARIANTS) - 1)
        figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="Geant4 showers for training, validation and judgement")
    parser.add_argument("--work", type=Path, required=True, help="folder for models and figures")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each variant, two at least")
    arguments = parser.parse_args()
    folder: Path = arguments.work
    folder.mkdir(exist_ok=True)
    files = cut(arguments.data, folder)
    by_seed = [[figures(variant, seed, files, folder) for variant in VARIANTS] for seed in range(arguments.seeds)]
    found = [list(seeds) for seeds in zip(*by_seed, strict=True)]
    notes = [[item.file(folder, seed, "surrogate") for seed in range(arguments.seeds)] for item in VARIANTS]
    surrogates = [[json.loads(path.read_text()) for path in paths if path.exists()] for paths in notes]
    result = table(found)
    plain = {
        "version": caloforge.__version__,
        "settings": SETTINGS,
        "weight": WEIGHT,
        "explained": {variant.name: shares for variant, shares in zip(VARIANTS, surrogates, strict=True)},
        "figures": {variant.name: seeds for variant, seeds in zip(VARIANTS, found, strict=True)},
    }
    (RESULTS / "priorities.json").write_text(json.dumps(plain) + "\n", encoding="utf-8")
    (RESULTS / "priorities.md").write_text(markdown(result, surrogates, arguments.seeds), encoding="utf-8")
    draw(result, RESULTS / "priorities.png")
    print(markdown(result, surrogates, arguments.seeds))


if __name__ == "__main__":
    main()
