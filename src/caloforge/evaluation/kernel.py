"""Kernel physics distance: the maximum mean discrepancy with a polynomial kernel."""

from __future__ import annotations

import numpy as np

from caloforge.evaluation.frechet import check_features, scale_of
from caloforge.evaluation.permutation import p_value, relabelled
from caloforge.evaluation.resampling import Floats, picks
from caloforge.evaluation.results import Measured
from caloforge.random import permutation

BATCHES = 10
BATCH = 5_000
BLOCK = 1_000
TEST_BLOCK = 2_000
TEST_BLOCKS = 10


def kernel(x: Floats, y: Floats) -> Floats:
    """(N, M) polynomial kernel (x . y / F + 1)^4 of (N, F) and (M, F) features."""
    values = x @ y.T
    values /= x.shape[1]
    values += 1.0
    values *= values
    values *= values
    return values


def squared_discrepancy(x: Floats, y: Floats) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy; it may be negative.

    sum_{i != j} k(x_i, x_j) / (n (n - 1)) + sum_{i != j} k(y_i, y_j) / (m (m - 1)) - 2 sum k(x_i, y_j) / (n m)
    (Gretton et al., J. Mach. Learn. Res. 13 (2012) 723). Memory holds a block of rows of the kernel at a time.
    """

    def total(a: Floats, b: Floats) -> float:
        return float(sum(kernel(a[start : start + BLOCK], b).sum() for start in range(0, len(a), BLOCK)))

    def others(a: Floats) -> float:
        diagonal = float((((a * a).sum(axis=1) / a.shape[1] + 1.0) ** 4).sum())
        return (total(a, a) - diagonal) / (len(a) * (len(a) - 1))

    return others(x) + others(y) - 2 * total(x, y) / (len(x) * len(y))


def kernel_physics_distance(reference: Floats, sample: Floats, *, seed: int) -> Measured:
    """Kernel physics distance of Kansal et al. (arXiv:2211.10295), as in jetnet 0.2.5.

    The median, over 10 draws of 5,000 events of each side with repetition, of the unbiased squared discrepancy with a
    polynomial kernel of degree 4, features divided by the largest magnitude they have in the reference; its error is
    half the range of the central 67.45 % of the draws. Where a side has fewer than 5,000 events, so many are drawn.

    Args:
        reference: (M, F) features.
        sample: (N, F) features.
        seed: of the draws.

    Raises:
        RequestError: features that do not fit together, are not finite, or too few events.
    """
    check_features(sample, reference)
    scale = scale_of(reference)
    size = min(BATCH, len(sample), len(reference))
    values = []
    for draw in range(BATCHES):
        first, second = (
            side[picks(len(side), size, seed, f"evaluation/kpd/{name}", draw)] / scale
            for name, side in (("reference", reference), ("sample", sample))
        )
        values.append(squared_discrepancy(first, second))
    low, high = np.percentile(values, [16.275, 83.725])
    return Measured(float(np.median(values)), 0.5 * float(high - low))


def kernel_p_value(reference: Floats, sample: Floats, *, paired: bool, permutations: int, seed: int) -> float:
    """p value of the kernel discrepancy by dealing out the labels anew, within blocks of 2,000 events of each side.

    The statistic is the sum of the unbiased discrepancies of at most 10 blocks; no shower is in two of them, so that
    the test is exact (Zaremba, Gretton, Blaschko, arXiv:1307.1954).

    Args:
        reference: (M, F) features.
        sample: (N, F) features.
        paired: event i of both has the same conditions; labels are then exchanged within pairs.
        permutations: number of deals.
        seed: of the blocks and the deals.
    """
    check_features(sample, reference)
    events = min(len(sample), len(reference))
    size = min(events, TEST_BLOCK)
    scale = scale_of(reference)
    first = permutation(seed, "evaluation/kpd/blocks/sample", 0, len(sample))
    second = first if paired else permutation(seed, "evaluation/kpd/blocks/reference", 0, len(reference))
    totals = np.zeros(permutations + 1)
    for block in range(min(TEST_BLOCKS, events // size)):
        rows = slice(block * size, (block + 1) * size)
        pooled = np.concatenate([sample[first[rows]], reference[second[rows]]]) / scale
        deals = relabelled(size, size, paired, permutations, (seed + block) % 2**63)
        labels = np.empty((2 * size, permutations + 1))
        labels[:, 0] = np.arange(2 * size) < size
        for column, weights in enumerate(deals, start=1):
            labels[:, column] = weights.sample > 0
        totals += _discrepancies(pooled, labels)
    return p_value(float(totals[0]), totals[1:].tolist())


def _discrepancies(pooled: Floats, labels: Floats) -> Floats:
    """Unbiased squared discrepancy for each column of labels: 1 on one side, 0 on the other, as many of each."""
    matrix = kernel(pooled, pooled)
    np.fill_diagonal(matrix, 0.0)
    size = len(pooled) // 2
    product = matrix @ labels
    inside = (labels * product).sum(axis=0)
    across = product.sum(axis=0) - inside
    outside = matrix.sum() - inside - 2 * across
    result: Floats = (inside + outside) / (size * (size - 1)) - 2 * across / size**2
    return result
