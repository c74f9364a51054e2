"""Observables of how much energy there is and how it is shared: response, squares, sparsity, hottest cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from array_api_compat import array_namespace, device

from caloforge.observables.axis import Array, ShowerAxis
from caloforge.observables.grid import grid_sum, hottest_cell, near
from caloforge.observables.safe import over

if TYPE_CHECKING:
    from caloforge.detector import CellLayer, Detector


def visible_energy(energies: Array) -> Array:
    """(N,) sum over the cells of (N, n_cells) energies, MeV."""
    return array_namespace(energies).sum(energies, axis=1)


def response(energies: Array, axis: ShowerAxis, detector: Detector) -> Array:
    """(N,) E_vis / E: energy in all cells over the incident energy."""
    return visible_energy(energies) / axis.energy


def square_fraction(energies: Array, axis: ShowerAxis, detector: Detector, *, side: int) -> Array:
    """(N,) energy in the square of `side` x `side` cells centred on the hottest cell, over the incident energy.

    Where the square reaches over the edge of the detector, the cells that exist count. An empty shower gives 0.
    """
    column, row = hottest_cell(energies, detector.cells)
    n_x, n_y = detector.cells.shape
    half = side // 2
    return grid_sum(energies, near(energies, column, n_x, half), near(energies, row, n_y, half)) / axis.energy


def sparsity(
    energies: Array, axis: ShowerAxis, detector: Detector, *, threshold: float, layer: CellLayer | None = None
) -> Array:
    """(N,) share of the cells, all or those of a `layer`, above `threshold` MeV.

    A step function: its gradient is zero or absent.
    """
    xp = array_namespace(energies)
    energies = _cells(energies, layer)
    return xp.mean(xp.astype(energies > threshold, energies.dtype), axis=1)


def soft_sparsities(energies: Array, thresholds: Sequence[float], *, width: float = 1.0, floor: float = 1e-3) -> Array:
    """(N, T) differentiable stand-ins for `sparsity` at T thresholds, for use in a loss.

    Mean over the cells of a step in ln((e + floor) / (threshold + floor)) that rises linearly from 0 to 1 over `width`;
    it tends to `sparsity` as `width` goes to 0.

    Args:
        energies: (N, n_cells), MeV, not negative.
        thresholds: MeV.
        width: of the step, in log energy.
        floor: MeV, keeps the logarithm finite for empty cells.
    """
    xp = array_namespace(energies)
    logs = xp.log(energies + floor) / width + 0.5
    steps = [xp.clip(logs - math.log(threshold + floor) / width, 0.0, 1.0) for threshold in thresholds]
    return xp.stack([xp.mean(step, axis=1) for step in steps], axis=1)


def hottest_ratio(energies: Array, axis: ShowerAxis, detector: Detector, *, layer: CellLayer | None = None) -> Array:
    """(N,) (E1 - E2) / (E1 + E2) of the two hottest cells, of all or of a `layer`; 0 where there is no energy.

    CaloGAN, arXiv:1705.02355.
    """
    xp = array_namespace(energies)
    energies = _cells(energies, layer)
    first = xp.max(energies, axis=1)
    cells = xp.arange(energies.shape[1], device=device(energies))
    is_first = cells[None, :] == xp.argmax(energies, axis=1)[:, None]
    second = xp.max(xp.where(is_first, xp.zeros_like(energies), energies), axis=1)
    return over(first - second, first + second)


def _cells(energies: Array, layer: CellLayer | None) -> Array:
    return energies if layer is None else energies[:, layer.index]
