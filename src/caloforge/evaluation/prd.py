"""Precision and recall of distributions: the area under the curve of Sajjadi et al."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.resampling import Floats, Weights
from caloforge.random import permutation

CLUSTERS = 20
RUNS = 10
ROUNDS = 50
ANGLES = 1001
_EDGE = 1e-10


def curve_area(sample: Floats, reference: Floats) -> float:
    """Area under the curve of precision against recall of two histograms: 1 for equal, 0 for disjoint ones.

    For every slope l in tan(0 .. pi/2): precision = sum min(l p_i, q_i), recall = precision / l, with p the reference
    and q the sample (Sajjadi et al., NeurIPS 2018, arXiv:1806.00035).

    Args:
        sample: (K,) shares of the sample, which sum to 1.
        reference: (K,) shares of the reference.

    >>> import numpy as np
    >>> round(curve_area(np.array([0.5, 0.5]), np.array([1.0, 0.0])), 4)
    0.5
    """
    slopes = np.tan(np.linspace(_EDGE, np.pi / 2 - _EDGE, ANGLES))
    precision = np.minimum(slopes[:, None] * reference, sample).sum(axis=1)
    recall = np.minimum(reference, sample / slopes[:, None]).sum(axis=1)
    # The recall falls as the slope grows.
    return float((0.5 * (precision[1:] + precision[:-1]) * (recall[:-1] - recall[1:])).sum())


class Clusterings:
    """Ten clusterings of pooled showers into 20 clusters, made once, for the area of any division into two sides.

    Args:
        points: (P, F) features of all showers, in units that make distances sensible.
        seed: of the first centres.
    """

    def __init__(self, points: Floats, seed: int) -> None:
        self._labels = [k_means(points, min(CLUSTERS, len(points)), seed, run) for run in range(RUNS)]

    def area(self, weights: Weights) -> dict[str, float]:
        """Mean area under the curve over the clusterings, named "prd_auc"."""
        areas = []
        for labels in self._labels:
            sample, reference = (
                np.bincount(labels, side, minlength=CLUSTERS).astype(np.float64)
                for side in (weights.sample, weights.reference)
            )
            areas.append(curve_area(sample, reference))
        return {"prd_auc": float(np.mean(areas))}


def k_means(points: Floats, clusters: int, seed: int, run: int) -> NDArray[np.int64]:
    """(P,) cluster of each point: Lloyd's algorithm from random points, until nothing moves or 50 rounds are over."""
    from scipy.cluster.vq import vq

    centres = points[permutation(seed, "evaluation/prd/centres", run, len(points))[:clusters]]
    labels = np.full(len(points), -1, dtype=np.int64)
    for _ in range(ROUNDS):
        found = vq(points, centres, check_finite=False)[0].astype(np.int64)
        if np.array_equal(found, labels):
            break
        labels = found
        counts = np.bincount(labels, minlength=clusters)
        sums = np.stack([np.bincount(labels, column, minlength=clusters) for column in points.T], axis=1)
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
    return labels
