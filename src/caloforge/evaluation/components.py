"""Principal components of shower images: a fixed, linear stand-in for the features of an image network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caloforge.errors import RequestError
from caloforge.evaluation.events import Rows, cells_of
from caloforge.evaluation.resampling import Floats

COMPONENTS = 30
MAX_CELLS = 4_096


@dataclass(frozen=True, eq=False)
class Components:
    """The leading principal components of log(1 + e / MeV).

    Attributes:
        mean: (n_cells,) mean of the logarithms.
        vectors: (n_cells, K) unit vectors, the one of largest variance first.
    """

    mean: Floats
    vectors: Floats

    def project(self, path: Path, rows: Rows) -> Floats:
        """(N, K) coordinates of the showers of these numbers, read in blocks."""
        logs = (np.log1p(energies.astype(np.float64)) for energies in cells_of(path, rows))
        return np.concatenate([(block - self.mean) @ self.vectors for block in logs])


def fit_components(path: Path, rows: Rows, cells: int) -> Components:
    """The 30 leading principal components of the showers of these numbers, read in blocks.

    Raises:
        RequestError: more than 4,096 cells, whose covariance would not fit in memory, or fewer events than components.
    """
    events = len(rows)
    if cells > MAX_CELLS:
        raise RequestError(f"{cells} cells; principal components are taken of images of up to {MAX_CELLS}")
    if events <= COMPONENTS:
        raise RequestError(f"{events} showers; {COMPONENTS} principal components need more")
    total, square = np.zeros(cells), np.zeros((cells, cells))
    for energies in cells_of(path, rows):
        logs = np.log1p(energies.astype(np.float64))
        total += logs.sum(axis=0)
        square += logs.T @ logs
    mean = total / events
    vectors = np.linalg.eigh(square / events - np.outer(mean, mean))[1][:, ::-1][:, :COMPONENTS]
    # The sign of an eigenvector is the library's whim.
    return Components(mean, vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]))
