"""The radial profile: how far from the shower axis the energy lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from array_api_compat import array_namespace

from caloforge.observables.axis import Array, ShowerAxis
from caloforge.observables.safe import deviation, over

if TYPE_CHECKING:
    from caloforge.detector import CellLayer, Detector


def radius(energies: Array, axis: ShowerAxis, detector: Detector, *, layer: CellLayer | None = None) -> Array:
    """(N,) sum w r / sum w, mm: w the cell energy, r the distance of its centre from the shower axis.

    The axis is taken at the reference depth, or half-way through the ``layer`` whose cells alone count. 0 where there
    is no energy.
    """
    return _moments(energies, axis, detector, layer)[0]


def radial_width(energies: Array, axis: ShowerAxis, detector: Detector, *, layer: CellLayer | None = None) -> Array:
    """(N,) sqrt(sum w r^2 / sum w - (sum w r / sum w)^2), mm, r and the axis as in `radius`; 0 if empty."""
    return deviation(*_moments(energies, axis, detector, layer), least=1e-6 * detector.finest**2)


def within(energies: Array, axis: ShowerAxis, detector: Detector, *, radius: float) -> Array:
    """(N,) share of the energy in cells whose centre is within `radius` mm of the shower axis; 0 for an empty shower.

    The axis is taken at the reference depth.
    """
    xp = array_namespace(energies)
    inside = xp.astype(axis.distances(detector, None, energies) <= radius, energies.dtype)
    return over(xp.sum(energies * inside, axis=1), xp.sum(energies, axis=1))


def _moments(energies: Array, axis: ShowerAxis, detector: Detector, layer: CellLayer | None) -> tuple[Array, Array]:
    xp = array_namespace(energies)
    distance = axis.distances(detector, layer, energies)
    if layer is not None:
        energies = energies[:, layer.index]
    total = xp.sum(energies, axis=1)
    weighted = energies * distance
    return over(xp.sum(weighted, axis=1), total), over(xp.sum(weighted * distance, axis=1), total)
