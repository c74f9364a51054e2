"""Transforms that treat every cell alike: logarithm, threshold, incident energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, final

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import ArrayLike

from caloforge.errors import RequestError
from caloforge.transforms.base import Floats, Transform, not_negative


def log_of_energy(energies: Any, epsilon: float) -> Any:
    """v = ln(1 + e / epsilon), on numpy or torch; the networks use it inside their graphs."""
    return array_namespace(energies).log1p(energies / epsilon)


def energy_of_log(values: Any, epsilon: float) -> Any:
    """e = epsilon (exp(v) - 1), the inverse of :func:`log_of_energy`, on numpy or torch."""
    return array_namespace(values).expm1(values) * epsilon


@final
class LogTransform(Transform):
    """v = ln(1 + e / epsilon), and back e = epsilon (exp(v) - 1); values below 0 come back as empty cells.

    Args:
        epsilon: energy below which the map is linear, in the unit of the input (MeV unless divided before); > 0.

    Example:
        >>> log = LogTransform(epsilon=0.1).fit([[0.0, 1.0]], [1000.0])
        >>> log.inverse(log.forward([[0.0, 5.0]], [1000.0]), [1000.0]).round(9).tolist()
        [[0.0, 5.0]]
    """

    name: ClassVar[str] = "log"
    keys: ClassVar[tuple[str, ...]] = ("epsilon",)

    def __init__(self, epsilon: float = 0.1) -> None:
        super().__init__()
        if not 0 < epsilon < np.inf:
            raise RequestError(f"the epsilon of the transform 'log' must be positive and finite, not {epsilon}")
        self._epsilon = epsilon

    def _fit(self, energies: Floats, incident: Floats) -> Mapping[str, ArrayLike]:
        not_negative(energies, self.name)
        return {"epsilon": self._epsilon}

    def _forward(self, energies: Floats, incident: Floats) -> Floats:
        values: Floats = log_of_energy(not_negative(energies, self.name), self._parameter("epsilon"))
        return values

    def _inverse(self, values: Floats, incident: Floats) -> Floats:
        energies: Floats = energy_of_log(np.maximum(values, 0.0), self._parameter("epsilon"))
        return energies


@final
class ThresholdTransform(Transform):
    """Cells below a threshold become empty, in both directions.

    The one transform that loses something: the round trip is the identity for cells at or above the threshold and for
    empty ones. Energies that a network leaves between 0 and the threshold are taken away on the way back.

    Args:
        threshold: in the unit of the input (MeV unless divided before); >= 0.
    """

    name: ClassVar[str] = "threshold"
    keys: ClassVar[tuple[str, ...]] = ("threshold",)

    def __init__(self, threshold: float = 0.1) -> None:
        super().__init__()
        if not 0 <= threshold < np.inf:
            raise RequestError(f"a threshold must be finite and not negative, not {threshold}")
        self._threshold = threshold

    def _fit(self, energies: Floats, incident: Floats) -> Mapping[str, ArrayLike]:
        return {"threshold": self._threshold}

    def _forward(self, energies: Floats, incident: Floats) -> Floats:
        return np.where(energies < self._parameter("threshold"), 0.0, energies)

    def _inverse(self, values: Floats, incident: Floats) -> Floats:
        return np.where(values < self._parameter("threshold"), 0.0, values)


@final
class IncidentEnergyTransform(Transform):
    """v = e / (r E): energies over the incident energy E and the mean response r = <sum e / E> of the training data.

    The sum over cells is then 1 on average, at every incident energy of a linear calorimeter.

    Example:
        >>> scale = IncidentEnergyTransform().fit([[10.0, 10.0]], [100.0])
        >>> scale.forward([[40.0, 0.0]], [200.0]).tolist()
        [[1.0, 0.0]]
    """

    name: ClassVar[str] = "incident-energy"
    keys: ClassVar[tuple[str, ...]] = ("response",)

    def _fit(self, energies: Floats, incident: Floats) -> Mapping[str, ArrayLike]:
        response = float((energies.sum(axis=1, keepdims=True) / incident).mean())
        if not response > 0:
            raise RequestError(
                f"the training showers hold no energy (mean response {response}); nothing to normalise to"
            )
        return {"response": response}

    def _forward(self, energies: Floats, incident: Floats) -> Floats:
        return energies / (incident * self._parameter("response"))

    def _inverse(self, values: Floats, incident: Floats) -> Floats:
        return values * (incident * self._parameter("response"))
