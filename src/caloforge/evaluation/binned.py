"""Response and resolution in bins of the incident energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.errors import RequestError
from caloforge.evaluation.resampling import effective_size
from caloforge.evaluation.results import Measured, ResponseBins, ResponseRatio

ENERGY_BINS = 6
MIN_EVENTS = 10


@dataclass(frozen=True)
class Moments:
    """Weighted mean and standard deviation of n (effective) values, with their errors; no Gaussian is fitted.

    Attributes:
        n: effective number of values, (sum w)^2 / sum w^2.
        mean: of the values.
        spread: their standard deviation s (n - 1).
        skewness, kurtosis: of the values (0 and 3 for a Gaussian).
    """

    n: float
    mean: float
    spread: float
    skewness: float
    kurtosis: float

    @property
    def mean_error(self) -> float:
        """s / sqrt(n)."""
        return float(self.spread / self.n**0.5)

    @property
    def spread_error(self) -> float:
        """s sqrt((k - 1) / 4n) with the sample's own kurtosis k, to first order."""
        return float(self.spread * (max(self.kurtosis - 1, 0.0) / (4 * self.n)) ** 0.5)

    @property
    def relative_spread(self) -> Measured:
        """R = s / mean, with the variance R^2/n ((k - 1)/4 + R^2 - R g), to first order; g is the skewness."""
        ratio = self.spread / self.mean
        variance = ratio**2 / self.n * ((self.kurtosis - 1) / 4 + ratio**2 - ratio * self.skewness)
        return Measured(ratio, max(variance, 0.0) ** 0.5)


def moments(values: NDArray[np.float64], weights: NDArray[np.float64], where: str = "") -> Moments:
    """Moments of (N,) values with (N,) weights.

    Raises:
        RequestError: they count as fewer than 3 values; the message says `where`.
    """
    n = effective_size(weights)
    if n < 3:
        raise RequestError(f"{n:.0f} events{where}; a spread needs at least 3: use more events or fewer bins")
    share = weights / weights.sum()
    mean = float(share @ values)
    spread = float(max(share @ (values - mean) ** 2 * n / (n - 1), 0.0) ** 0.5)
    pulls = (values - mean) / spread if spread > 0 else np.zeros_like(values)
    return Moments(n, mean, spread, float(share @ pulls**3), float(share @ pulls**4))


def binned_response(
    visible: ArrayLike, incident: ArrayLike, edges: ArrayLike, weights: ArrayLike | None = None
) -> ResponseBins:
    """Mean and spread of E_vis / E in bins of E; no Gaussian is fitted, tails count in full.

    With r = E_vis / E of each event: response = mean(r), resolution = s / mean(r), s the standard deviation (n - 1).
    `Moments` has the errors. With weights all means are weighted, and n is the effective number of events
    (sum w)^2 / sum w^2.

    Args:
        visible: (N,) or (N, 1) sum of the cells, MeV.
        incident: (N,) or (N, 1) incident energy, MeV.
        edges: (B + 1,) rising edges, MeV; the last bin contains its upper edge. Events outside are left out.
        weights: (N,) of the events, 1 by default.

    Raises:
        RequestError: shapes differ, the edges do not rise, or a bin has fewer than 3 (effective) events.

    >>> found = binned_response([9.0, 10.0, 11.0], [100.0, 100.0, 100.0], [50.0, 150.0])
    >>> found.events, round(found.response[0], 6), round(found.resolution[0], 6)
    ([3], 0.1, 0.1)
    """
    seen, truth = (np.asarray(values, dtype=np.float64).reshape(-1) for values in (visible, incident))
    limits = np.asarray(edges, dtype=np.float64)
    if seen.shape != truth.shape:
        raise RequestError(f"{seen.size} visible energies came with {truth.size} incident ones; expected as many")
    times = np.ones_like(seen) if weights is None else np.asarray(weights, dtype=np.float64)
    if times.shape != seen.shape:
        raise RequestError(f"{times.size} weights came with {seen.size} events; expected as many")
    if limits.ndim != 1 or limits.size < 2 or not (np.diff(limits) > 0).all():
        raise RequestError(f"bin edges must rise; got {limits.tolist()}")
    index = energy_bins(truth, limits)
    rows = []
    for number in range(limits.size - 1):
        chosen = index == number
        where = f" between {limits[number]:g} and {limits[number + 1]:g} MeV"
        found = moments(seen[chosen] / truth[chosen], times[chosen], where)
        if not found.mean > 0:
            raise RequestError(
                f"no visible energy{where}: the showers of that bin are empty, so their resolution is not defined"
            )
        relative = found.relative_spread
        energy = float(np.average(truth[chosen], weights=times[chosen]))
        rows.append((int(chosen.sum()), energy, found.mean, found.mean_error, relative.value, relative.error))
    count, energies, response, response_error, resolutions, resolution_error = zip(*rows, strict=True)
    return ResponseBins(
        edges=limits.tolist(),
        events=list(count),
        energy=list(energies),
        response=list(response),
        response_error=list(response_error),
        resolution=list(resolutions),
        resolution_error=list(resolution_error),
    )


