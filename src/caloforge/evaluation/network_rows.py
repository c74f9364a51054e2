"""Rows of the table made by neural networks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from caloforge.errors import require
from caloforge.evaluation.collect import Progress, Sample
from caloforge.evaluation.events import Rows
from caloforge.evaluation.network_inputs import (
    Inputs,
    NetworkPlan,
    Training,
    high_level,
    images,
    low_level,
    normalised_low_level,
    read_cells,
)
from caloforge.evaluation.network_scores import KeptScores, NetworkScore
from caloforge.evaluation.resampling import Floats
from caloforge.evaluation.results import WholeShower
from caloforge.evaluation.rows import auc_row, standardised
from caloforge.random import permutation

Task = tuple[str, Callable[[], list[WholeShower]]]

NETWORKS = ("dnn_low_level", "dnn_normalised", "dnn_high_level", "resnet18")
"""CaloChallenge's network on three kinds of inputs, and ResNet-18 on images."""


def network_tasks(
    names: Sequence[str],
    sample: Sample,
    reference: Sample,
    paths: tuple[Path, Path],
    rows: tuple[Rows, Rows],
    x: Floats,
    y: Floats,
    plan: NetworkPlan,
    *,
    paired: bool,
    seed: int,
    report: Progress,
    kept: KeptScores,
) -> list[Task]:
    """Some of :data:`NETWORKS`, each a name and what makes its row.

    Args:
        names: which.
        sample: the file to judge.
        reference: the file to judge it by.
        paths: of both, whose cells are read again, once, when the first network asks for them.
        rows: numbers of their showers in the files.
        x: (N, F) observables of the sample.
        y: (M, F) of the reference.
        plan: sizes and training.
        paired: event i of both has the same conditions.
        seed: of parts, first weights and batches.
        report: called with (stage, epochs done, epochs in all).
        kept: scores of networks trained before; the floors are the same for every sample.
    """
    detector = reference.detector
    conditions = (sample.conditions, reference.conditions)

    @cache
    def cells() -> tuple[Inputs, Inputs]:
        first, second = (read_cells(*where, detector.n_cells) for where in zip(paths, rows, strict=True))
        return first, second

    def of_cells(make: Callable[..., Inputs]) -> list[Inputs]:
        pairs = zip(cells(), conditions, strict=True)
        return [make(energies, given[: len(energies)], detector) for energies, given in pairs]

    def of_observables() -> list[Inputs]:
        truth, ours = standardised(y, x)
        return [high_level(item, given, detector) for item, given in zip((ours, truth), conditions, strict=True)]

    def of_images() -> list[Inputs]:
        detector.cells  # noqa: B018 -- the error of a detector that is not one image, before anything is read
        return [images(item, detector) for item in cells()]

    dense = f"{plan.layers} hidden layers of {plan.hidden:,}, best of {plan.dense.epochs} epochs"
    resnet = f"best of {plan.resnet.epochs} epochs"
    inputs: dict[str, tuple[Callable[[], list[Inputs]], Training, str]] = {
        "dnn_low_level": (lambda: of_cells(low_level), plan.dense, f"e / E of the cells; {dense}"),
        "dnn_normalised": (lambda: of_cells(normalised_low_level), plan.dense, f"e / E_layer of the cells; {dense}"),
        "dnn_high_level": (of_observables, plan.dense, f"{x.shape[1]} observables; {dense}"),
        "resnet18": (of_images, plan.resnet, f"images of log(1 + e / MeV); {resnet}"),
    }

    def task(name: str) -> Task:
        return name, lambda: [_row(name, *inputs[name], plan, paired, seed, report, kept)]

    return [task(name) for name in NETWORKS if name in names]


def _row(
    name: str,
    make: Callable[[], list[Inputs]],
    training: Training,
    note: str,
    plan: NetworkPlan,
    paired: bool,
    seed: int,
    report: Progress,
    kept: KeptScores,
) -> WholeShower:
    require("torch", "train")
    from caloforge.evaluation.networks import DenseClassifier, ResNet18, score_network

    x, y = make()

    def build() -> DenseClassifier | ResNet18:
        return ResNet18(plan.width) if name == "resnet18" else DenseClassifier(x.shape[1], plan.layers, plan.hidden)

    def score(stage: str, sample: Inputs, reference: Inputs, paired: bool) -> NetworkScore:
        settings = {"network": name, **dataclasses.asdict(plan), "paired": paired, "seed": seed}

        def epochs(done: int, total: int) -> None:
            report(stage, done, total)

        def train(checkpoint: Path | None) -> NetworkScore:
            return score_network(
                build, sample, reference, training, paired=paired, seed=seed, report=epochs, checkpoint=checkpoint
            )

        return kept.score(sample, reference, settings, train)

    found = score(f"training {name}", x, y, paired)
    half = len(y) // 2
    order = permutation(seed, "evaluation/network/floor", 0, len(y))
    floor = score(f"floor of {name}", y[order[:half]], y[order[half : 2 * half]], False)
    details = {
        "error_rate": found.error_rate.value,
        "error_rate_error": found.error_rate.error,
        "chosen_auc": found.chosen_auc,
        "chosen_error_rate": found.chosen_error_rate,
        "epoch": float(found.epoch),
    }
    return auc_row(name, found.auc, floor.auc, found.events, note, details)
