"""Observables of the transverse shape: barycentre, width and asymmetry.

Of all cells together along and across the shower direction, or of one layer of cells in x and y.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from array_api_compat import array_namespace

from caloforge.observables.axis import Array, ShowerAxis, constant
from caloforge.observables.safe import deviation, over

if TYPE_CHECKING:
    from caloforge.detector import CellLayer, Detector

Direction = Literal["along", "across", "x", "y"]


def barycentre(
    energies: Array, axis: ShowerAxis, detector: Detector, *, direction: Direction, layer: CellLayer | None = None
) -> Array:
    """(N,) sum w d / sum w, mm: w the cell energy, d the distance of its centre from the shower axis.

    The axis is taken at the reference depth, or half-way through the ``layer`` whose cells alone count. 0 where there
    is no energy.
    """
    unit = _unit(axis, direction)
    mean, _, filled = _moments(energies, unit, detector, layer)
    xp = array_namespace(energies)
    point = axis.point if layer is None else axis.at((layer.front + layer.back) / 2)
    offset = xp.sum(point * unit, axis=1)
    return xp.where(filled, mean - offset, xp.zeros_like(mean))


def width(
    energies: Array, axis: ShowerAxis, detector: Detector, *, direction: Direction, layer: CellLayer | None = None
) -> Array:
    """(N,) sqrt(sum w d^2 / sum w - (sum w d / sum w)^2), mm, d measured in `direction`, of all cells or of a `layer`.

    0 where there is no energy or all of it lies in a single line of cells; the gradient is 0 there, never NaN.
    """
    mean, mean_square, _ = _moments(energies, _unit(axis, direction), detector, layer)
    # Rounding leaves about 1e-6 of the cell size squared where the true variance is 0.
    return deviation(mean, mean_square, least=1e-6 * detector.finest**2)


def asymmetry(energies: Array, axis: ShowerAxis, detector: Detector, *, direction: Direction) -> Array:
    """(N,) (E_forward - E_backward) / E_vis; 0 for an empty shower.

    A cell is forward when its centre lies on the positive side, in `direction`, of the point where the shower axis
    crosses the reference depth.
    """
    xp = array_namespace(energies)
    unit = _unit(axis, direction)
    centres = constant(detector.cell_centres, energies)
    offset = xp.sum(axis.point * unit, axis=1)
    side = xp.sign(xp.astype(xp.matmul(unit, xp.astype(centres, unit.dtype).T) - offset[:, None], energies.dtype))
    return over(xp.sum(energies * side, axis=1), xp.sum(energies, axis=1))


def _unit(axis: ShowerAxis, direction: Direction) -> Array:
    """(N, 2) unit vector of `direction`."""
    if direction == "along":
        return axis.along
    if direction == "across":
        return axis.across
    xp = array_namespace(axis.energy)
    ones, zeros = xp.ones_like(axis.energy), xp.zeros_like(axis.energy)
    return xp.stack([ones, zeros] if direction == "x" else [zeros, ones], axis=1)


def _moments(energies: Array, unit: Array, detector: Detector, layer: CellLayer | None) -> tuple[Array, Array, Array]:
    """Mean and mean square of the cells' position in the direction `unit` (mm, mm^2), and which showers have energy.

    (u.r)^2 = ux^2 x^2 + 2 ux uy xy + uy^2 y^2, so one product with five fixed columns serves every direction.
    """
    xp = array_namespace(energies)
    index = slice(None) if layer is None else layer.index
    energies = energies[:, index]
    x, y = np.asarray(detector.cell_centres[index], dtype=np.float64).T
    columns = constant(np.stack([x, y, x * x, x * y, y * y], axis=1), energies)
    total = xp.sum(energies, axis=1)
    filled = total > 0
    sums = xp.matmul(energies, columns) / xp.where(filled, total, xp.ones_like(total))[:, None]
    ux, uy = unit[:, 0], unit[:, 1]
    mean = ux * sums[:, 0] + uy * sums[:, 1]
    mean_square = ux * ux * sums[:, 2] + 2 * ux * uy * sums[:, 3] + uy * uy * sums[:, 4]
    return mean, mean_square, filled
