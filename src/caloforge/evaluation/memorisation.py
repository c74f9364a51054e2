"""Is a model copying its training set? Distances to the nearest training shower, beside those of held-out showers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caloforge.errors import RequestError
from caloforge.evaluation.manifold import nearest
from caloforge.evaluation.resampling import Floats
from caloforge.evaluation.results import Measured
from caloforge.evaluation.roc import auc_with_error

NEAR = 0.01
"""A shower is conspicuously near where fewer than this share of held-out showers are as near to the training set."""

SAME = 1e-9
"""Distances below this, in standard deviations, are those of the same shower."""


@dataclass(frozen=True)
class Memorisation:
    """How near to the training set a sample lies, and how near held-out showers of the same kind lie.

    Attributes:
        nearer: probability that a shower of the sample is nearer to the training set than a held-out one; 0.5 for a
            model that does not copy, 1 for a copy.
        nearer_p: p value of the one-sided Mann-Whitney test for a sample that is too near.
        near: share of the sample that is nearer than the nearest 1 % of the held-out showers are.
        near_p: p value of that share, from the exact distribution of such counts; it sees a copy of a few showers too.
        median: median distance of the sample, in standard deviations of the features.
        median_reference: of the held-out showers.
        same: showers of the sample that are those of the training set.
    """

    nearer: Measured
    nearer_p: float
    near: Measured
    near_p: float
    median: float
    median_reference: float
    same: int


def memorisation(sample: Floats, reference: Floats, training: Floats) -> Memorisation:
    """The data-copying test of Meehan, Chaudhuri, Dasgupta (AISTATS 2020, arXiv:2004.05675), over all space at once.

    Args:
        sample: (N, F) features of what the model made, in standard deviations.
        reference: (M, F) features of held-out showers, which the model was not trained on.
        training: (T, F) features of the training set.

    Raises:
        RequestError: features are not finite, or the reference holds showers of the training set.
    """
    from scipy.stats import mannwhitneyu, nhypergeom

    for features in (sample, reference, training):
        if not np.isfinite(features).all():
            raise RequestError("a feature is NaN or infinite; expected finite observables")
    ours, truth = (distances_to(queries, training) for queries in (sample, reference))
    known = int((truth < SAME).sum())
    if known:
        raise RequestError(
            f"{known} of {len(reference)} reference showers are in the training file; the test needs held-out showers"
        )
    labels = np.repeat([1, 0], [len(ours), len(truth)])
    nearer = auc_with_error(-np.concatenate([ours, truth]), labels)
    # Showers of the sample found before the `first`-th nearest of the reference, when all are sorted by distance.
    first = max(1, round(NEAR * len(truth)))
    count = int((ours < np.partition(truth, first - 1)[first - 1]).sum())
    share = count / len(ours)
    tail = nhypergeom(len(ours) + len(truth), len(ours), first).pmf(np.arange(count, len(ours) + 1))
    return Memorisation(
        nearer=nearer,
        nearer_p=float(mannwhitneyu(ours, truth, alternative="less", method="asymptotic").pvalue),
        near=Measured(share, (max(share, first / len(truth)) / len(ours)) ** 0.5),
        near_p=min(1.0, float(tail.sum())),
        median=float(np.median(ours)),
        median_reference=float(np.median(truth)),
        same=int((ours < SAME).sum()),
    )


def distances_to(queries: Floats, points: Floats) -> Floats:
    """(N,) Euclidean distance of each query to the nearest point."""
    return np.concatenate([distance[:, 0] for _, distance in nearest(queries, points, 1)])
