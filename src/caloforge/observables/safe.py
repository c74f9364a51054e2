"""Quotients and roots that are defined for empty showers, with gradients that stay finite."""

from __future__ import annotations

from array_api_compat import array_namespace

from caloforge.observables.axis import Array


def over(numerator: Array, denominator: Array) -> Array:
    """numerator / denominator where the denominator is above 0, and 0 elsewhere."""
    xp = array_namespace(denominator)
    filled = denominator > 0
    ratio = numerator / xp.where(filled, denominator, xp.ones_like(denominator))
    return xp.where(filled, ratio, xp.zeros_like(ratio))


def deviation(mean: Array, mean_square: Array, least: float) -> Array:
    """sqrt(<v^2> - <v>^2) where that variance is above `least`, which rounding may leave of a true 0, and 0 elsewhere.

    The root never sees 0: its gradient is 0 there, not NaN.
    """
    xp = array_namespace(mean)
    variance = mean_square - mean * mean
    real = variance > least
    root = xp.sqrt(xp.where(real, variance, xp.ones_like(variance)))
    return xp.where(real, root, xp.zeros_like(root))
