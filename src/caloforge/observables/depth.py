"""Observables along the depth, where there are several layers of cells: shares of the layers, mean depth, spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from array_api_compat import array_namespace

from caloforge.observables.axis import Array, ShowerAxis

if TYPE_CHECKING:
    from caloforge.detector import CellLayer, Detector


def layer_fraction(energies: Array, axis: ShowerAxis, detector: Detector, *, layer: CellLayer) -> Array:
    """(N,) energy in the cells of a layer over the incident energy."""
    return array_namespace(energies).sum(energies[:, layer.index], axis=1) / axis.energy


def mean_depth(energies: Array, axis: ShowerAxis, detector: Detector) -> Array:
    """(N,) sum E_k z_k / sum E_k, mm: E_k the energy of a layer of cells, z_k the depth of its middle; 0 if empty."""
    return _depth_moments(energies, detector)[0]


def depth_spread(energies: Array, axis: ShowerAxis, detector: Detector) -> Array:
    """(N,) sqrt(sum E_k z_k^2 / sum E_k - (sum E_k z_k / sum E_k)^2), mm; 0 if empty or in one layer only."""
    xp = array_namespace(energies)
    mean, mean_square = _depth_moments(energies, detector)
    variance = mean_square - mean * mean
    # Rounding leaves about 1e-6 of the depth squared where the true variance is 0.
    real = variance > 1e-6 * detector.depth**2
    root = xp.sqrt(xp.where(real, variance, xp.ones_like(variance)))
    return xp.where(real, root, xp.zeros_like(root))


def _depth_moments(energies: Array, detector: Detector) -> tuple[Array, Array]:
    xp = array_namespace(energies)
    total = xp.sum(energies, axis=1)
    mean = mean_square = xp.zeros_like(total)
    for layer in detector.cell_layers:
        energy, z = xp.sum(energies[:, layer.index], axis=1), (layer.front + layer.back) / 2
        mean, mean_square = mean + energy * z, mean_square + energy * z**2
    safe = xp.where(total > 0, total, xp.ones_like(total))
    return mean / safe, mean_square / safe
