"""Distances of samples, each with a standard error and the floor of a perfect sample."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError, unknown_name
from caloforge.evaluation.metrics import METRICS, Compared
from caloforge.evaluation.resampling import Floats, Plan, Weights, nominal
from caloforge.evaluation.results import ROUNDING, Distance, Measured, ObservableDistances

Name = TypeVar("Name", bound=Hashable)

BINS = 50
LEAST_OTHERS = 20
"""Showers of sample and reference together in which an observable must differ from its most frequent value."""

ONE_SIGMA = 0.6827
"""Share of a normal distribution within one standard deviation: what a standard error is to cover."""

BEYOND = 0.05
"""How often a perfect sample lies beyond the floor with any of the figures that are judged together."""

VALUES = 20_000_000  # that are kept sorted at a time, about 50 bytes each


class SortedPair:
    """Two samples of one number, sorted together once, so that the distances cost one pass for any weights.

    Raises:
        RequestError: NaN, an empty sample, or a reference without spread.
    """

    def __init__(
        self,
        sample: NDArray[np.floating],
        reference: NDArray[np.floating],
        edges: Floats,
        weights: NDArray[np.floating] | None = None,
    ) -> None:
        values = np.concatenate([sample, reference]).astype(np.float64)
        if not np.isfinite(values).all():
            raise RequestError("an observable holds NaN or infinity; expected finite values in both samples")
        if len(sample) == 0 or len(reference) == 0:
            raise RequestError("a distance needs at least one event on each side; one sample is empty")
        self._order = np.argsort(values, kind="stable")
        self._gaps = np.diff(values[self._order])
        changes = self._gaps > 0
        self._steps = slice(None, -1) if changes.all() else np.flatnonzero(changes)
        self._bins = bin_index(values, edges)
        self._n_bins = len(edges) - 1
        self._sample_size = len(sample)
        self.sigma = _spread(reference, weights)

    def compared(self, weights: Weights) -> Compared:
        """What the distances need, for one set of weights."""
        signed = (weights.reference - weights.sample)[self._order]
        return Compared(
            difference=np.cumsum(signed),
            gaps=self._gaps,
            steps=self._steps,
            sample=self._histogram(weights.sample),
            reference=self._histogram(weights.reference),
            sizes=weights.sizes,
            sigma=self.sigma,
        )

    @property
    def more_filled(self) -> float:
        """Bins that both samples fill together, over those that the reference fills."""
        return float(np.unique(self._bins).size / np.unique(self._bins[self._sample_size :]).size)

    def _histogram(self, side: Floats) -> Floats:
        return np.bincount(self._bins, weights=side, minlength=self._n_bins).astype(np.float64, copy=False)


def _spread(reference: NDArray[np.floating], weights: NDArray[np.floating] | None) -> float:
    """Standard deviation of the (weighted) reference."""
    values = np.asarray(reference, dtype=np.float64)
    share = np.full(len(values), 1.0 / len(values)) if weights is None else weights / weights.sum()
    variance = float(share @ (values - share @ values) ** 2)
    if np.ptp(values) == 0:
        raise RequestError(
            f"every reference event has the same value ({values[0]:g}); a distance over sigma is not defined"
        )
    if not variance > 0:
        raise RequestError(f"the weighted variance of the reference is {variance:g}: its weights allow no sigma")
    return float(variance**0.5)


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


def why_not(samples: Mapping[str, NDArray[np.floating]], reference: NDArray[np.floating]) -> str | None:
    """Why an observable cannot be compared, in words, or None where it can.

    Args:
        samples: the values of each sample by its label.
        reference: those of the reference.

    >>> why_not({"fast": np.array([0.0, 3.0])}, np.zeros(4))
    'every reference shower has the same value (0), which leaves no scale; 1 of 2 of fast have another'
    """
    for label, values in {"the reference": reference, **samples}.items():
        bad = int((~np.isfinite(values)).sum())
        if bad:
            return f"{bad} of {len(values)} values of {label} are NaN or infinite"
        if not len(values):
            return f"{label} has no showers"
    if np.ptp(reference) > 0:
        return _too_rare(samples, reference)
    others = [
        f"{int((values != reference[0]).sum())} of {len(values)} of {label} have another"
        for label, values in samples.items()
    ]
    return f"every reference shower has the same value ({reference[0]:g}), which leaves no scale; {', '.join(others)}"


def _too_rare(samples: Mapping[str, NDArray[np.floating]], reference: NDArray[np.floating]) -> str | None:
    """Where nearly all showers have the same value, as 0 in a layer that few reach, why that leaves no distance.

    The distance of two halves would be that of these few, in whichever half they are: a floor without a spread.
    """
    for label, values in samples.items():
        found, counts = np.unique(np.concatenate([values, reference]), return_counts=True)
        others = len(values) + len(reference) - int(counts.max())
        if others < LEAST_OTHERS:
            usual = found[counts.argmax()]
            return f"only {others} showers of {label} and the reference differ from {usual:g}; it takes {LEAST_OTHERS}"
    return None


def bin_index(values: NDArray[np.floating], edges: Floats) -> NDArray[np.int64]:
    """Bin of each value; values beyond the edges belong to the first and last bin, so that none is lost."""
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2).astype(np.int64)


def distance(
    name: str,
    sample: NDArray[np.floating],
    reference: NDArray[np.floating],
    *,
    weights: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
    edges: Floats | None = None,
) -> float:
    """One distance of two samples, by its name in `caloforge.evaluation.metrics.METRICS`.

    Args:
        name: such as "wasserstein" (over the reference's standard deviation) or "separation".
        sample: (n,) values.
        reference: (m,) values.
        weights: of the events of both; their scale does not matter.
        edges: of the bins; those of :func:`histogram_edges` by default.

    Raises:
        RequestError: an unknown name, NaN, an empty sample, a reference without spread, or negative weights where the
            distance is not defined for them.

    >>> import numpy as np
    >>> x = np.linspace(0.0, 1.0, 101)
    >>> round(distance("wasserstein", x + 0.5 * x.std(), x), 6)
    0.5
    """
    if name not in METRICS:
        raise unknown_name("distance", name, METRICS)
    if len(sample) == 0 or len(reference) == 0:
        raise RequestError("a distance needs at least one event on each side; one sample is empty")
    signed = weights is not None and min(float(np.min(side)) for side in weights) < 0
    if signed and not METRICS[name].signed:
        raise RequestError(f"{name}: {NEGATIVE}")
    measure = nominal(len(sample), len(reference))
    if weights is not None:
        measure = measure.times(np.concatenate(weights))
    bins = histogram_edges(reference) if edges is None else edges
    pair = SortedPair(sample, reference, bins, None if weights is None else weights[1])
    return METRICS[name].function(pair.compared(measure))


def with_errors(
    metric: Callable[[Weights], Mapping[str, float]],
    plan: Plan,
    scales: Mapping[str, float],
    quadratic: Collection[str] = (),
) -> dict[str, Distance]:
    """Value, standard error and floors of metrics that are functions of the weights, each judged by itself.

    The floor is the mean over random halves of the reference times a scale, because the halves are smaller than what is
    compared: noise makes a Wasserstein distance grow as sqrt(1/n + 1/m) and a separation as 1/n + 1/m.

    Args:
        metric: all metrics, by name, of one set of weights.
        plan: sizes and numbers of draws.
        scales: what the floor from halves is multiplied by, for each metric.
        quadratic: names of the metrics that are quadratic in the difference of the samples; the others are norms of it.
    """
    draws = _drawn(metric, plan)
    return {name: _distance(draws[name], scales[name], name in quadratic, joint_band([draws[name]])) for name in draws}


Draws = Mapping[str, Floats]
"""Values of one metric by kind of draw: "nominal", "bootstrap", "halves" and, for equal conditions, "pairs"."""


def _drawn(metric: Callable[[Weights], Mapping[Name, float]], plan: Plan) -> dict[Name, Draws]:
    found: dict[Name, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for kind, weights in plan.draws():
        for name, value in metric(weights).items():
            found[name][kind].append(value)
    return {name: {kind: np.array(values) for kind, values in kinds.items()} for name, kinds in found.items()}


def _distance(draws: Draws, scale: float, quadratic: bool, band: float) -> Distance:
    halves = _mean_and_spread(scale * draws["halves"])
    pairs = _mean_and_spread(draws["pairs"]) if "pairs" in draws else None
    value = float(draws["nominal"][0])
    noise = draws["pairs"] if "pairs" in draws else scale * draws["halves"]
    error = _standard_error(value, draws["bootstrap"], noise, quadratic)
    return Distance(Measured(value, error), halves, pairs, band)


def joint_band(several: Sequence[Draws]) -> float:
    """How many spreads above its floor any of several figures of a perfect sample may lie, 19 times of 20.

    One figure in twenty or forty is two spreads off by chance, so of dozens some always are. Here each draw of the
    floor is looked at as if it were the sample: how far does it lie above the mean of the other draws, in their spread,
    for the figure where that is most? A perfect sample is one more such draw (the draws are exchangeable), so the 95 %
    quantile of these largest excesses is what it stays below with that probability, however the figures depend on each
    other and whatever their distributions are (conformal prediction: Vovk, Gammerman, Shafer, Algorithmic Learning in a
    Random World, 2005). With fewer than 19 draws, it is the largest of them.
    """
    values = np.array([draws["pairs" if "pairs" in draws else "halves"] for draws in several])
    others = values.shape[1] - 1
    centred = values - values.mean(axis=1, keepdims=True)
    variance = ((centred**2).sum(axis=1, keepdims=True) - centred**2 * (others + 1) / others) / (others - 1)
    spreads = np.sqrt(np.maximum(variance, ROUNDING**2))
    excess = centred * (others + 1) / others / spreads
    return float(np.quantile(excess.max(axis=0), 1 - BEYOND, method="higher"))


def _mean_and_spread(draws: Floats) -> Measured:
    return Measured(float(draws.mean()), float(draws.std(ddof=1)))


def _standard_error(value: float, bootstrap: Floats, floor: Floats, quadratic: bool) -> float:
    """Standard error of a distance, right at the floor and far from it.

    Bootstrap samples are drawn from two samples that differ already by their noise, so they hold the noise twice. Far
    from the floor that is of no account; near it the bootstrap's spread is too large: for a quadratic distance with k
    bins and a true difference L (in units of the noise) the variance is 2 (k + 2 L), that of the bootstrap
    2 (k + 2 (L + k)), three times as much where L = 0. What holds at L = 0 is how far the draws of the floor lie from
    their mean, 68.3 % of them; a norm's are skewed, and one standard deviation would hold 73 %. So

        error^2 = s_floor^2 + t (s_bootstrap^2 - s_floor^2)

    with t = L / (L + k) = (value - floor) / (mean of the bootstrap - floor) for a quadratic distance, which is exact
    there. The variance of a norm (Wasserstein, total variation ...) is soon that of the bootstrap: t rises from 0 to 1
    between one and two spreads above the floor. For both, the value is taken one spread lower than it is: what matters
    is the error at the lower end of the interval, where it decides whether the floor is excluded.
    `benchmarks/calibration.py` counts how often these errors cover.
    """
    spread = float(bootstrap.std(ddof=1))
    middle = float(floor.mean())
    noise = float(np.quantile(np.abs(floor - middle), ONE_SIGMA))
    above = value - noise - middle
    span = float(bootstrap.mean()) - middle if quadratic else noise
    share = min(max(above / span, 0.0), 1.0) if span > 0 else 1.0
    return float((noise**2 + share * (spread**2 - noise**2)) ** 0.5)


NEGATIVE = "negative weights can make bins of the histograms negative, for which it is not defined"


def compare(
    sample: Mapping[str, NDArray[np.floating]],
    reference: Mapping[str, NDArray[np.floating]],
    edges: Mapping[str, Floats],
    plan: Plan,
) -> list[ObservableDistances]:
    """All distances of every observable named in `edges`, all from the same resampled events.

    Each distance is judged over all observables together (:func:`joint_band`). Observables are compared in groups, so
    that memory does not grow with their number.

    Raises:
        RequestError: an observable has NaN, or no spread in the reference.
    """
    names, size = list(edges), max(1, VALUES // (plan.n + plan.m))
    metrics = [key for key, metric in METRICS.items() if metric.signed or not plan.negative]
    drawn: dict[tuple[str, str], Draws] = {}
    scales: dict[tuple[str, str], float] = {}
    sigmas: dict[str, float] = {}
    for start in range(0, len(names), size):
        pairs = {
            name: SortedPair(sample[name], reference[name], edges[name], plan.reference_weights)
            for name in names[start : start + size]
        }

        def values(weights: Weights, pairs: Mapping[str, SortedPair] = pairs) -> dict[tuple[str, str], float]:
            compared = {name: pair.compared(weights) for name, pair in pairs.items()}
            return {(key, name): METRICS[key].function(of) for key in metrics for name, of in compared.items()}

        drawn |= _drawn(values, plan)
        scales |= {(key, name): _floor_scale(key, pair, plan) for key in metrics for name, pair in pairs.items()}
        sigmas |= {name: pair.sigma for name, pair in pairs.items()}
    bands = {key: joint_band([drawn[key, name] for name in names]) for key in metrics}

    def figure(key: str, name: str) -> Distance:
        return _distance(drawn[key, name], scales[key, name], METRICS[key].order != 1, bands[key])

    found = {name: {key: figure(key, name) for key in metrics} for name in names}
    return [
        ObservableDistances(
            name=name,
            sigma=sigmas[name],
            figures=figures,
            p_value=ks_p_value(figures["kolmogorov_smirnov"].value.value, *plan.sizes),
            not_computable={key: NEGATIVE for key in METRICS if key not in metrics},
        )
        for name, figures in found.items()
    ]


def _floor_scale(key: str, pair: SortedPair, plan: Plan) -> float:
    """What the floor from halves of the reference is multiplied by to be that of the sizes compared.

    A norm goes as the noise. A divergence goes as its square times the number of filled bins, since an empty one adds
    nothing; the halves together fill those that the reference fills, what is compared those that both samples fill.
    Without that, floors of 1,000 showers in 50 bins are 8 % low, half their spread.
    """
    order = METRICS[key].order
    return plan.noise**order * (1.0 if order == 1 else pair.more_filled)


def ks_p_value(statistic: float, n: float, m: float) -> float:
    """Probability of at least this Kolmogorov-Smirnov statistic for two independent samples of one continuous law.

    The distribution of the one-sample statistic at n m / (n + m) events, rounded, as scipy has it (method "asymp"). Too
    large, on the safe side, for values with ties and where the two samples have the same conditions.
    """
    from scipy.stats import kstwo

    return float(np.clip(kstwo.sf(statistic, max(round(n * m / (n + m)), 1)), 0.0, 1.0))
