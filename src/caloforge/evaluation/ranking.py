"""The table that puts generators in order: a few figures of each, and what a perfect one would have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from caloforge.evaluation.resampling import Floats
from caloforge.evaluation.results import Measured, Rank, ReferenceResult, SampleInfo, SampleResult

Figures = dict[str, Measured]


@dataclass(frozen=True)
class Column:
    """One figure of the table.

    Attributes:
        title: its heading.
        unit: behind the numbers, "" for none.
        scale: what a number is multiplied by to be shown in that unit.
        highest: whether the best is the highest; else the lowest.
    """

    title: str
    unit: str = ""
    scale: float = 1.0
    highest: bool = False


COLUMNS = {
    "classifier_auc": Column("classifier AUC"),
    "wasserstein_mean": Column("mean Wasserstein-1 / \N{GREEK SMALL LETTER SIGMA}"),
    "wasserstein_worst": Column("worst Wasserstein-1 / \N{GREEK SMALL LETTER SIGMA}"),
    "within_floor": Column("observables within the floor", highest=True),
    "fpd": Column("Fr\N{LATIN SMALL LETTER E WITH ACUTE}chet physics distance"),
    "kpd": Column("kernel physics distance"),
    "response_worst": Column("response, worst bin off by", "%", 100.0),
    "resolution_worst": Column("resolution, worst bin off by", "%", 100.0),
    "seconds": Column("time a shower", "ms", 1000.0),
}


def ranking(reference: ReferenceResult, samples: Sequence[SampleResult]) -> tuple[list[Rank], Rank]:
    """The samples from the lowest classifier AUC up, and the floor: the same figures of a perfect sample.

    - `wasserstein_mean`: over all observables. Their errors depend on each other in a way that is not known; the error
      given is the mean of theirs, which is an upper bound.
    - `response_worst`, `resolution_worst`: |ratio to the reference - 1| in the bin of energy where it is largest. Its
      floor is what is expected of ratios of 1 with these errors.
    - `seconds`: of one core a shower as the files state it; for the floor those of Geant4.

    Where samples have different floors (sizes, equal conditions), that of the table is their mean.
    """
    ranks = sorted((_rank(sample) for sample in samples), key=lambda rank: rank.figures["classifier_auc"].value)
    floors = [_floor(sample) for sample in samples]
    figures = {}
    for name in COLUMNS:
        found = [floor[name] for floor in floors if name in floor]
        if found:
            figures[name] = _mean(found)
    seconds = full_seconds([*(sample.info for sample in samples), reference.info])
    if seconds is not None:
        figures["seconds"] = Measured(seconds, 0.0)
    label = reference.info.label
    return ranks, Rank(f"{label} against {label} (floor)", figures, {})


def best(name: str, ranks: Sequence[Rank]) -> float | None:
    """The best value of a column among several samples; None where fewer than two have it."""
    values = [rank.figures[name].value for rank in ranks if name in rank.figures]
    if len(values) < 2:
        return None
    return max(values) if COLUMNS[name].highest else min(values)


def _rank(sample: SampleResult) -> Rank:
    distances = [item.wasserstein.value for item in sample.distances]
    worst = max(sample.distances, key=lambda item: item.wasserstein.value.value)
    figures = {
        "classifier_auc": sample.classifier.auc,
        "wasserstein_mean": _mean(distances),
        "wasserstein_worst": worst.wasserstein.value,
        "within_floor": Measured(float(sum(item.wasserstein.within_floor for item in sample.distances)), 0.0),
        **{row.name: row.value for row in sample.whole if row.name in COLUMNS and row.value is not None},
        "response_worst": _worst(sample.ratio.response, sample.ratio.response_error),
        "resolution_worst": _worst(sample.ratio.resolution, sample.ratio.resolution_error),
    }
    seconds = fast_seconds(sample.info) or full_seconds([sample.info])
    if seconds is not None:
        figures["seconds"] = Measured(seconds, 0.0)
    notes = {"wasserstein_worst": worst.name, "within_floor": f"of {len(sample.distances)}"}
    return Rank(sample.info.label, figures, notes)


def _floor(sample: SampleResult) -> Figures:
    floors = [item.wasserstein.strictest_floor for item in sample.distances]
    return {
        "classifier_auc": sample.classifier.floor,
        "wasserstein_mean": _mean(floors),
        "wasserstein_worst": max(floors, key=lambda floor: floor.value),
        **{row.name: floor for row in sample.whole if (floor := row.floor_paired or row.floor) and row.name in COLUMNS},
        "response_worst": expected_worst(np.array(sample.ratio.response_error)),
        "resolution_worst": expected_worst(np.array(sample.ratio.resolution_error)),
    }


def _mean(several: Sequence[Measured]) -> Measured:
    """Mean of the values, and of the errors, which is the error of the mean where all go up and down together."""
    return Measured(float(np.mean([item.value for item in several])), float(np.mean([item.error for item in several])))


def _worst(values: Sequence[float], errors: Sequence[float]) -> Measured:
    """|value - 1| where it is largest."""
    value, error = max(zip(values, errors, strict=True), key=lambda pair: abs(pair[0] - 1))
    return Measured(abs(value - 1), error)


def expected_worst(errors: Floats) -> Measured:
    """Mean and spread of max_b |e_b z_b| for independent standard normal z_b: the largest of B deviations by chance.

    From P(max < x) = prod_b erf(x / (e_b sqrt 2)): mean = integral of 1 - P, second moment = integral of 2 x (1 - P).

    >>> found = expected_worst(np.array([0.01]))
    >>> round(found.value, 5), round(found.error, 5)  # of one normal deviation: sqrt(2 / pi), sqrt(1 - 2 / pi)
    (0.00798, 0.00603)
    """
    from scipy.integrate import trapezoid
    from scipy.special import erf

    known = errors[errors > 0]
    if not known.size:
        return Measured(0.0, 0.0)
    x = np.linspace(0.0, 8.0 * float(known.max()), 4001)
    above = 1.0 - erf(x[:, None] / (2**0.5 * known)).prod(axis=1)
    mean, square = float(trapezoid(above, x)), float(trapezoid(2 * x * above, x))
    return Measured(mean, max(square - mean**2, 0.0) ** 0.5)


def fast_seconds(info: SampleInfo) -> float | None:
    """Seconds of one core that a generated shower took, file included, as its file states it."""
    return _stated(info, "seconds_per_shower_core")


def full_seconds(infos: Sequence[SampleInfo]) -> float | None:
    """Seconds of one core that Geant4 took a shower, of the first file that states it."""
    return next((found for info in infos if (found := _stated(info, "seconds_per_event_core"))), None)


def _stated(info: SampleInfo, key: str) -> float | None:
    value = info.provenance.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None
