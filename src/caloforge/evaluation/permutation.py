"""Value, error, floor and p value of a figure that depends only on which showers stand on which side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from caloforge.evaluation.resampling import Plan, Weights, halves, nominal, swapped_pairs
from caloforge.evaluation.results import Measured
from caloforge.random import permutation

Metric = Callable[[Weights], Mapping[str, float]]
Resampling = Callable[[int, int, bool, int, int], Iterator[Weights]]
Sided = Literal["above", "below", "both"]


@dataclass(frozen=True)
class Kind:
    """How a figure behaves.

    Attributes:
        perfect: its value for equal distributions and endless samples.
        shrink: the floor of halves is moved to the sizes compared by perfect + shrink * (floor - perfect).
        spread: its spread is multiplied by this.
        sided: which values are unlikely where the distributions are equal.
    """

    perfect: float
    shrink: float
    spread: float
    sided: Sided = "above"


@dataclass(frozen=True)
class Judged:
    """A figure with its error, its floors (mean and spread; the paired one for equal conditions) and its p value."""

    value: Measured
    floor: Measured
    floor_paired: Measured | None
    p_value: float


def judged(
    metric: Metric,
    plan: Plan,
    kinds: Mapping[str, Kind],
    permutations: int,
    resampling: Resampling,
) -> dict[str, Judged]:
    """Every figure of `metric` with error, floor and p value.

    The p value is that of a permutation test: the labels "sample" and "reference" are dealt out anew, within pairs
    where the conditions are equal. It holds for any sizes, and is never below 1 / (permutations + 1).

    Args:
        metric: all figures, by name, of one set of weights.
        plan: sizes, seed, and numbers of draws for error and floor.
        kinds: how each figure behaves.
        permutations: number of draws for the p value.
        resampling: draws whose spread is the error: `bootstrap`, or `half_samples` where an event drawn twice misleads.
    """
    n, m, seed = plan.n, plan.m, plan.seed
    value = metric(nominal(n, m))
    errors = [metric(weights) for weights in resampling(n, m, plan.paired, plan.bootstraps, seed)]
    floors = [metric(weights) for weights in halves(n, m, plan.floors, seed)]
    dealt = [metric(weights) for weights in relabelled(n, m, plan.paired, permutations, seed)]
    found = {}
    for name, kind in kinds.items():
        draws = [item[name] for item in dealt]
        floor = [item[name] for item in floors]
        found[name] = Judged(
            value=Measured(value[name], float(np.std([item[name] for item in errors], ddof=1))),
            floor=Measured(
                kind.perfect + kind.shrink * (float(np.mean(floor)) - kind.perfect),
                kind.spread * float(np.std(floor, ddof=1)),
            ),
            floor_paired=Measured(float(np.mean(draws)), float(np.std(draws, ddof=1))) if plan.paired else None,
            p_value=p_value(value[name], draws, kind.sided),
        )
    return found


def p_value(value: float, draws: list[float], sided: Sided = "above") -> float:
    """Share of random draws at least as extreme as the value, which counts as one of them.

    >>> p_value(2.0, [0.0, 1.0, 3.0])
    0.5
    """
    # Rounding must not decide between equal values: a label dealt out anew can give the same figure.
    slack = 1e-12 * max(1.0, abs(value))
    above = (1 + sum(draw >= value - slack for draw in draws)) / (1 + len(draws))
    below = (1 + sum(draw <= value + slack for draw in draws)) / (1 + len(draws))
    return {"above": above, "below": below, "both": min(1.0, 2 * min(above, below))}[sided]


def relabelled(n: int, m: int, paired: bool, count: int, seed: int) -> Iterator[Weights]:
    """`count` random deals of the n + m events to the two sides; exchanges within pairs when `paired`."""
    if paired:
        yield from swapped_pairs(n, count, seed)
        return
    for draw in range(count):
        order = permutation(seed, "evaluation/relabelled", draw, n + m)
        yield _uniform(order[:n], order[n:], n + m)


def half_samples(n: int, m: int, paired: bool, count: int, seed: int) -> Iterator[Weights]:
    """`count` random halves of both samples, without repetition; pairs stay together when `paired`.

    The spread of a smooth figure over such halves is its standard error for the whole samples: a half drawn without
    repetition fluctuates around the whole as the whole does around the truth (McCarthy, Rev. Int. Stat. Inst. 37 (1969)
    239).
    """
    for draw in range(count):
        first = permutation(seed, "evaluation/half/sample", draw, n)[: n // 2]
        second = first if paired else permutation(seed, "evaluation/half/reference", draw, m)[: m // 2]
        yield _uniform(first, n + second, n + m)


def _uniform(sample: np.ndarray, reference: np.ndarray, events: int) -> Weights:
    """Equal weights for the events of these numbers."""
    first, second = np.zeros(events), np.zeros(events)
    first[sample], second[reference] = 1.0 / len(sample), 1.0 / len(reference)
    return Weights(first, second, (float(len(sample)), float(len(reference))))
