"""Precision, recall, density and coverage from nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError
from caloforge.evaluation.resampling import Floats, Weights

NEIGHBOURS = 5
LISTED = 96
BLOCK_ENTRIES = 4_000_000


class Manifold:
    """Nearest neighbours of pooled showers, searched once, for figures of any division into two sides.

    Balls round each shower reach to its k-th nearest neighbour of the same side. Precision is the share of the sample
    inside a ball of the reference, recall the share of the reference inside a ball of the sample (Kynkaanniemi et al.,
    NeurIPS 2019, arXiv:1904.06991). Density is the mean number of balls of the reference that a shower of the sample
    lies in, over k; coverage is the share of the reference's balls with a shower of the sample (Naeem et al., ICML
    2020, arXiv:2002.09797). Between equal distributions the mean density is 1, the mean coverage about 1 - 2^-k.

    Args:
        points: (P, F) features of all showers, in units that make distances sensible.
        neighbours: k.
    """

    def __init__(self, points: Floats, neighbours: int = NEIGHBOURS) -> None:
        if not np.isfinite(points).all():
            raise RequestError("a feature is NaN or infinite; expected finite observables")
        self._points = points
        self._k = neighbours
        # The nearest of all showers; the k-th of one side is nearly always among them, and looked for where it is not.
        listed = min(LISTED, len(points) - 1)
        parts = list(nearest(points, points, listed + 1))
        index, distance = (np.concatenate([part[number] for part in parts]) for number in (0, 1))
        self._index, self._distance = _without_self(np.arange(len(points)), index, distance)

    def figures(self, weights: Weights) -> dict[str, float]:
        """Precision, recall, density and coverage; showers of weight 0 on both sides are left out.

        Raises:
            RequestError: a side has no more showers than the balls have neighbours.
        """
        side = np.zeros(len(self._points), dtype=np.int8)
        side[weights.reference > 0], side[weights.sample > 0] = 1, 2
        counts = np.bincount(side, minlength=3)
        if min(counts[1:]) <= self._k:
            raise RequestError(f"{min(counts[1:])} showers on one side; {self._k} neighbours of each need more")
        inside = np.zeros(len(side), dtype=np.int64)  # balls of the other side round each shower
        filled = np.zeros(len(side), dtype=np.bool_)  # balls with a shower of the other side
        for rows, index, distance in self._lists(side):
            own = side[index] == side[rows, None]
            order = own.cumsum(axis=1, dtype=np.int16)
            last = np.argmax(order == self._k, axis=1)
            radius = distance[np.arange(len(rows)), last]
            hit = (side[index] == 3 - side[rows, None]) & (distance <= radius[:, None])
            inside += np.bincount(index[hit], minlength=len(side))
            filled[rows] = hit.any(axis=1)
        reference, sample = side == 1, side == 2
        return {
            "precision": float((inside[sample] > 0).mean()),
            "recall": float((inside[reference] > 0).mean()),
            "density": float(inside[sample].sum() / (self._k * counts[2])),
            "coverage": float(filled[reference].mean()),
        }

    def _lists(self, side: NDArray[np.int8]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Floats]]:
        """Showers in use with their neighbours, nearest first, at least k of their own side among them."""
        rows = np.flatnonzero(side)
        index = self._index[rows]
        enough = (side[index] == side[rows, None]).sum(axis=1) >= self._k
        yield rows[enough], index[enough], self._distance[rows[enough]]
        short = rows[~enough]
        start = 0
        for index, distance in nearest(self._points[short], self._points, len(self._points)):
            part = short[start : start + len(index)]
            start += len(index)
            yield part, *_without_self(part, index, distance)


def nearest(queries: Floats, points: Floats, count: int) -> Iterator[tuple[NDArray[np.int64], Floats]]:
    """The `count` points nearest to each query, nearest first, with their distances: blocks of (B, count) arrays.

    All distances are computed, a block of queries at a time: in a dozen dimensions and more, trees are no faster.
    """
    size = max(1, BLOCK_ENTRIES // len(points))
    squares = (points * points).sum(axis=1)
    for start in range(0, len(queries), size):
        block = queries[start : start + size]
        # Up to a constant of the query; the distances themselves are taken from the differences, free of cancellation.
        scores = squares - 2 * (block @ points.T)
        if count == 1:
            index = scores.argmin(axis=1)[:, None]
        elif count < len(points):
            index = np.argpartition(scores, count - 1, axis=1)[:, :count]
        else:
            index = np.broadcast_to(np.arange(len(points)), scores.shape)
        distance = np.stack(
            [np.sqrt(((points[row] - query) ** 2).sum(axis=1)) for row, query in zip(index, block, strict=True)]
        )
        order = np.argsort(distance, axis=1, kind="stable")
        yield np.take_along_axis(index, order, axis=1), np.take_along_axis(distance, order, axis=1)


def _without_self(
    rows: NDArray[np.int64], index: NDArray[np.int64], distance: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """The lists without the shower itself; without the last where it is not in its own list, for equal lengths."""
    drop = index == rows[:, None]
    drop[~drop.any(axis=1), -1] = True
    shape = (len(rows), index.shape[1] - 1)
    return index[~drop].reshape(shape), distance[~drop].reshape(shape)
