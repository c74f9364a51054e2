"""Signed weights of events: bootstrap, halves of a sample and swapped pairs, from counter-based streams.

Every distance here is a function of the signed measure `reference - sample`, written as one weight an event: -1/n on
the n events of the sample, +1/m on the m of the reference. A bootstrap, a split into halves and an exchange of pairs
are then only other weights, and the sorting is done once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from caloforge.random import permutation, uniforms

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """Positive weights of the two sides, each (n + m,) and summing to 1: sample events first, then reference."""

    sample: Floats
    reference: Floats


def nominal(n: int, m: int) -> Weights:
    """Every event of the sample on one side, every event of the reference on the other."""
    sample, reference = np.zeros(n + m), np.zeros(n + m)
    sample[:n], reference[n:] = 1.0 / n, 1.0 / m
    return Weights(sample, reference)


def bootstrap(n: int, m: int, paired: bool, count: int, seed: int) -> Iterator[Weights]:
    """`count` resamplings of the events with replacement; pairs stay together when `paired` (then n = m)."""
    for draw in range(count):
        first = _resampled(n, seed, "evaluation/bootstrap/sample", draw)
        second = first if paired else _resampled(m, seed, "evaluation/bootstrap/reference", draw)
        yield Weights(np.concatenate([first, np.zeros(m)]), np.concatenate([np.zeros(n), second]))


def _resampled(size: int, seed: int, stream: str, draw: int) -> Floats:
    picks = (uniforms(seed, stream, draw, 1, size)[0] * size).astype(np.int64)
    return np.bincount(picks, minlength=size) / size


def halves(n: int, m: int, count: int, seed: int) -> Iterator[Weights]:
    """`count` random splits of the m reference events into two disjoint halves; the sample does not enter."""
    half = m // 2
    for draw in range(count):
        order = n + permutation(seed, "evaluation/halves", draw, m)
        first, second = np.zeros(n + m), np.zeros(n + m)
        first[order[:half]] = 1.0 / half
        second[order[half : 2 * half]] = 1.0 / half
        yield Weights(first, second)


def swapped_pairs(n: int, count: int, seed: int) -> Iterator[Weights]:
    """`count` random exchanges within n pairs of equal conditions.

    If both samples follow the same law at given conditions, an exchange changes nothing: the distances after it are
    draws of the distance between two perfect samples with these very conditions (a permutation test). If they do not,
    each side is a mixture of both, and the draws are somewhat larger than those of perfect samples.
    """
    for draw in range(count):
        swap = uniforms(seed, "evaluation/pairs", draw, 1, n)[0] < 0.5
        one = np.where(swap, 0.0, 1.0 / n)
        other = np.where(swap, 1.0 / n, 0.0)
        yield Weights(np.concatenate([one, other]), np.concatenate([other, one]))


@dataclass(frozen=True)
class Plan:
    """How many draws of each kind, and the sizes: n sample and m reference events."""

    n: int
    m: int
    paired: bool
    bootstraps: int
    floors: int
    seed: int

    def draws(self) -> Iterator[tuple[str, Weights]]:
        """All weights in turn, each with its kind: "nominal", "bootstrap", "halves", "pairs"."""
        kinds = [
            ("nominal", iter([nominal(self.n, self.m)])),
            ("bootstrap", bootstrap(self.n, self.m, self.paired, self.bootstraps, self.seed)),
            ("halves", halves(self.n, self.m, self.floors, self.seed)),
        ]
        if self.paired:
            kinds.append(("pairs", swapped_pairs(self.n, self.floors, self.seed)))
        return chain.from_iterable(((kind, weights) for weights in several) for kind, several in kinds)

    @property
    def noise(self) -> float:
        """Statistical noise of the comparison over that of two halves: sqrt((1/n + 1/m) / (2/h)), h = m // 2 events."""
        return noise_ratio(self.n, self.m)


def noise_ratio(n: int, m: int) -> float:
    """sqrt((1/n + 1/m) / (2/h)) with h = m // 2: below 1, since halves fluctuate more than the whole.

    >>> round(noise_ratio(10_000, 10_000), 4)
    0.7071
    """
    return float(((1.0 / n + 1.0 / m) / (2.0 / (m // 2))) ** 0.5)
