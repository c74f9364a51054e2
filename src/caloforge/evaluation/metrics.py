"""The closed table of distances: what each is, of two weighted samples of one number.

A new distance is one function of :class:`Compared` and one line of `METRICS`; errors, floors, reports and the CSV
follow. The binned ones share one pair of histograms, the others one sorted cumulative difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Compared:
    """Two weighted samples of one number, in the forms that the distances need.

    Attributes:
        difference: (K,) F_reference - F_sample just after each of the K sorted values of both samples together.
        gaps: (K - 1,) distance from each sorted value to the next, in the unit of the values.
        steps: indices of `difference` at which the value is about to change, so that ties count once.
        sample: (B,) histogram of the sample, which sums to 1.
        reference: (B,) histogram of the reference in the same bins.
        sizes: effective numbers of events of the two, n and m.
        sigma: standard deviation of the reference, in the unit of the values.
    """

    difference: Floats
    gaps: Floats
    steps: NDArray[np.int64] | slice
    sample: Floats
    reference: Floats
    sizes: tuple[float, float]
    sigma: float


def wasserstein_absolute(of: Compared) -> float:
    """W1 = integral |F_sample - F_reference| dx, in the unit of the observable."""
    return float(np.abs(of.difference[:-1]) @ of.gaps)


def wasserstein(of: Compared) -> float:
    """W1 over the standard deviation of the reference."""
    return wasserstein_absolute(of) / of.sigma


def kolmogorov_smirnov(of: Compared) -> float:
    """max |F_sample - F_reference|, from 0 to 1 where no weight is negative."""
    return float(np.abs(of.difference[of.steps]).max())


def total_variation(of: Compared) -> float:
    """1/2 sum |h_1 - h_2| of the histograms: the share of the events that would have to change bin, from 0 to 1."""
    return 0.5 * float(np.abs(of.sample - of.reference).sum())


def separation(of: Compared) -> float:
    """1/2 sum (h_1 - h_2)^2 / (h_1 + h_2) of the histograms: 0 equal, 1 disjoint; bins empty in both count nothing."""
    total = of.sample + of.reference
    filled = total > 0
    return float(0.5 * ((of.sample - of.reference)[filled] ** 2 / total[filled]).sum())


def chi2(of: Compared) -> float:
    """1/2 sum (y_1 - y_2)^2 / (y_1 + y_2) of numbers of events y, both scaled to N = 2 n m / (n + m).

    With samples of one size N is that size, and y are the counts themselves (arXiv:2401.02248). The separation times N,
    then; two perfect samples have about half the number of filled bins.
    """
    n, m = of.sizes
    return 2.0 * n * m / (n + m) * separation(of)


def jensen_shannon(of: Compared) -> float:
    """Jensen-Shannon divergence of the histograms in nats, from 0 to ln 2; its square root is a metric.

    1/2 KL(h_1 || h) + 1/2 KL(h_2 || h) with h = (h_1 + h_2) / 2; an empty bin adds 0, the limit of x ln x.
    """
    middle = 0.5 * (of.sample + of.reference)
    # Rounding can leave the sum a hair below 0.
    return max(0.5 * (_relative_entropy(of.sample, middle) + _relative_entropy(of.reference, middle)), 0.0)


def kullback_leibler(of: Compared) -> float:
    """Kullback-Leibler divergence KL(reference || sample) = sum h_ref ln(h_ref / h_sample) in nats, 0 or more.

    As it stands it is infinite where the reference has events in a bin that the sample leaves empty. Half an event
    is therefore added to every bin of both histograms (Jeffreys' prior): always finite, and large where events are
    missing.
    """
    reference, sample = (_padded(h, size) for h, size in ((of.reference, of.sizes[1]), (of.sample, of.sizes[0])))
    return max(_relative_entropy(reference, sample), 0.0)


def _padded(histogram: Floats, size: float) -> Floats:
    padded = histogram + 0.5 / size
    result: Floats = padded / padded.sum()
    return result


def _relative_entropy(p: Floats, q: Floats) -> float:
    filled = p > 0
    return float(p[filled] @ np.log(p[filled] / q[filled]))


@dataclass(frozen=True)
class Metric:
    """One distance.

    Attributes:
        function: computes it.
        title: its name in reports.
        order: for two perfect samples it falls as N^(-order/2): 1 for the norms of a difference, 2 for the
            divergences, which are quadratic in it, 0 for a chi2 of counts.
        signed: whether negative weights leave it defined; the others need histograms without negative bins.
    """

    function: Callable[[Compared], float]
    title: str
    order: int
    signed: bool


METRICS = {
    "wasserstein": Metric(wasserstein, "Wasserstein-1 / \N{GREEK SMALL LETTER SIGMA}", 1, True),
    "wasserstein_absolute": Metric(wasserstein_absolute, "Wasserstein-1, in the observable's unit", 1, True),
    "kolmogorov_smirnov": Metric(kolmogorov_smirnov, "Kolmogorov-Smirnov", 1, True),
    "total_variation": Metric(total_variation, "total variation", 1, True),
    "separation": Metric(separation, "separation", 2, False),
    "chi2": Metric(chi2, "\N{GREEK SMALL LETTER CHI}\N{SUPERSCRIPT TWO} of counts", 0, False),
    "jensen_shannon": Metric(jensen_shannon, "Jensen-Shannon", 2, False),
    "kullback_leibler": Metric(kullback_leibler, "Kullback-Leibler", 2, False),
}
