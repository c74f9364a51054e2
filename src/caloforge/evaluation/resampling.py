"""Signed weights of events: bootstrap, halves of a sample and swapped pairs, from counter-based streams.

Every distance here is a function of the signed measure `reference - sample`, written as one weight an event: -1/n on
the n events of the sample, +1/m on the m of the reference. A bootstrap, a split into halves and an exchange of pairs
are then only other weights, and the sorting is done once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError
from caloforge.random import permutation, uniforms

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """Weights of the two sides, each (n + m,) and summing to 1: sample events first, then reference.

    Attributes:
        sample: of the events on the sample's side.
        reference: of those on the other.
        sizes: how many events each side stands for; with weighted events the effective number (sum w)^2 / sum w^2.
    """

    sample: Floats
    reference: Floats
    sizes: tuple[float, float]

    def times(self, events: NDArray[np.floating]) -> Weights:
        """The same draw of events that have weights (n + m,) of their own.

        Raises:
            RequestError: the weights of a side do not add up to more than 0.
        """
        sides, sizes = [], []
        for share, size in ((self.sample, self.sizes[0]), (self.reference, self.sizes[1])):
            weighted = share * events
            total = float(weighted.sum())
            if not total > 0:
                raise RequestError(
                    f"the weights of the events of a sample add up to {size * total:g}; "
                    "a distribution needs more than 0"
                )
            sides.append(weighted / total)
            sizes.append(size * total**2 / float(weighted @ events))
        return Weights(sides[0], sides[1], (sizes[0], sizes[1]))


def effective_size(weights: NDArray[np.floating]) -> float:
    """Number of events of weight 1 with the same relative error of their sum: (sum w)^2 / sum w^2, 0 for a sum below 0.

    >>> effective_size(np.array([1.0, 1.0, 2.0, 0.0]))
    2.6666666666666665
    """
    total = float(weights.sum())
    return total**2 / float(weights @ weights) if total > 0 else 0.0


def nominal(n: int, m: int) -> Weights:
    """Every event of the sample on one side, every event of the reference on the other."""
    sample, reference = np.zeros(n + m), np.zeros(n + m)
    sample[:n], reference[n:] = 1.0 / n, 1.0 / m
    return Weights(sample, reference, (float(n), float(m)))


def bootstrap(n: int, m: int, paired: bool, count: int, seed: int) -> Iterator[Weights]:
    """`count` resamplings of the events with replacement; pairs stay together when `paired` (then n = m)."""
    for draw in range(count):
        first = _resampled(n, seed, "evaluation/bootstrap/sample", draw)
        second = first if paired else _resampled(m, seed, "evaluation/bootstrap/reference", draw)
        yield Weights(np.concatenate([first, np.zeros(m)]), np.concatenate([np.zeros(n), second]), (float(n), float(m)))


def picks(events: int, size: int, seed: int, stream: str, draw: int) -> NDArray[np.int64]:
    """(size,) indices of events drawn with repetition; each draw of a stream is another."""
    chosen: NDArray[np.int64] = (uniforms(seed, stream, draw, 1, size)[0] * events).astype(np.int64)
    return chosen


def _resampled(size: int, seed: int, stream: str, draw: int) -> Floats:
    return np.bincount(picks(size, size, seed, stream, draw), minlength=size) / size


def halves(n: int, m: int, count: int, seed: int) -> Iterator[Weights]:
    """`count` random splits of the m reference events into two disjoint halves; the sample does not enter."""
    half = m // 2
    for draw in range(count):
        order = n + permutation(seed, "evaluation/halves", draw, m)
        first, second = np.zeros(n + m), np.zeros(n + m)
        first[order[:half]] = 1.0 / half
        second[order[half : 2 * half]] = 1.0 / half
        yield Weights(first, second, (float(half), float(half)))


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
        yield Weights(np.concatenate([one, other]), np.concatenate([other, one]), (float(n), float(n)))


@dataclass(frozen=True, eq=False)
class Plan:
    """How many draws of each kind, the sizes (n sample and m reference events) and the (n + m,) weights of the events.

    Weights may be negative, as sWeights are, as long as those of each side add up to more than 0.
    """

    n: int
    m: int
    paired: bool
    bootstraps: int
    floors: int
    seed: int
    weights: Floats | None = None

    def part(self, sample: NDArray[np.bool_], reference: NDArray[np.bool_]) -> Plan:
        """The same for a part of the events, chosen by masks (n,) and (m,)."""
        weights = None if self.weights is None else self.weights[np.concatenate([sample, reference])]
        return dataclasses.replace(self, n=int(sample.sum()), m=int(reference.sum()), weights=weights)

    def draws(self) -> Iterator[tuple[str, Weights]]:
        """All weights in turn, each with its kind: "nominal", "bootstrap", "halves", "pairs"."""
        kinds = [
            ("nominal", iter([nominal(self.n, self.m)])),
            ("bootstrap", bootstrap(self.n, self.m, self.paired, self.bootstraps, self.seed)),
            ("halves", halves(self.n, self.m, self.floors, self.seed)),
        ]
        if self.paired:
            kinds.append(("pairs", swapped_pairs(self.n, self.floors, self.seed)))
        return chain.from_iterable(((kind, self._weighted(draw)) for draw in several) for kind, several in kinds)

    def _weighted(self, draw: Weights) -> Weights:
        return draw if self.weights is None else draw.times(self.weights)

    @property
    def sizes(self) -> tuple[float, float]:
        """Effective numbers of events of sample and reference: n and m where no event has a weight."""
        if self.weights is None:
            return float(self.n), float(self.m)
        return effective_size(self.weights[: self.n]), effective_size(self.weights[self.n :])

    @property
    def reference_weights(self) -> Floats | None:
        """(m,) weights of the reference events, if there are weights."""
        return None if self.weights is None else self.weights[self.n :]

    @property
    def negative(self) -> bool:
        """Whether any event has a negative weight."""
        return self.weights is not None and bool((self.weights < 0).any())

    @property
    def noise(self) -> float:
        """Statistical noise of the comparison over that of two halves: sqrt((1/n + 1/m) / (2/h)), h = m // 2 events."""
        return noise_ratio(*self.sizes)


def noise_ratio(n: float, m: float) -> float:
    """sqrt((1/n + 1/m) / (2/h)) with h = m // 2: below 1, since halves fluctuate more than the whole.

    >>> round(noise_ratio(10_000, 10_000), 4)
    0.7071
    """
    return float(((1.0 / n + 1.0 / m) / (2.0 / (m // 2))) ** 0.5)
