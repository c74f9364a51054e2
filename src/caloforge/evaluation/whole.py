"""Figures of whole showers: all observables of a shower together, its image, its neighbours, its training set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from caloforge.errors import RequestError
from caloforge.evaluation.classifier import classify
from caloforge.evaluation.collect import HEAD_EVENTS, Progress, Sample
from caloforge.evaluation.components import COMPONENTS, fit_components
from caloforge.evaluation.events import Rows, chosen
from caloforge.evaluation.feature_rows import frechet_row, kernel_row, manifold_rows, prd_row
from caloforge.evaluation.frechet import check_features, weighted_frechet
from caloforge.evaluation.memorisation import NEAR, memorisation
from caloforge.evaluation.network_inputs import NetworkPlan
from caloforge.evaluation.network_rows import network_tasks
from caloforge.evaluation.network_scores import KeptScores
from caloforge.evaluation.permutation import Kind, judged
from caloforge.evaluation.resampling import Floats, Plan, Weights, bootstrap
from caloforge.evaluation.results import WholeShower
from caloforge.evaluation.rows import (
    MOMENT_EVENTS,
    NEIGHBOUR_EVENTS,
    Draws,
    auc_row,
    features,
    not_computable,
    standardised,
)
from caloforge.evaluation.unweight import unweighted


def compare_whole(
    sample: Sample,
    reference: Sample,
    training: Sample | None,
    paths: tuple[Path, Path],
    names: list[str],
    *,
    paired: bool,
    networks: Sequence[str] = (),
    plan: NetworkPlan | None = None,
    seed: int,
    report: Progress,
    scores: KeptScores | None = None,
    draws: Draws | None = None,
) -> list[WholeShower]:
    """All figures of whole showers; one that cannot be computed says why.

    Of each file the first `HEAD_EVENTS` showers are used; where they have weights a part of them, at random in
    proportion to the weight.

    Args:
        sample: the file to judge.
        reference: the file to judge it by.
        training: the file the model was trained on, for the test of memorisation.
        paths: of sample and reference, whose cells are read again.
        names: observables that vary in the reference.
        paired: event i of both has the same conditions.
        networks: those of :data:`NETWORKS` to train (hours on a CPU).
        plan: their sizes and training.
        seed: of all random draws.
        report: called with (stage, steps done, steps in all).
        scores: of networks trained before.
        draws: how many.
    """
    effort = draws or Draws()
    kept = (head(sample, seed), head(reference, seed))
    paired = paired and np.array_equal(*kept)
    sample, reference = chosen(sample, kept[0]), chosen(reference, kept[1])
    depth = all(item.depth is not None for item in (sample, reference))
    x, y = (features(item, names, depth=depth) for item in (sample, reference))
    tasks: list[tuple[str, Callable[[], list[WholeShower]]]] = [
        ("fpd", lambda: [frechet_row(x, y, paired, seed, effort)]),
        ("kpd", lambda: [kernel_row(x, y, paired, seed, effort)]),
        ("manifold", lambda: manifold_rows(x, y, paired, seed, effort)),
        ("prd_auc", lambda: [prd_row(x, y, paired, seed, effort)]),
        ("image_frechet", lambda: [_images(reference, paths, kept, paired, seed, effort)]),
    ]
    if depth:
        tasks.append(("layers_auc", lambda: [_layers(sample, reference, paired, seed)]))
    if training is not None:
        tasks.append(("memorisation", lambda: _memorisation(sample, reference, training, names)))
    if networks:
        tasks += network_tasks(
            networks,
            sample,
            reference,
            paths,
            kept,
            x,
            y,
            plan or NetworkPlan(),
            paired=paired,
            seed=seed,
            report=report,
            kept=scores or KeptScores(None),
        )
    stage = f"whole showers of {sample.info.label}"
    found: list[WholeShower] = []
    for number, (name, task) in enumerate(tasks, start=1):
        try:
            found += task()
        except RequestError as error:
            found.append(not_computable(name, str(error)))
        report(stage, number, len(tasks))
    return found


def head(sample: Sample, seed: int) -> Rows:
    """Indices of the first showers of a sample that count as one each."""
    rows = unweighted(sample, seed)
    return rows[rows < HEAD_EVENTS]


def _images(
    reference: Sample,
    paths: tuple[Path, Path],
    kept: tuple[Rows, Rows],
    paired: bool,
    seed: int,
    effort: Draws,
) -> WholeShower:
    reference.detector.cells  # noqa: B018 -- the error of a detector that is not one image
    half = len(kept[1]) // 2
    components = fit_components(paths[1], kept[1][:half][:MOMENT_EVENTS], reference.detector.n_cells)
    others = kept[1][half:][:MOMENT_EVENTS]
    y = components.project(paths[1], others)
    x = components.project(paths[0], others if paired else kept[0][:MOMENT_EVENTS])
    check_features(x, y[: len(y) // 2])
    plan = Plan(len(x), len(y), paired, effort.errors, effort.floors, seed)
    pooled = np.concatenate([x, y])
    kinds = {"image_frechet": Kind(0.0, plan.noise**2, plan.noise**2)}
    note = f"{COMPONENTS} principal components of log(1 + e / MeV), fitted on {half:,} other reference showers"

    def metric(weights: Weights) -> dict[str, float]:
        return {"image_frechet": weighted_frechet(pooled, weights)}

    item = judged(metric, plan, kinds, effort.permutations, bootstrap)["image_frechet"]
    return WholeShower(
        "image_frechet", item.value, 0.0, item.floor, item.floor_paired, item.p_value, min(len(x), len(y)), note, {}
    )


def _layers(sample: Sample, reference: Sample, paired: bool, seed: int) -> WholeShower:
    """Gradient boosting on the share of each layer of the detector."""
    shares: list[Floats] = []
    for item in (sample, reference):
        assert item.layers is not None
        total = item.layers.sum(axis=1, keepdims=True, dtype=np.float64)
        shares.append(item.layers / np.where(total > 0, total, 1.0))
    names = [f"layer {number}" for number in range(shares[0].shape[1])]
    found = classify(shares[0], shares[1], names, paired=paired, seed=seed, features="shares of the layers")
    note = "gradient boosting on the share of the energy in each layer"
    return auc_row("layers_auc", found.auc, found.floor, found.events, note, {"error_rate": found.error_rate})


def _memorisation(sample: Sample, reference: Sample, training: Sample, names: list[str]) -> list[WholeShower]:
    depth = all(item.depth is not None for item in (sample, reference, training))
    ours, truth = (features(item, names, depth=depth)[:NEIGHBOUR_EVENTS] for item in (sample, reference))
    truth, ours, known = standardised(truth, ours, features(training, names, depth=depth))
    found = memorisation(ours, truth, known)
    half = len(truth) // 2
    own = memorisation(truth[:half], truth[half:], known)
    note = f"distance to the nearest of {len(known):,} training showers"
    details = {"median": found.median, "median_reference": found.median_reference, "same": float(found.same)}
    rows = (
        ("nearer_to_training", found.nearer, 0.5, own.nearer, found.nearer_p),
        ("near_training", found.near, NEAR, own.near, found.near_p),
    )
    return [
        WholeShower(name, value, perfect, floor, None, p_value, min(len(ours), len(truth)), note, details)
        for name, value, perfect, floor, p_value in rows
    ]
