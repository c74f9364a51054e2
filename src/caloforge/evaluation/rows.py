"""What the figures of whole showers share: features, and rows of the table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caloforge.evaluation.collect import Sample
from caloforge.evaluation.resampling import Floats
from caloforge.evaluation.results import Measured, WholeShower

MOMENT_EVENTS = 50_000
NEIGHBOUR_EVENTS = 10_000


@dataclass(frozen=True)
class Draws:
    """Numbers of random draws: for errors, floors, p values, and floors of figures that are slow."""

    errors: int = 50
    floors: int = 30
    permutations: int = 300
    slow_floors: int = 5


def not_computable(name: str, reason: str) -> WholeShower:
    """A row that says why there is no figure."""
    return WholeShower(name, None, 0.0, None, None, None, 0, reason, {})


def features(item: Sample, names: list[str], *, depth: bool) -> Floats:
    """(N, F) observables of a sample, with mean and spread of the depth of the layers' energies where asked for."""
    columns = [item.observables[name] for name in names]
    if depth:
        assert item.depth is not None
        columns += list(item.depth.T)
    return np.column_stack(columns)


def standardised(reference: Floats, *others: Floats) -> tuple[Floats, ...]:
    """Reference and others, in standard deviations of the reference from its mean; constant features stay 0 there."""
    mean, spread = reference.mean(axis=0), reference.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return tuple((item - mean) / spread for item in (reference, *others))


def auc_row(
    name: str, auc: Measured, floor: Measured, events: int, note: str, details: dict[str, float]
) -> WholeShower:
    """A row of a classifier; its p value is that of a normal AUC above 1/2."""
    from scipy.stats import norm

    p_value = float(norm.sf((auc.value - 0.5) / auc.error)) if auc.error > 0 else float(auc.value <= 0.5)
    return WholeShower(name, auc, 0.5, floor, None, p_value, events, note, details)
