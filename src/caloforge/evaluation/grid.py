"""Where in the conditions a sample is good and where not: cells of energy and angle, or of the widest condition."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError
from caloforge.evaluation.collect import HEAD_EVENTS, Sample
from caloforge.evaluation.distances import SortedPair, bin_index, why_not, with_errors
from caloforge.evaluation.metrics import wasserstein
from caloforge.evaluation.parts import Mask, part_response, values_of
from caloforge.evaluation.regions import FEW_SCORED, PartClassifier, few_events
from caloforge.evaluation.resampling import Floats, Plan, Weights
from caloforge.evaluation.results import Distance, Grid, GridAxis, GridCell

COLUMNS, ROWS = 6, 4
SHOWERS = 200
"""A cell should hold so many showers of each kind, or there are fewer cells."""


def grids(reference: Sample, events: int) -> list[Grid]:
    """The cells, still empty: of the reference's energies, and angles to the normal or the condition that varies most.

    Cells hold equal shares of each axis, so that their figures have about equal errors. Each particle has its own.

    Args:
        reference: its conditions decide.
        events: showers of the smallest file.
    """
    varying = [name for name in ("energy", "angle") if np.ptp(values_of(name, reference))]
    if "angle" not in varying:
        varying += _widest(reference)
    if not varying:
        return []
    codes = sorted(set(reference.pdg.tolist()))
    share = events / len(codes) / SHOWERS
    rows = int(np.clip(round((share * ROWS / COLUMNS) ** 0.5), 1, ROWS)) if len(varying) > 1 else 1
    columns = int(np.clip(share // rows, 1, COLUMNS))
    found = []
    for code in codes:
        chosen = reference.pdg == code
        axes = [_axis(name, reference, chosen, count) for name, count in zip(varying, (columns, rows), strict=False)]
        across = axes[1] if len(axes) > 1 else None
        found.append(Grid(int(code) if len(codes) > 1 else None, axes[0], across, []))
    return found


def _widest(reference: Sample) -> list[str]:
    """Of the other conditions the one with the largest spread over the range that the detector has for it."""
    spread = {}
    for index, spec in enumerate(reference.detector.conditions):
        if spec.name != "energy" and np.ptp(reference.conditions[:, index]):
            width = spec.high - spec.low
            spread[spec.name] = float(np.std(reference.conditions[:, index])) / (width if width > 0 else np.inf)
    return [max(spread, key=spread.__getitem__)] if spread else []


def _axis(name: str, reference: Sample, chosen: Mask, count: int) -> GridAxis:
    units = {spec.name: spec.unit for spec in reference.detector.conditions}
    edges = shares(values_of(name, reference)[chosen], count)
    return GridAxis(name, "rad" if name == "angle" else units[name], edges.tolist())


def shares(values: NDArray[np.number], count: int) -> Floats:
    """Edges of `count` bins with equal shares of the values; between the values where there are no more than `count`.

    >>> shares(np.array([1.0, 1.0, 2.0, 4.0]), 6)
    array([1. , 1.5, 3. , 4. ])
    """
    different = np.unique(values).astype(np.float64)
    if len(different) <= count:
        return np.concatenate([different[:1], 0.5 * (different[1:] + different[:-1]), different[-1:]])
    return np.unique(np.quantile(values, np.linspace(0, 1, count + 1)))


def compare_grids(
    empty: list[Grid],
    sample: Sample,
    reference: Sample,
    edges: Mapping[str, Floats],
    classifier: PartClassifier,
    plan: Plan,
) -> list[Grid]:
    """The cells of `grids` with their figures; a cell with too few showers (100 of each kind) says so.

    Largest of many observables, each over a floor that fluctuates, the excess is about 2 to 3 spreads in a perfect
    sample.
    """
    found = []
    for grid in empty:
        axes = [grid.along] if grid.across is None else [grid.along, grid.across]
        counts = [len(axis.edges) - 1 for axis in axes]
        own, truth = (_bins(item, axes, grid.particle) for item in (sample, reference))
        own[HEAD_EVENTS:] = truth[HEAD_EVENTS:] = -1
        if plan.paired:
            own = truth
        cells = []
        for number in range(int(np.prod(counts))):
            column, row = number % counts[0], number // counts[0]
            masks = own == number, truth == number
            cells.append(_cell(column, row, masks, sample, reference, edges, classifier, plan))
        found.append(Grid(grid.particle, grid.along, grid.across, cells))
    return found


def _bins(item: Sample, axes: list[GridAxis], particle: int | None) -> NDArray[np.int64]:
    """(N,) number of each shower's cell, row by row; what lies outside belongs to none and has -1."""
    number = np.zeros(len(item), dtype=np.int64)
    outside = np.zeros(len(item), dtype=np.bool_) if particle is None else item.pdg != particle
    stride = 1
    for axis in axes:
        values, limits = values_of(axis.variable, item), np.array(axis.edges)
        outside |= (values < limits[0]) | (values > limits[-1])
        number += stride * bin_index(values, limits)
        stride *= len(limits) - 1
    return np.where(outside, -1, number)


def _cell(
    column: int,
    row: int,
    masks: tuple[Mask, Mask],
    sample: Sample,
    reference: Sample,
    edges: Mapping[str, Floats],
    classifier: PartClassifier,
    whole: Plan,
) -> GridCell:
    plan = whole.part(*masks)
    few = few_events(sample, plan)
    if few is not None:
        return GridCell(column, row, plan.n, plan.m, None, None, None, None, None, few)
    notes = []
    auc = classifier.auc(masks)
    if auc is None:
        notes.append(FEW_SCORED)
    response = None
    try:
        response, _ = part_response(sample, reference, masks)
    except RequestError as error:
        notes.append(str(error))
    distances = _wassersteins(sample, reference, masks, edges, plan)
    worst = max(distances, key=lambda name: distances[name].spreads_above_floor, default=None)
    if worst is None:
        notes.append("no observable varies in this part of the reference")
        return GridCell(column, row, plan.n, plan.m, auc, None, None, None, response, "; ".join(notes))
    distance = distances[worst]
    return GridCell(
        column, row, plan.n, plan.m, auc, worst, distance, distance.spreads_above_floor, response, "; ".join(notes)
    )


def _wassersteins(
    sample: Sample, reference: Sample, masks: tuple[Mask, Mask], edges: Mapping[str, Floats], plan: Plan
) -> dict[str, Distance]:
    """Wasserstein-1 over sigma of every observable that can be compared in this cell."""
    pairs = {}
    for name, bins in edges.items():
        seen, truth = sample.observables[name][masks[0]], reference.observables[name][masks[1]]
        if why_not({sample.info.label: seen}, truth) is None:
            pairs[name] = SortedPair(seen, truth, bins, plan.reference_weights)

    def values(weights: Weights) -> dict[str, float]:
        return {name: wasserstein(pair.compared(weights)) for name, pair in pairs.items()}

    return with_errors(values, plan, dict.fromkeys(pairs, plan.noise)) if pairs else {}
