"""The Box-Cox transform, with its exponent fitted by maximum likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from caloforge.errors import RequestError
from caloforge.transforms.base import Floats, Transform, not_negative

_BOUNDS = (-2.0, 2.0)
_MOST = 2_000_000


@final
class BoxCoxTransform(Transform):
    """v = (((e + epsilon)^lambda - 1) / lambda - mean) / deviation, the logarithm for lambda = 0.

    lambda maximises the likelihood that the transformed values are normal, over the cells with energy (an empty cell is
    no measurement of the shape); mean and deviation are theirs, so the training values have mean 0 and variance 1. A
    value beyond the end of the map (possible for lambda != 0) comes back as an empty cell or as ten times the largest
    training energy, never as NaN.

    Source: G. E. P. Box, D. R. Cox, "An Analysis of Transformations", J. R. Stat. Soc. B 26 (1964) 211.

    Args:
        epsilon: added to every energy, so that empty cells have a finite value; unit of the input, > 0.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> normal_after_root = (5 + rng.standard_normal((100, 100))) ** 2
        >>> fitted = BoxCoxTransform(epsilon=1e-9).fit(normal_after_root, np.ones(100))
        >>> bool(abs(fitted.exponent - 0.5) < 0.05)
        True
    """

    name: ClassVar[str] = "box-cox"
    keys: ClassVar[tuple[str, ...]] = ("epsilon", "lambda", "mean", "deviation", "largest")

    def __init__(self, epsilon: float = 1e-3) -> None:
        super().__init__()
        if not 0 < epsilon < np.inf:
            raise RequestError(f"the epsilon of the transform 'box-cox' must be positive and finite, not {epsilon}")
        self._epsilon = epsilon

    @property
    def exponent(self) -> float:
        """The fitted lambda."""
        self._require_fitted()
        return self._parameter("lambda")

    def _fit(self, energies: Floats, incident: Floats) -> Mapping[str, ArrayLike]:
        from scipy.special import boxcox

        values = not_negative(energies, self.name)
        values = values[values > 0] + self._epsilon
        if values.size < 2 or values.min() == values.max():
            raise RequestError("the transform 'box-cox' needs at least two different energies above zero to be fitted")
        largest = float(values.max())
        values = values[:: -(-values.size // _MOST)]  # evenly spaced: two million pin lambda far below 1e-2
        exponent = _most_likely(values)
        transformed = boxcox(values, exponent)
        return {
            "epsilon": self._epsilon,
            "lambda": exponent,
            "mean": float(transformed.mean()),
            "deviation": float(transformed.std()),
            "largest": largest,
        }

    def _forward(self, energies: Floats, incident: Floats) -> Floats:
        from scipy.special import boxcox

        shifted = not_negative(energies, self.name) + self._parameter("epsilon")
        values: Floats = (boxcox(shifted, self._parameter("lambda")) - self._parameter("mean")) / self._parameter(
            "deviation"
        )
        return values

    def _inverse(self, values: Floats, incident: Floats) -> Floats:
        from scipy.special import boxcox, inv_boxcox

        exponent, epsilon = self._parameter("lambda"), self._parameter("epsilon")
        low, high = boxcox(np.array([epsilon, 10 * self._parameter("largest")]), exponent)
        raw = np.clip(values * self._parameter("deviation") + self._parameter("mean"), low, high)
        energies: Floats = np.maximum(inv_boxcox(raw, exponent) - epsilon, 0.0)
        return energies


def _most_likely(values: Floats) -> float:
    """The lambda of largest likelihood: -N/2 ln variance(v) + (lambda - 1) sum ln e, within -2..2."""
    from scipy.optimize import minimize_scalar
    from scipy.special import boxcox

    # Dividing by the geometric mean leaves lambda as it is and makes the second term vanish.
    logs = np.log(values)
    scaled = np.exp(logs - logs.mean())
    found = minimize_scalar(
        lambda exponent: float(np.log(np.var(boxcox(scaled, exponent)))), bounds=_BOUNDS, method="bounded"
    )
    return float(found.x)
