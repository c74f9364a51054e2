"""The validated container of showers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Conditions, Detector, concatenate_conditions, real_numbers
from caloforge.errors import RequestError


def _checked(name: str, values: Any, rows: int, columns: int) -> NDArray[np.float32]:
    array: NDArray[np.float32] = real_numbers(name, values).astype(np.float32, copy=False)
    if array.shape != (rows, columns):
        raise RequestError(f"{name} must have shape ({rows}, {columns}); got {array.shape}")
    # A minimum that is not >= 0 is negative or NaN: one pass over the data where all is well.
    if array.size and not (array.min() >= 0 and array.max() < np.inf):
        row, column = np.argwhere(~((array >= 0) & (array < np.inf)))[0]
        raise RequestError(
            f"{name}[{row}, {column}] is {array[row, column]:g} MeV; energies must be finite and not negative"
        )
    return array


def _checked_weights(values: Any, rows: int) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = real_numbers("weights", values).astype(np.float64, copy=False)
    if weights.shape != (rows,):
        raise RequestError(f"weights must have shape ({rows},); got {weights.shape}")
    if not np.isfinite(weights).all():
        row = int(np.flatnonzero(~np.isfinite(weights))[0])
        raise RequestError(f"weights[{row}] is {weights[row]:g}; weights must be finite")
    return weights


@dataclass(frozen=True, eq=False)
class Showers:
    """N showers of one detector.

    Attributes:
        conditions: their conditions.
        energies: float32 (N, n_cells), MeV in the active material of each cell.
        layer_energies: float32 (N, n_layers) or None, MeV in the active slabs of each layer, cells or not.
        absorber_energies: float32 (N, n_layers) or None, MeV in the other slabs of each layer.
        extrapolated: bool (N,) or None, True where the conditions lie outside the domain of the model used.
        weights: float64 (N,) or None, how often each shower counts: finite; negative where it is subtracted, as
            sWeights do.

    Raises:
        RequestError: on construction, for wrong shapes or energies that are negative or not finite; names the first.
    """

    detector: Detector
    conditions: Conditions
    energies: NDArray[np.float32]
    layer_energies: NDArray[np.float32] | None = None
    absorber_energies: NDArray[np.float32] | None = None
    extrapolated: NDArray[np.bool_] | None = None
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        rows = len(self.conditions)
        if self.conditions.detector != self.detector:
            raise RequestError(
                f"conditions of the detector {self.conditions.detector.name} for showers of {self.detector.name}"
            )
        object.__setattr__(self, "energies", _checked("showers", self.energies, rows, self.detector.n_cells))
        for name in ("layer_energies", "absorber_energies"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _checked(name, getattr(self, name), rows, self.detector.n_layers))
        if self.extrapolated is not None:
            flags = np.asarray(self.extrapolated, dtype=np.bool_)
            if flags.shape != (rows,):
                raise RequestError(f"extrapolated must have shape ({rows},); got {flags.shape}")
            object.__setattr__(self, "extrapolated", flags)
        if self.weights is not None:
            object.__setattr__(self, "weights", _checked_weights(self.weights, rows))

    def __len__(self) -> int:
        return len(self.conditions)

    def __getitem__(self, index: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Showers:
        return Showers(
            self.detector,
            self.conditions[index],
            self.energies[index],
            None if self.layer_energies is None else self.layer_energies[index],
            None if self.absorber_energies is None else self.absorber_energies[index],
            None if self.extrapolated is None else self.extrapolated[index],
            None if self.weights is None else self.weights[index],
        )


def concatenate(parts: Sequence[Showers]) -> Showers:
    """One after the other; an optional array is kept where every part has it.

    Flags of extrapolation and weights are never lost: a part without flags counts as inside the domain, one without
    weights as showers of weight 1.

    Raises:
        RequestError: no parts, or detectors that differ.
    """
    conditions = concatenate_conditions([part.conditions for part in parts])
    flags = None
    if any(part.extrapolated is not None for part in parts):
        flags = np.concatenate(
            [np.zeros(len(part), dtype=np.bool_) if part.extrapolated is None else part.extrapolated for part in parts]
        )
    weights = None
    if any(part.weights is not None for part in parts):
        weights = np.concatenate([np.ones(len(part)) if part.weights is None else part.weights for part in parts])
    layers = [part.layer_energies for part in parts if part.layer_energies is not None]
    absorbers = [part.absorber_energies for part in parts if part.absorber_energies is not None]
    return Showers(
        parts[0].detector,
        conditions,
        np.concatenate([part.energies for part in parts]),
        np.concatenate(layers) if len(layers) == len(parts) else None,
        np.concatenate(absorbers) if len(absorbers) == len(parts) else None,
        flags,
        weights,
    )


def check_unflagged(showers: Showers, form: str) -> None:
    """Refuse showers flagged as extrapolated, for a format that cannot tell it.

    Raises:
        RequestError: some are.
    """
    if showers.extrapolated is not None and showers.extrapolated.any():
        raise RequestError(
            f"some showers are flagged as extrapolated, outside the domain of their model, and {form} has no place for "
            "that flag; keep them in the format caloforge, or generate inside the domain"
        )


def no_showers(detector: Detector) -> Showers:
    """Showers of a detector, none of them."""
    conditions = Conditions(detector, np.empty((0, len(detector.conditions))), np.empty(0, dtype=np.int32))
    return Showers(detector, conditions, np.empty((0, detector.n_cells), dtype=np.float32))


def cell_layer_energies(detector: Detector, layer_energies: NDArray[np.floating]) -> NDArray[np.float64]:
    """Energies of layers (N, n_layers) added up to those of the cell layers, (N, number of cell layers)."""
    sums = [layer_energies[:, item.first : item.stop].sum(axis=1, dtype=np.float64) for item in detector.cell_layers]
    return np.stack(sums, axis=1)
