"""Functions of which onnxruntime gives the same bits wherever in an array a number stands, and fast.

Its Log gives other bits to the last numbers of an array, so that a shower would depend on its place in the batch; its
Asinh takes five times as long as the one here, its Sinh 37 times (measured with onnxruntime 1.31).
"""

from __future__ import annotations

import torch
from torch import Tensor


def asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine y, to 2e-7 of itself for |x| < 30, from sums, products and roots.

    Halved four times by sinh(y / 2) = sinh(y) / (2 cosh(y / 2)), then t / sinh(t) = (14 + cosh t) / (9 + 6 cosh t).
    """
    twice_cosh = torch.sqrt(4 * x.square() + 4)
    for _ in range(4):
        twice_cosh = torch.sqrt(2 + twice_cosh)
        x = x / twice_cosh
    return x * (8 * twice_cosh + 224) / (3 * twice_cosh + 9)


def sinh(x: Tensor) -> Tensor:
    """Hyperbolic sine."""
    grown = torch.exp(x)
    return 0.5 * (grown - 1 / grown)


def log(x: Tensor) -> Tensor:
    """Natural logarithm, to 2e-7 of itself for 1/60 < x < 60; of 1 near 1."""
    return asinh(0.5 * (x - 1 / x))


def normal_share(z: Tensor) -> Tensor:
    """Share of the standard normal distribution below z, to 1e-7 (M. Abramowitz, I. A. Stegun, 26.2.17)."""
    t = 1 / (1 + 0.2316419 * z.abs())
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    above = 0.3989422804 * torch.exp(-0.5 * z.square()) * series
    return torch.where(z < 0, above, 1 - above)
