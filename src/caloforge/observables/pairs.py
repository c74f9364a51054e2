"""Two-point correlations: how far from each other two deposits of energy lie, over all pairs of cells."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from caloforge.observables.axis import Array, ShowerAxis, constant
from caloforge.observables.safe import over

if TYPE_CHECKING:
    from caloforge.detector import Detector
    from caloforge.detector.cells import Cells

MOST_CELLS = 2500
"""Of all different grids together; the table of distances grows as the square (50 MB here)."""


def has_pairs(detector: Detector) -> bool:
    """Whether the grids of the detector are small enough for all pairs of cells."""
    return sum(len(grid) for grid in _grids(detector)) <= MOST_CELLS


def pair_distance(energies: Array, axis: ShowerAxis, detector: Detector) -> Array:
    """(N,) sum_ij e_i e_j d_ij / (sum e)^2, mm: d_ij the distance of the centres of two cells; 0 for an empty shower.

    Distances are those in the plane of the cells; layers with the same grid are added up before.
    """
    return _average(energies, detector, _distances(_grids(detector)))


def pairs_within(energies: Array, axis: ShowerAxis, detector: Detector, *, distance: float) -> Array:
    """(N,) sum_ij e_i e_j / (sum e)^2 over pairs of different cells with 0 <= d_ij <= `distance` mm; 0 if empty.

    The energy-energy correlation, added up to that distance; plane and layers as in `pair_distance`.
    """
    return _average(energies, detector, _neighbours(_grids(detector), distance))


def _average(energies: Array, detector: Detector, table: NDArray[np.float64]) -> Array:
    """(N,) mean of a symmetric (cells, cells) table over all pairs of cells, with the energy of both as weight."""
    xp = array_namespace(energies)
    shares = over(_image(energies, detector), xp.sum(energies, axis=1)[:, None])
    return xp.sum(xp.matmul(shares, constant(table, shares)) * shares, axis=1)


def _grids(detector: Detector) -> tuple[Cells, ...]:
    """The different grids of the detector."""
    return tuple(dict.fromkeys(layer.cells for layer in detector.cell_layers))


def _image(energies: Array, detector: Detector) -> Array:
    """(N, cells) energies on the different grids, layers with the same grid added up."""
    sums: dict[Cells, Array] = {}
    for layer in detector.cell_layers:
        part = energies[:, layer.index]
        sums[layer.cells] = sums[layer.cells] + part if layer.cells in sums else part
    return array_namespace(energies).concat(list(sums.values()), axis=1)


@lru_cache(maxsize=4)
def _distances(grids: tuple[Cells, ...]) -> NDArray[np.float64]:
    """(cells, cells) distances of the centres, mm; read-only."""
    centres = np.concatenate([grid.centres() for grid in grids])
    table: NDArray[np.float64] = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    table.setflags(write=False)
    return table


@lru_cache(maxsize=4)
def _neighbours(grids: tuple[Cells, ...], distance: float) -> NDArray[np.float64]:
    """(cells, cells) table: 1 for different cells with centres up to `distance` mm apart, 0 for others; read-only."""
    near = _distances(grids) <= distance * (1 + 1e-9)  # rounding must not decide
    table = (near & ~np.eye(len(near), dtype=np.bool_)).astype(np.float64)
    table.setflags(write=False)
    return table
