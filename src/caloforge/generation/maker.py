"""A loaded model that makes stretches of events, each from its own conditions and noise."""

from __future__ import annotations

from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError, WorkError
from caloforge.generation.choice import load_sampler
from caloforge.generation.request import Block
from caloforge.generation.rows import Made
from caloforge.models.bundle import read_bundle
from caloforge.random import normals
from caloforge.showers import Showers

STREAM = "noise"


@final
class Maker:
    """A sampler, and what it needs to make the showers of any events.

    Args:
        path: a bundle.
        digest: SHA-256 that the bundle has to have.
        engine, threads: as for :func:`load_sampler`.
        seed: of the noise.
        batch: most showers a call of the model.

    Raises:
        WorkError: the bundle is another one; otherwise as :func:`load_sampler`.
    """

    def __init__(self, path: str | Path, digest: str, engine: str, threads: int, seed: int, batch: int) -> None:
        bundle = read_bundle(path)
        if bundle.digest != digest:
            raise WorkError(f"{path} changed while showers were generated from it; generate again")
        self._sampler = load_sampler(bundle, engine, threads, batch)
        self._seed = seed

    def make(self, first: int, conditions: NDArray[np.float32]) -> Made:
        """Return the showers of the events from ``first`` on with these conditions (N, C + 1)."""

        def noise(rows: slice) -> NDArray[np.float32]:
            return normals(self._seed, STREAM, first + rows.start, rows.stop - rows.start, self._sampler.noise_width)

        return self._sampler.fill(conditions, noise)


def made_showers(block: Block, energies: NDArray[np.float32], name: str) -> Showers:
    """Return the showers of a block, checked; ``name`` is that of the model, for the error.

    Raises:
        WorkError: the energies are those of no showers.
    """
    try:
        return Showers(block.conditions.detector, block.conditions, energies, extrapolated=block.outside)
    except RequestError as error:
        raise WorkError(f"the model {name} gave something that is no shower: {error}") from error
