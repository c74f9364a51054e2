"""Observables along the depth, where there are several layers of cells: what each holds, mean depth, spread, end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from array_api_compat import array_namespace

from caloforge.observables.axis import Array, ShowerAxis
from caloforge.observables.safe import deviation, over

if TYPE_CHECKING:
    from caloforge.detector import CellLayer, Detector


def layer_fraction(energies: Array, axis: ShowerAxis, detector: Detector, *, layer: CellLayer) -> Array:
    """(N,) energy in the cells of a layer over the incident energy."""
    return array_namespace(energies).sum(energies[:, layer.index], axis=1) / axis.energy


def layer_share(energies: Array, axis: ShowerAxis, detector: Detector, *, layer: CellLayer) -> Array:
    """(N,) energy in the cells of a layer over that in all cells; 0 for an empty shower."""
    xp = array_namespace(energies)
    return over(xp.sum(energies[:, layer.index], axis=1), xp.sum(energies, axis=1))


def depth_weighted_energy(energies: Array, axis: ShowerAxis, detector: Detector) -> Array:
    """(N,) sum E_k z_k over the incident energy, mm; E_k and z_k as in `mean_depth`."""
    return mean_depth(energies, axis, detector) * array_namespace(energies).sum(energies, axis=1) / axis.energy


def deepest_layer(energies: Array, axis: ShowerAxis, detector: Detector, *, threshold: float) -> Array:
    """(N,) number, from 0 on, of the deepest layer with a cell above `threshold` MeV; 0 where there is none."""
    xp = array_namespace(energies)
    deepest = xp.zeros_like(energies[:, 0])
    for number, layer in enumerate(detector.cell_layers):
        reached = xp.max(energies[:, layer.index], axis=1) > threshold
        deepest = xp.where(reached, xp.full_like(deepest, float(number)), deepest)
    return deepest


def mean_depth(energies: Array, axis: ShowerAxis, detector: Detector) -> Array:
    """(N,) sum E_k z_k / sum E_k, mm: E_k the energy of a layer of cells, z_k the depth of its middle; 0 if empty."""
    return _depth_moments(energies, detector)[0]


def depth_spread(energies: Array, axis: ShowerAxis, detector: Detector) -> Array:
    """(N,) sqrt(sum E_k z_k^2 / sum E_k - (sum E_k z_k / sum E_k)^2), mm; 0 if empty or in one layer only."""
    # Rounding leaves about 1e-6 of the depth squared where the true variance is 0.
    return deviation(*_depth_moments(energies, detector), least=1e-6 * detector.depth**2)


def _depth_moments(energies: Array, detector: Detector) -> tuple[Array, Array]:
    xp = array_namespace(energies)
    total = xp.sum(energies, axis=1)
    mean = mean_square = xp.zeros_like(total)
    for layer in detector.cell_layers:
        energy, z = xp.sum(energies[:, layer.index], axis=1), (layer.front + layer.back) / 2
        mean, mean_square = mean + energy * z, mean_square + energy * z**2
    return over(mean, total), over(mean_square, total)