def response_ratio(sample: ResponseBins, reference: ResponseBins) -> ResponseRatio:
    """Sample over reference, bin by bin; errors added in quadrature.

    Raises:
        RequestError: the bins differ, or the reference has no spread.
    """
    if sample.edges != reference.edges:
        raise RequestError("the response of sample and reference is in different bins of energy; use the same edges")
    if min(reference.resolution) <= 0:
        raise RequestError("the reference has the same response in every event of a bin: no resolution to compare with")

    def divide(a: list[float], da: list[float], b: list[float], db: list[float]) -> tuple[list[float], list[float]]:
        value, error, other, other_error = (np.asarray(item) for item in (a, da, b, db))
        ratio = value / other
        return ratio.tolist(), np.hypot(error / other, ratio * other_error / other).tolist()

    response, response_error = divide(
        sample.response, sample.response_error, reference.response, reference.response_error
    )
    resolution, resolution_error = divide(
        sample.resolution, sample.resolution_error, reference.resolution, reference.resolution_error
    )
    return ResponseRatio(response, response_error, resolution, resolution_error)


def energy_edges(
    low: float, high: float, incident: Sequence[NDArray[np.floating]], least: int = MIN_EVENTS
) -> NDArray[np.float64]:
    """Edges of as many bins of equal width in log E, at most 6, as keep `least` events of every sample in every bin.

    Args:
        low: lower end of the detector's range, MeV.
        high: upper end, MeV. Where the samples do not fill this range, the range they have in common counts.
        incident: the incident energies of each sample, MeV.
        least: events of each sample in each bin.

    Raises:
        RequestError: the samples have no range of energy with so many events each in common.
    """
    common_low = max(float(np.min(energies)) for energies in incident)
    common_high = min(float(np.max(energies)) for energies in incident)
    # Float32 rounding must not push an event at the very end of a range out of it.
    ranges = [(low * (1 - 1e-6), high * (1 + 1e-6)), (common_low * (1 - 1e-6), common_high * (1 + 1e-6))]
    for count in range(ENERGY_BINS if common_low <= common_high else 0, 0, -1):
        for first, last in ranges:
            edges = np.geomspace(first, last, count + 1)
            if all(_filled(energies, edges, least) for energies in incident):
                return edges
    raise RequestError(
        f"the samples share no range of incident energy with {least} events each "
        f"(all of them lie above {common_low:g} and below {common_high:g} MeV); generate with --like the reference"
    )


def _filled(energies: NDArray[np.floating], edges: NDArray[np.float64], least: int) -> bool:
    index = energy_bins(np.asarray(energies, dtype=np.float64), edges)
    counts = np.bincount(index[index >= 0], minlength=edges.size - 1)
    return bool((counts >= least).all())


def energy_bins(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) bin of each value between (B + 1,) rising edges, -1 outside; the upper end belongs to the last bin."""
    index = np.searchsorted(edges, values, side="right") - 1
    index[values == edges[-1]] = edges.size - 2
    index[(values < edges[0]) | (values > edges[-1])] = -1
    return index.astype(np.int64)
