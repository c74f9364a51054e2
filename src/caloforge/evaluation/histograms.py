"""Histograms of observables, of all showers and of each part of the conditions, with errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.collect import Sample
from caloforge.evaluation.distances import bin_index
from caloforge.evaluation.parts import Mask, parts_of
from caloforge.evaluation.resampling import Floats
from caloforge.evaluation.results import Histogram, PartCounts


def histograms(
    edges: Mapping[str, Floats],
    labels: Mapping[str, str],
    reference: Sample,
    samples: Sequence[Sample],
    paired: Sequence[bool],
) -> list[Histogram]:
    """One of each observable named in `edges`, in these bins; the first and last hold what lies beyond.

    Args:
        edges: of the bins, by observable.
        labels: of the axes.
        reference: whose conditions decide where the parts end.
        samples: in the order of the report.
        paired: which samples have the reference's conditions event by event.
    """
    items = [reference, *samples]
    parts = parts_of(reference)
    same = [True, *paired]  # the reference has its own conditions
    chosen = [
        [part.masks(item, reference, equal)[0] for item, equal in zip(items, same, strict=True)] for part in parts
    ]
    weighted = any(item.weights is not None for item in items)
    found = []
    for name, limits in edges.items():
        bins = [bin_index(item.observables[name], limits) for item in items]
        everything = _counts(bins, len(limits) - 1, items)
        inside = []
        for part, masks in zip(parts, chosen, strict=True):
            counts, errors = _counts(bins, len(limits) - 1, items, masks)
            own = errors if weighted else None
            inside.append(PartCounts(part.variable, part.low, part.high, counts[0], counts[1:], own))
        counts, errors = everything
        found.append(
            Histogram(name, labels[name], limits.tolist(), counts[0], errors[0], counts[1:], errors[1:], inside)
        )
    return found


def _counts(
    bins: Sequence[NDArray[np.int64]], size: int, items: Sequence[Sample], masks: Sequence[Mask] | None = None
) -> tuple[list[list[float]], list[list[float]]]:
    """Sums of weights and their errors sqrt(sum w^2), of each sample."""
    counts, errors = [], []
    for number, item in enumerate(items):
        chosen = slice(None) if masks is None else masks[number]
        index = bins[number][chosen]
        weights = np.ones(len(index)) if item.weights is None else item.weights[chosen]
        sums, squares = (np.bincount(index, weights=weights**power, minlength=size) for power in (1, 2))
        counts.append(sums.tolist())
        errors.append(np.sqrt(squares).tolist())
    return counts, errors
