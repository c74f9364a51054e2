"""Wasserstein-1 distance and separation power, with bootstrap errors and the floor of a perfect sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError
from caloforge.evaluation.resampling import Floats, Plan, Weights, nominal
from caloforge.evaluation.results import Distance, Measured, ObservableDistances

BINS = 50


class SortedPair:
    """Two samples of one number, sorted together once, so that a distance costs one pass for any weights."""

    def __init__(self, sample: NDArray[np.floating], reference: NDArray[np.floating], edges: Floats) -> None:
        values = np.concatenate([sample, reference]).astype(np.float64)
        if not np.isfinite(values).all():
            raise RequestError("an observable holds NaN or infinity; expected finite values in both samples")
        if len(sample) == 0 or len(reference) == 0:
            raise RequestError("a distance needs at least one event on each side; one sample is empty")
        self._order = np.argsort(values, kind="stable")
        self._gaps = np.diff(values[self._order])
        self._bins = bin_index(values, edges)
        self._n_bins = len(edges) - 1

    def wasserstein(self, weights: Weights) -> float:
        """W1 = integral |F_sample - F_reference| dx, in the unit of the values."""
        signed = (weights.reference - weights.sample)[self._order]
        return float(np.abs(np.cumsum(signed)[:-1]) @ self._gaps)

    def separation(self, weights: Weights) -> float:
        """1/2 sum (h1 - h2)^2 / (h1 + h2) over the bins of the normalised histograms: 0 equal, 1 disjoint."""
        first = np.bincount(self._bins, weights=weights.sample, minlength=self._n_bins)
        second = np.bincount(self._bins, weights=weights.reference, minlength=self._n_bins)
        total = first + second
        filled = total > 0
        return float(0.5 * ((first - second)[filled] ** 2 / total[filled]).sum())


def histogram_edges(reference: NDArray[np.floating], bins: int = BINS, lattice: float | None = None) -> Floats:
    """Equal bins over the central 99.8 % of the reference.

    Args:
        reference: values of the reference; it alone decides, so that several samples share the bins.
        bins: their number; fewer where the values lie on a coarse lattice.
        lattice: spacing of the possible values (a share of n cells has 1/n); bins then hold equally many of them.

    Raises:
        RequestError: the reference has a single value, which leaves nothing to compare.
    """
    low, high = np.quantile(reference, [0.001, 0.999])
    if not high > low:
        low, high = float(np.min(reference)), float(np.max(reference))
    if not high > low:
        raise RequestError(f"every reference event has the same value ({low:g}); a distance over sigma is not defined")
    if lattice is None:
        return np.linspace(low, high, bins + 1)
    first, last = round(low / lattice), round(high / lattice)
    step = int(np.ceil((last - first + 1) / bins))
    count = int(np.ceil((last - first + 1) / step))
    edges: Floats = (first - 0.5 + step * np.arange(count + 1)) * lattice
    return edges


def bin_index(values: NDArray[np.floating], edges: Floats) -> NDArray[np.int64]:
    """Bin of each value; values beyond the edges belong to the first and last bin, so that none is lost."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2).astype(np.int64)


def wasserstein(sample: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """Wasserstein-1 distance of two samples over the standard deviation of the reference.

    Raises:
        RequestError: NaN, an empty sample, or a reference without spread.

    >>> import numpy as np
    >>> x = np.linspace(0.0, 1.0, 101)
    >>> round(wasserstein(x + 0.5 * x.std(), x), 6)
    0.5
    """
    pair = SortedPair(sample, reference, histogram_edges(reference))
    return pair.wasserstein(nominal(len(sample), len(reference))) / float(np.std(reference))


def separation(sample: NDArray[np.floating], reference: NDArray[np.floating], edges: Floats | None = None) -> float:
    """Separation power of two samples: 0 for equal histograms, 1 for disjoint ones.

    Raises:
        RequestError: NaN, an empty sample, or (without `edges`) a reference without spread.
    """
    pair = SortedPair(sample, reference, histogram_edges(reference) if edges is None else edges)
    return pair.separation(nominal(len(sample), len(reference)))


Metric = Callable[[Weights], Mapping[str, float]]


def with_errors(metric: Metric, plan: Plan, scales: Mapping[str, float]) -> dict[str, Distance]:
    """Value, bootstrap error and floors of metrics that are functions of the weights.

    The floor is the mean over random halves of the reference times a scale, because the halves are smaller than what is
    compared: noise makes a Wasserstein distance grow as sqrt(1/n + 1/m) and a separation as 1/n + 1/m.

    Args:
        metric: all metrics, by name, of one set of weights.
        plan: sizes and numbers of draws.
        scales: what the floor from halves is multiplied by, for each metric.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for kind, weights in plan.draws():
        for name, value in metric(weights).items():
            found[name][kind].append(value)
    result = {}
    for name, kinds in found.items():
        scale = scales[name]
        result[name] = Distance(
            value=Measured(kinds["nominal"][0], float(np.std(kinds["bootstrap"], ddof=1))),
            floor=Measured(scale * float(np.mean(kinds["halves"])), scale * float(np.std(kinds["halves"], ddof=1))),
            floor_paired=Measured(float(np.mean(kinds["pairs"])), float(np.std(kinds["pairs"], ddof=1)))
            if plan.paired
            else None,
        )
    return result


def compare(
    sample: Mapping[str, NDArray[np.floating]],
    reference: Mapping[str, NDArray[np.floating]],
    edges: Mapping[str, Floats],
    plan: Plan,
) -> list[ObservableDistances]:
    """Distances of every observable named in `edges`, all from the same resampled events.

    Raises:
        RequestError: an observable has NaN, or no spread in the reference.
    """
    pairs = {name: SortedPair(sample[name], reference[name], edges[name]) for name in edges}
    sigma = {name: float(np.std(reference[name])) for name in edges}
    for name, value in sigma.items():
        if not value > 0:
            raise RequestError(f"{name}: every reference event has the same value; a distance over sigma is undefined")

    def metric(weights: Weights) -> dict[str, float]:
        values = {f"w:{name}": pair.wasserstein(weights) / sigma[name] for name, pair in pairs.items()}
        values.update({f"s:{name}": pair.separation(weights) for name, pair in pairs.items()})
        return values

    scales = {f"w:{name}": plan.noise for name in pairs} | {f"s:{name}": plan.noise**2 for name in pairs}
    found = with_errors(metric, plan, scales)
    return [ObservableDistances(name, sigma[name], found[f"w:{name}"], found[f"s:{name}"]) for name in pairs]
