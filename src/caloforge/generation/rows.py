"""Many showers from a sampler: a few rows at a time, shared among threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from caloforge.models.base import Sampler

Noise = Callable[[slice], NDArray[np.float32]]
"""Noise (n, noise_width) of a stretch of rows, asked for by the thread that needs it."""


class Made(NamedTuple):
    """Cell energies (N, n_cells), MeV, and the seconds that went into noise and model, added up over threads."""

    energies: NDArray[np.float32]
    noise_seconds: float
    model_seconds: float


@final
class InRows(Sampler):
    """Another sampler, given a few showers at a time: bounded memory, and a working set in the cache.

    Args:
        inner: the other sampler; with several threads it is called by all of them.
        rows: showers a call.
        threads: that share the rows.
    """

    def __init__(self, inner: Sampler, rows: int, threads: int = 1) -> None:
        super().__init__(inner.detector, inner.noise_width)
        self._inner = inner
        self._rows = rows
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def sample(self, conditions: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :meth:`Sampler.sample`."""
        conditions, noise = self.checked(conditions, noise)
        return self.fill(conditions, lambda rows: noise[rows]).energies

    def fill(self, conditions: NDArray[np.float32], noise: Noise) -> Made:
        """Return the showers of conditions (N, C + 1), for noise that each thread asks for as it goes."""
        energies = np.empty((len(conditions), self.detector.n_cells), dtype=np.float32)

        def make(rows: slice) -> tuple[float, float]:
            started = time.perf_counter()
            drawn = noise(rows)
            before = time.perf_counter()
            energies[rows] = self._inner.sample(conditions[rows], drawn)
            return before - started, time.perf_counter() - before

        size = min(self._rows, max(1, -(-len(energies) // self._threads)))
        stretches = [slice(start, min(start + size, len(energies))) for start in range(0, len(energies), size)]
        if self._pool is None or len(stretches) == 1:
            seconds = [make(rows) for rows in stretches]
        else:
            seconds = list(self._pool.map(make, stretches))
        return Made(energies, sum(item[0] for item in seconds), sum(item[1] for item in seconds))
