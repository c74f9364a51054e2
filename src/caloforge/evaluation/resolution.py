"""The terms of an energy resolution: stochastic and constant."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from caloforge.evaluation.results import Measured, ResolutionTerms

LEAST_BINS = 3


def resolution_terms(inverse: ArrayLike, resolution: ArrayLike, error: ArrayLike) -> ResolutionTerms | None:
    """a and b of sigma/E = a / sqrt(E) (+) b, added in quadrature.

    (sigma/E)^2 = a^2 <1/E> + b^2 is a straight line in the mean of 1/E of each bin, however wide; least squares with
    the errors as weights. A square that comes out negative is 0 and the other is fitted alone. The error s of a square
    q passes to its root as s / (2 sqrt(q)), or at most sqrt(s), the upper end of what one standard error allows for
    q = 0.

    Args:
        inverse: (B,) mean of 1 / (E in GeV) in each bin.
        resolution: (B,) sigma/E, above 0.
        error: (B,) its standard errors, above 0.

    Returns:
        None where there are fewer than three bins, or all of one energy.

    >>> inverse = np.array([1.0, 0.1, 0.01])
    >>> found = resolution_terms(inverse, np.sqrt(0.1**2 * inverse + 0.02**2), [0.001] * 3)
    >>> round(found.stochastic.value, 9), round(found.constant.value, 9)
    (0.1, 0.02)
    """
    x, value, spread = (np.asarray(item, dtype=np.float64) for item in (inverse, resolution, error))
    if len(x) < LEAST_BINS or np.ptp(x) <= 1e-6 * x.max() or min(value.min(), spread.min()) <= 0:
        return None
    weight = 1 / (2 * value * spread)  # one over the standard error of the square
    rows = np.column_stack([x, np.ones_like(x)]) * weight[:, None]
    aim = value**2 * weight
    covariance = np.linalg.inv(rows.T @ rows)
    squares = covariance @ rows.T @ aim
    for term in (0, 1):
        if squares[term] < 0:
            other = rows[:, 1 - term]
            squares[term], squares[1 - term] = 0.0, other @ aim / (other @ other)
    errors = np.sqrt(np.diag(covariance))
    stochastic, constant = (
        Measured(float(root), float(min(s**0.5, s / (2 * root)) if root > 0 else s**0.5))
        for root, s in zip(np.sqrt(squares), errors, strict=True)
    )
    return ResolutionTerms(stochastic, constant, float(((rows @ squares - aim) ** 2).sum()), len(x))
