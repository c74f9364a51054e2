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
