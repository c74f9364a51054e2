"""What each choice of the representation brings: from cells on their own to that of the shipped model, one at a time.

    python benchmarks/representation.py lhcb-ecal-electron-train.h5 --work WORK

Nothing is trained against a critic: distributions of the cells are fitted to the training showers, each cell is drawn
on its own, at the conditions of the validation showers at the end of the file, and held against these. The
last row is the shipped model. A row that is done stays in the work folder, so that a run that was interrupted goes on.
Writes ``benchmarks/results/representation.json`` and ``representation.md``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import caloforge
from caloforge.evaluation.classifier import classify
from caloforge.models.bundle import read_bundle, shipped_bundle
from caloforge.models.networks.conditions import ConditionFeatures
from caloforge.models.networks.families import shower_generator
from caloforge.models.networks.generator import ConvolutionalPulls, ShowerGenerator
from caloforge.models.networks.marginals import EDGE, ConditionalMarginals, Marginals
from caloforge.models.networks.sampler import load_generator
from caloforge.models.networks.settings import ConvolutionalSettings
from caloforge.observables import compute
from caloforge.progress import progress_bar
from caloforge.random import normals
from caloforge.showers import ShowerFile
from caloforge.training.config import WganGpConfig
from caloforge.training.data import Sample, stage
from caloforge.training.pretraining import Pretraining
from caloforge.training.steps import batch_of
from caloforge.training.validation import binned_distances, score

RESULTS = Path(__file__).parent / "results"
VALIDATION = 5000
BLOCK = 500
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Choices:
    """What a row has; every row has what the one before it has."""

    conditions: bool = True
    folded: bool = True
    censored: bool = True
    skewed: bool = True
    energy_first: bool = True


ROWS = {
    "normal cells, the same whatever the conditions": Choices(False, False, False, False, False),
    "given the conditions": Choices(True, False, False, False, False),
    "mirror symmetries": Choices(True, True, False, False, False),
    "a cell is off, or on with an energy": Choices(True, True, True, False, False),
    "skewness and tails": Choices(True, True, True, True, False),
    "total energy first": Choices(),
}


class NoFeatures(ConditionFeatures):
    """The conditions ignored."""

    def forward(self, conditions: Tensor) -> Tensor:
        return torch.zeros_like(super().forward(conditions))


class Uncensored(Marginals):
    """A cell that is off counts as one of no energy."""

    def censored_loss(self, values: Tensor, *, edge: float = EDGE) -> Tensor:
        return self.loss(values)


class SimplerMarginals(ConditionalMarginals):
    """Normal, or uncensored, as chosen."""

    choices: Choices

    def forward(self, features: Tensor) -> Marginals:
        found: Marginals = super().forward(features)
        if not self.choices.skewed:
            found = found._replace(skewness=torch.zeros_like(found.skewness), log_tail=torch.zeros_like(found.log_tail))
        return found if self.choices.censored else Uncensored(*found)


def fitted(sample: Sample, choices: Choices) -> ShowerGenerator:
    """A generator whose marginals are those of the training showers, and whose cells do not depend on each other."""
    config, detector = WganGpConfig(), sample.conditions.detector
    torch.manual_seed(0)
    generator = shower_generator("wgan-gp", detector, (11,), ConvolutionalSettings())
    generator.cells = SimplerMarginals(generator.features.width, detector.n_cells, config.network.hidden)
    generator.cells.choices = choices
    if not choices.conditions:
        generator.features = NoFeatures(detector, (11,))
    if not choices.folded:
        generator.features = (ConditionFeatures if choices.conditions else NoFeatures)(detector, (11,), folded=False)
        generator.fold.columns.clear()
    with progress_bar("fit", 2 * config.pretraining_steps, show=True, unit="steps") as advance:
        Pretraining(sample, config, CPU, advance).representation(generator)
    pulls = generator.pulls
    assert isinstance(pulls, ConvolutionalPulls)
    torch.nn.init.ones_(pulls.own)
    torch.nn.init.zeros_(pulls.shared)
    torch.nn.init.zeros_(pulls.convolutions[-1].weight)
    return generator.eval()


def drawn(generator: ShowerGenerator, sample: Sample, *, energy_first: bool) -> np.ndarray:
    """Showers (N, n_cells) at the conditions of a sample, MeV."""
    parts = []
    for start in range(0, len(sample), BLOCK):
        _, conditions = batch_of(sample, slice(start, start + BLOCK), CPU)
        noise = torch.from_numpy(normals(0, "noise", start, len(conditions), generator.noise_width))
        with torch.inference_mode():
            flips = generator.fold.flips(conditions)
            folded = generator.fold.conditions(conditions, flips)
            energies = generator.folded(folded, noise) if energy_first else unscaled(generator, folded, noise)
            parts.append(generator.fold.energies(energies, flips).numpy())
    return np.concatenate(parts)


def unscaled(generator: ShowerGenerator, conditions: Tensor, noise: Tensor) -> Tensor:
    """Energies (N, n_cells) of the cells as they are drawn, whatever they add up to."""
    features = generator.features(conditions)
    cells: Marginals = generator.cells(features)
    return generator.to_energies(cells.values(generator.pulls(features, noise, cells)))


def figures(made: np.ndarray, truth: Sample) -> dict[str, Any]:
    """Validation score and AUC of gradient boosting on observables and conditions."""
    conditions = truth.conditions
    features = []
    for energies in (made, truth.energies):
        table = compute(energies.astype(np.float64), conditions.matrix, conditions.detector)
        features.append(np.column_stack([*table.values(), np.log(conditions.matrix[:, :1]), conditions.matrix[:, 1:]]))
    names = [*table, *conditions.detector.condition_names]
    found = classify(*features, names, paired=True, seed=0)
    distances = binned_distances(made, np.asarray(truth.energies), conditions)
    return {
        "score": score(distances),
        "worst": max(distances, key=lambda name: distances[name]),
        "worst_distance": max(distances.values()),
        "auc": [found.auc.value, found.auc.error],
    }


def row(name: str, data: Path, work: Path) -> dict[str, Any]:
    """Figures of one of ``ROWS``, or of the shipped model."""
    path = work / f"{name.replace(' ', '-')}.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept
    choices = ROWS.get(name)
    with ShowerFile(data) as file:
        split = stage(file, work, VALIDATION, folded=choices is not None and choices.folded)
    if choices is None:
        generator = load_generator(read_bundle(shipped_bundle("lhcb-ecal")))
        assert isinstance(generator, ShowerGenerator)
    else:
        generator = fitted(split.training, choices)
    made = drawn(generator, split.validation, energy_first=choices is None or choices.energy_first)
    result = figures(made, split.validation)
    path.write_text(json.dumps({"name": name, **result}, indent=1))
    return {"name": name, **result}


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = [
        "# What each choice of the representation brings",
        "",
        f"caloforge {caloforge.__version__}; showers drawn at the conditions of {VALIDATION:,} Geant4 showers and held "
        "against these. Every row has what the rows above it have; only the last was trained against a critic. Score: "
        "Wasserstein-1 over sigma, mean of all observables and four bins of log energy. Made by "
        "`benchmarks/representation.py`.",
        "",
        "| representation | score | worst observable | AUC, boosting |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {item['name']} | {item['score']:.3f} | {item['worst']} {item['worst_distance']:.2f} | "
        f"{item['auc'][0]:.3f} ± {item['auc'][1]:.3f} |"
        for item in rows
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    rows = [row(name, arguments.data, arguments.work) for name in [*ROWS, "shipped wgan-gp"]]
    (RESULTS / "representation.json").write_text(json.dumps(rows, indent=1))
    (RESULTS / "representation.md").write_text(markdown(rows))


if __name__ == "__main__":
    main()
