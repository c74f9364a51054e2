"""A loaded model that makes stretches of events, each from its own conditions and noise."""

from __future__ import annotations

import time
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError, WorkError
from caloforge.generation.engines import load_sampler
from caloforge.generation.request import Block
from caloforge.models.base import Sampler
from caloforge.models.bundle import read_bundle
from caloforge.random import normals
from caloforge.showers import Showers

STREAM = "noise"

Made = tuple[NDArray[np.float32], float]
"""Cell energies (N, n_cells), MeV, and the seconds spent inside the model."""


@final
class Maker:
    """A sampler, and what it needs to make the showers of any events.

    Args:
        path: a bundle.
        digest: SHA-256 that the bundle has to have.
        engine, threads: as for :func:`load_sampler`.
        seed: of the noise.
        batch: showers a call of the model.

    Raises:
        WorkError: the bundle is another one; otherwise as :func:`load_sampler`.
    """

    def __init__(self, path: str | Path, digest: str, engine: str, threads: int, seed: int, batch: int) -> None:
        bundle = read_bundle(path)
        if bundle.digest != digest:
            raise WorkError(f"{path} changed while showers were generated from it; generate again")
        self._sampler: Sampler = load_sampler(bundle, engine, threads)
        self._seed = seed
        self._batch = batch

    def make(self, first: int, conditions: NDArray[np.float32]) -> Made:
        """Return the energies of the events from ``first`` on with these conditions (N, C + 1)."""
        parts = []
        seconds = 0.0
        for start in range(0, len(conditions), self._batch):
            rows = conditions[start : start + self._batch]
            noise = normals(self._seed, STREAM, first + start, len(rows), self._sampler.noise_width)
            before = time.perf_counter()
            parts.append(self._sampler.sample(rows, noise))
            seconds += time.perf_counter() - before
        return np.concatenate(parts), seconds


def made_showers(block: Block, energies: NDArray[np.float32], name: str) -> Showers:
    """Return the showers of a block, checked; ``name`` is that of the model, for the error.

    Raises:
        WorkError: the energies are those of no showers.
    """
    try:
        return Showers(block.conditions.detector, block.conditions, energies, extrapolated=block.outside)
    except RequestError as error:
        raise WorkError(f"the model {name} gave something that is no shower: {error}") from error
