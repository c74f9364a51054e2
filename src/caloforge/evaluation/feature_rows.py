"""Rows of the table that compare all observables of a shower together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from caloforge.errors import RequestError
from caloforge.evaluation.frechet import check_features, frechet_physics_distance, scale_of, weighted_frechet
from caloforge.evaluation.kernel import BATCH, kernel_p_value, kernel_physics_distance
from caloforge.evaluation.manifold import NEIGHBOURS, Manifold
from caloforge.evaluation.permutation import Kind, half_samples, judged, relabelled
from caloforge.evaluation.prd import Clusterings
from caloforge.evaluation.resampling import Floats, Plan, Weights, bootstrap, halves
from caloforge.evaluation.results import Measured, WholeShower
from caloforge.evaluation.rows import MOMENT_EVENTS, NEIGHBOUR_EVENTS, Draws, standardised


def frechet_row(x: Floats, y: Floats, paired: bool, seed: int, effort: Draws) -> WholeShower:
    x, y = x[:MOMENT_EVENTS], y[:MOMENT_EVENTS]
    check_features(x, y[: len(y) // 2])
    found = frechet_physics_distance(y, x, seed=seed)
    plan = Plan(len(x), len(y), paired, effort.errors, 2, seed)
    pooled = np.concatenate([x, y]) / scale_of(y)
    kinds = {"fpd": Kind(0.0, plan.noise**2, plan.noise**2)}

    def metric(weights: Weights) -> dict[str, float]:
        return {"fpd": weighted_frechet(pooled, weights)}

    plain = judged(metric, plan, kinds, effort.permutations, bootstrap)["fpd"]
    floor, floor_paired = _slow_floors(lambda a, b: frechet_physics_distance(b, a, seed=seed).value, x, y, plan, effort)
    sizes = f"batches of {found.sizes[0]:,} to {found.sizes[1]:,}"
    published = (
        "jetnet's sizes" if found.published else "fewer than jetnet's 20,000 to 50,000: not the published figure"
    )
    return WholeShower(
        name="fpd",
        value=Measured(found.value, plain.value.error),
        perfect=0.0,
        floor=floor,
        floor_paired=floor_paired,
        p_value=plain.p_value,
        events=min(len(x), len(y)),
        note=f"{x.shape[1]} observables; {sizes} ({published})",
        details={"fit_error": found.fit_error},
    )


def kernel_row(x: Floats, y: Floats, paired: bool, seed: int, effort: Draws) -> WholeShower:
    value = kernel_physics_distance(y, x, seed=seed)
    p_value = kernel_p_value(y, x, paired=paired, permutations=effort.permutations, seed=seed)
    plan = Plan(len(x), len(y), paired, 0, 0, seed)
    floor, floor_paired = _slow_floors(lambda a, b: kernel_physics_distance(b, a, seed=seed).value, x, y, plan, effort)
    size = min(BATCH, len(x), len(y))
    note = f"{x.shape[1]} observables; draws of {size:,}{'' if size == BATCH else ', fewer than the published 5,000'}"
    return WholeShower("kpd", value, 0.0, floor, floor_paired, p_value, min(len(x), len(y)), note, {})


def _slow_floors(
    distance: Callable[[Floats, Floats], float], x: Floats, y: Floats, plan: Plan, effort: Draws
) -> tuple[Measured, Measured | None]:
    """Floor of halves, scaled to the sizes compared, and of exchanged pairs, for a distance that is slow."""
    pooled = np.concatenate([x, y])

    def spread(values: list[float], scale: float) -> Measured:
        return Measured(scale * float(np.mean(values)), scale * float(np.std(values, ddof=1)))

    def apart(weights: Weights) -> float:
        return distance(pooled[weights.sample > 0], pooled[weights.reference > 0])

    split = [apart(weights) for weights in halves(plan.n, plan.m, effort.slow_floors, plan.seed)]
    floor = spread(split, plan.noise**2)
    if not plan.paired:
        return floor, None
    dealt = [apart(weights) for weights in relabelled(plan.n, plan.m, True, effort.slow_floors, plan.seed)]
    return floor, spread(dealt, 1.0)


def _near_points(x: Floats, y: Floats) -> tuple[int, Floats]:
    """How many showers of each side are used, and their standardised features, sample first."""
    events = min(len(x), len(y), NEIGHBOUR_EVENTS)
    truth, ours = standardised(y[:events], x[:events])
    return events, np.concatenate([ours, truth])


def _rows(
    metric: Callable[[Weights], Mapping[str, float]],
    kinds: Mapping[str, Kind],
    plan: Plan,
    effort: Draws,
    note: str,
) -> list[WholeShower]:
    found = judged(metric, plan, kinds, effort.permutations, half_samples)
    return [
        WholeShower(
            name, item.value, kinds[name].perfect, item.floor, item.floor_paired, item.p_value, plan.n, note, {}
        )
        for name, item in found.items()
    ]


def manifold_rows(x: Floats, y: Floats, paired: bool, seed: int, effort: Draws) -> list[WholeShower]:
    events, points = _near_points(x, y)
    if events // 2 <= 2 * NEIGHBOURS:
        raise RequestError(
            f"{events} showers; halves of them need more than {2 * NEIGHBOURS} for {NEIGHBOURS} neighbours"
        )
    plan = Plan(events, events, paired, effort.errors, effort.floors, seed)
    kinds = {
        name: Kind(perfect, 1.0, plan.noise, "both")
        for name, perfect in (
            ("precision", 1.0),
            ("recall", 1.0),
            ("density", 1.0),
            ("coverage", 1.0 - 0.5**NEIGHBOURS),
        )
    }
    return _rows(Manifold(points).figures, kinds, plan, effort, f"{NEIGHBOURS} neighbours in {x.shape[1]} observables")


def prd_row(x: Floats, y: Floats, paired: bool, seed: int, effort: Draws) -> WholeShower:
    events, points = _near_points(x, y)
    plan = Plan(events, events, paired, effort.errors, effort.floors, seed)
    kinds = {"prd_auc": Kind(1.0, plan.noise, plan.noise, "below")}
    return _rows(Clusterings(points, seed).area, kinds, plan, effort, "10 clusterings into 20 clusters")[0]
