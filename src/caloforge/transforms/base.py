"""The contract of a transform: fitted on training data, forward, and back again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.errors import FormatError, RequestError

Floats = NDArray[np.float64]


class Transform(ABC):
    """An invertible map of cell energies, given the incident energy.

    Parameters come from training data only (:meth:`fit`) or from a saved state (:meth:`load_state`); using a transform
    before either raises ``RequestError``. Both directions work in float64.

    Attributes:
        name: key in the table ``caloforge.transforms.TRANSFORMS``.
        keys: names of the arrays that make up the state.
    """

    name: ClassVar[str]
    keys: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        self._state: dict[str, Floats] = {}

    def fit(self, energies: ArrayLike, incident: ArrayLike) -> Self:
        """Learn the parameters from training showers; return self.

        Args:
            energies: (N, n_cells) cell energies (or what the transform before this one made of them).
            incident: (N,) or (N, 1) incident energies, MeV.

        Raises:
            RequestError: no showers, or values that are not finite or of the wrong shape.
        """
        values, scale = _checked(energies, incident)
        if not len(values):
            raise RequestError(f"the transform {self.name!r} needs at least one training shower to be fitted")
        self._state = {key: np.asarray(value, dtype=np.float64) for key, value in self._fit(values, scale).items()}
        return self

    def forward(self, energies: ArrayLike, incident: ArrayLike) -> Floats:
        """Energies (N, n_cells) to transformed values of the same shape."""
        self._require_fitted()
        return self._forward(*_checked(energies, incident))

    def inverse(self, values: ArrayLike, incident: ArrayLike) -> Floats:
        """Transformed values (N, n_cells) back to energies of the same shape."""
        self._require_fitted()
        return self._inverse(*_checked(values, incident))

    def state(self) -> dict[str, Floats]:
        """The fitted parameters as plain arrays, ready for safetensors."""
        self._require_fitted()
        return {key: value.copy() for key, value in self._state.items()}

    def load_state(self, state: Mapping[str, ArrayLike]) -> Self:
        """Take the parameters that :meth:`state` returned; a missing or unknown key raises ``FormatError``."""
        if set(state) != set(self.keys):
            raise FormatError(
                f"the state of the transform {self.name!r} has the keys {sorted(state)}; expected {sorted(self.keys)}"
            )
        self._state = {key: np.array(value, dtype=np.float64) for key, value in state.items()}
        return self

    def _require_fitted(self) -> None:
        if not self._state:
            raise RequestError(
                f"the transform {self.name!r} is not fitted; call fit(training data) or load_state first"
            )

    def _parameter(self, key: str) -> float:
        return float(self._state[key])

    @abstractmethod
    def _fit(self, energies: Floats, incident: Floats) -> Mapping[str, ArrayLike]:
        """Return the state; inputs are checked, incident is (N, 1)."""

    @abstractmethod
    def _forward(self, energies: Floats, incident: Floats) -> Floats: ...

    @abstractmethod
    def _inverse(self, values: Floats, incident: Floats) -> Floats: ...


def _checked(energies: ArrayLike, incident: ArrayLike) -> tuple[Floats, Floats]:
    values = np.asarray(energies, dtype=np.float64)
    scale = np.asarray(incident, dtype=np.float64)
    if values.ndim != 2 or scale.shape not in {(len(values),), (len(values), 1)}:
        raise RequestError(
            f"a transform takes energies (N, n_cells) and incident energies (N,); got {values.shape} and {scale.shape}"
        )
    if not (np.isfinite(values).all() and np.isfinite(scale).all()):
        raise RequestError("a transform takes finite numbers; got NaN or infinity")
    if not (scale > 0).all():
        raise RequestError(f"incident energies must be positive, in MeV; the smallest is {scale.min()}")
    return values, scale.reshape(-1, 1)


def not_negative(energies: Floats, name: str) -> Floats:
    """Return the energies; raise ``RequestError`` for a negative one."""
    if energies.size and energies.min() < 0:
        raise RequestError(
            f"the transform {name!r} takes energies that are not negative; the smallest is {energies.min()}"
        )
    return energies
