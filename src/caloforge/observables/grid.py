"""Sums over a part of a rectangular grid of cells, from columns and rows, without a mask of all its cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from array_api_compat import array_namespace, device

from caloforge.observables.axis import Array

if TYPE_CHECKING:
    from caloforge.detector.cells import RectangularCells


def hottest_cell(energies: Array, cells: RectangularCells) -> tuple[Array, Array]:
    """(N,) column and (N,) row of the hottest cell, the first of equal ones; of (N, n) energies of the grid."""
    index = array_namespace(energies).argmax(energies, axis=1)
    return index // cells.shape[1], index % cells.shape[1]


def near(energies: Array, centre: Array, number: int, half: int) -> Array:
    """(N, number), of the type of `energies`: 1 for columns (or rows) up to `half` away from the `centre` (N,)."""
    xp = array_namespace(energies)
    index = xp.arange(number, device=device(energies))
    return xp.astype(abs(index[None, :] - centre[:, None]) <= half, energies.dtype)


def grid_sum(energies: Array, of_column: Array, of_row: Array) -> Array:
    """(N,) sum over the cells of energy times a factor of the column (N, n_x) times one of the row (N, n_y)."""
    xp = array_namespace(energies)
    image = xp.reshape(energies, (-1, of_column.shape[1], of_row.shape[1]))
    # (N, 1, n_x) @ (N, n_x, n_y) @ (N, n_y, 1)
    return xp.matmul(xp.matmul(of_column[:, None, :], image), of_row[:, :, None])[:, 0, 0]
