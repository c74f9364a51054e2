"""The conditions of showers: a matrix with one column a condition, in the detector's order, and the particle codes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.detector.base import Detector
from caloforge.detector.mirror import REFLECTED, check_symmetry
from caloforge.errors import DomainError, RequestError
from caloforge.units import describe

_Array = NDArray[np.float64]

# How each condition follows from a file's energy (N,), momentum (N,3) and position (N,2). The direction of a particle
# is proportional to (tan angle_xz, tan angle_yz, 1), and every particle is taken as ultra-relativistic, |p| = E.
_FROM_FILE: dict[str, Callable[[_Array, _Array, _Array], _Array]] = {
    "energy": lambda energy, momentum, position: energy,
    "x": lambda energy, momentum, position: position[:, 0],
    "y": lambda energy, momentum, position: position[:, 1],
    "angle_xz": lambda energy, momentum, position: np.arctan2(momentum[:, 0], momentum[:, 2]),
    "angle_yz": lambda energy, momentum, position: np.arctan2(momentum[:, 1], momentum[:, 2]),
}
_DEFAULT = {"x": 0.0, "y": 0.0, "angle_xz": 0.0, "angle_yz": 0.0}


def real_numbers(name: str, values: Any) -> NDArray[Any]:
    """``values`` as an array; text, complex numbers and objects, which NumPy would convert or cut, are refused.

    Raises:
        RequestError: the values are not real numbers.

    >>> real_numbers("energies", [1, 2]).dtype.kind
    'i'
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise RequestError(f"{name} must be real numbers; got the type {array.dtype}")
    return array


def whole_codes(values: Any) -> NDArray[np.int32]:
    """``values`` as PDG codes.

    Raises:
        RequestError: some of them are not whole numbers that fit into 32 bits.
    """
    numbers = real_numbers("pdg", values)
    bad = ~(np.abs(numbers.astype(np.float64)) < 2**31) | (numbers != np.rint(numbers))
    if bad.any():
        raise RequestError(f"pdg must be whole PDG codes, such as 11 for an electron; got {numbers[bad][0]}")
    return numbers.astype(np.int32, copy=False)


@dataclass(frozen=True)
class FileForm:
    """Conditions as files hold them: energies (N,1) and momentum (N,3) in MeV, position (N,2) in mm, pdg (N,)."""

    incident_energies: NDArray[np.float32]
    momentum: NDArray[np.float32]
    position: NDArray[np.float32]
    pdg: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Conditions:
    """Conditions of N showers.

    Attributes:
        matrix: float64 (N, C), columns in the order of ``detector.conditions``; MeV, mm, rad.
        pdg: int32 (N,), PDG codes.

    Raises:
        RequestError: on construction, for wrong shapes, values that are not finite, an energy that is not positive, or
            a code that is not whole.
    """

    detector: Detector
    matrix: NDArray[np.float64]
    pdg: NDArray[np.int32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", real_numbers("conditions", self.matrix).astype(np.float64, copy=False))
        object.__setattr__(self, "pdg", whole_codes(self.pdg))
        names = self.detector.condition_names
        if self.matrix.ndim != 2 or self.matrix.shape[1] != len(names):
            raise RequestError(
                f"conditions of {self.detector.name} have shape (N, {len(names)}) with columns {', '.join(names)}; "
                f"got {self.matrix.shape}"
            )
        if self.pdg.shape != (len(self.matrix),):
            raise RequestError(f"pdg must have shape ({len(self.matrix)},), one code a shower; got {self.pdg.shape}")
        bad = ~np.isfinite(self.matrix)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise RequestError(f"condition {names[column]!r} of event {row} is {self.matrix[row, column]}, not finite")
        if "energy" in names and len(self) and self.column("energy").min() <= 0:
            row = int(self.column("energy").argmin())
            raise RequestError(f"the energy of event {row} is {self.column('energy')[row]:g} MeV; it must be positive")

    def __len__(self) -> int:
        return len(self.matrix)

    def __getitem__(self, index: slice | NDArray[np.integer] | NDArray[np.bool_]) -> Conditions:
        return Conditions(self.detector, self.matrix[index], self.pdg[index])

    def column(self, name: str) -> NDArray[np.float64]:
        """One condition of all showers, shape (N,).

        Raises:
            RequestError: the detector has no such condition.
        """
        return self.matrix[:, self.detector.column(name)]

    @property
    def inputs(self) -> NDArray[np.float32]:
        """(N, C + 1), what a model is given: the matrix, and the PDG code in the last column."""
        return np.column_stack([self.matrix, self.pdg]).astype(np.float32)

    @property
    def digest(self) -> str:
        """SHA-256 of the values, hexadecimal."""
        return hashlib.sha256(self.matrix.tobytes() + self.pdg.tobytes()).hexdigest()

    def mirrored(self, flip_x: NDArray[np.bool_], flip_y: NDArray[np.bool_]) -> Conditions:
        """Conditions reflected in x and y where the flags (N,) say so: the position and the angle change their sign.

        Raises:
            RequestError: a flip is asked for that is no symmetry of the detector.
        """
        check_symmetry(self.detector, flip_x, flip_y)
        matrix = self.matrix.copy()
        for names, flip in zip(REFLECTED.values(), (flip_x, flip_y), strict=True):
            for name in set(names) & set(self.detector.condition_names):
                matrix[flip, self.detector.column(name)] *= -1
        return Conditions(self.detector, matrix, self.pdg)

    def to_file_form(self) -> FileForm:
        """The same conditions as energy, momentum and position, float32; what the detector lacks is 0."""
        have = self.detector.condition_names
        if "energy" not in have:
            raise RequestError(f"{self.detector.name} has no condition 'energy', which the file format needs")
        columns = {
            name: self.column(name) if name in have else np.full(len(self), _DEFAULT[name]) for name in _FROM_FILE
        }
        direction = np.stack([np.tan(columns["angle_xz"]), np.tan(columns["angle_yz"]), np.ones(len(self))], axis=1)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        energy = columns["energy"][:, None]
        return FileForm(
            incident_energies=energy.astype(np.float32),
            momentum=(energy * direction).astype(np.float32),
            position=np.stack([columns["x"], columns["y"]], axis=1).astype(np.float32),
            pdg=self.pdg,
        )


def from_file_form(
    detector: Detector, incident_energies: ArrayLike, momentum: ArrayLike, position: ArrayLike, pdg: ArrayLike
) -> Conditions:
    """Conditions from energies (N,1) or (N,), momentum (N,3), both MeV, position (N,2) mm and PDG codes (N,).

    A particle enters at the face and goes inwards: its momentum has p_z > 0.

    Raises:
        RequestError: shapes that do not fit together, or values that no shower can have.
    """
    energy = real_numbers("incident energies", incident_energies).astype(np.float64)
    energy = energy[:, 0] if energy.ndim == 2 and energy.shape[1] == 1 else energy
    arrays = {
        "momentum": real_numbers("momentum", momentum).astype(np.float64),
        "position": real_numbers("position", position).astype(np.float64),
    }
    if energy.ndim != 1:
        raise RequestError(f"incident energies must have shape (N, 1); got {energy.shape}")
    for name, width in (("momentum", 3), ("position", 2)):
        if arrays[name].shape != (len(energy), width):
            raise RequestError(f"{name} must have shape ({len(energy)}, {width}); got {arrays[name].shape}")
    vectors = arrays["momentum"]
    outwards = ~(np.isfinite(vectors).all(axis=1) & (vectors[:, 2] > 0))
    if outwards.any():
        row = int(outwards.argmax())
        vector = ", ".join(f"{value:g}" for value in vectors[row])
        raise RequestError(f"the momentum of event {row} is ({vector}) MeV; it must be finite with p_z > 0")
    columns = []
    for name in detector.condition_names:
        if name not in _FROM_FILE:
            raise RequestError(
                f"condition {name!r} of {detector.name} cannot be derived from energy, momentum and position"
            )
        columns.append(_FROM_FILE[name](energy, arrays["momentum"], arrays["position"]))
    return Conditions(detector, np.stack(columns, axis=1), np.asarray(pdg))


def concatenate_conditions(parts: Sequence[Conditions]) -> Conditions:
    """One after the other; at least one part, all of the same detector.

    Raises:
        RequestError: no parts, or detectors that differ.
    """
    if not parts or any(part.detector != parts[0].detector for part in parts):
        raise RequestError("only conditions of one and the same detector can be joined, and at least one part")
    return Conditions(
        parts[0].detector, np.concatenate([part.matrix for part in parts]), np.concatenate([part.pdg for part in parts])
    )


def check_domain(
    conditions: Conditions,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    particles: Sequence[int] | None = None,
    *,
    first: int = 0,
    allow_extrapolation: bool = False,
) -> NDArray[np.bool_]:
    """Compare conditions with the ranges ``low`` to ``high``, each of shape (C,), and the particle codes, if given.

    A millionth of a range and of its ends is forgiven, the rounding of files in float32. ``first`` is the number of the
    first event, for the message, where the conditions are a stretch of more.

    Returns:
        bool (N,), True where a shower lies outside; all False unless ``allow_extrapolation``.

    Raises:
        DomainError: some condition lies outside and ``allow_extrapolation`` is False; names the condition, an event
            and its value, and the range. A particle that is not among ``particles`` is refused in any case.
    """
    if particles is not None and not np.isin(conditions.pdg, particles).all():
        unknown = sorted(set(conditions.pdg.tolist()) - set(particles))
        raise DomainError(f"PDG code {unknown[0]} is not among the particles of the domain: {sorted(particles)}")
    slack = 1e-6 * np.maximum(high - low, np.maximum(np.abs(low), np.abs(high)))
    excess = np.maximum(low - slack - conditions.matrix, conditions.matrix - high - slack)
    outside = excess > 0
    if outside.any() and not allow_extrapolation:
        column = int(outside.any(axis=0).argmax())
        spec = conditions.detector.conditions[column]
        row = int(excess[:, column].argmax())
        value, lowest, highest = (
            describe(float(v), spec.unit) for v in (conditions.matrix[row, column], low[column], high[column])
        )
        raise DomainError(
            f"{spec.name} {value} of event {first + row} lies outside the domain {lowest} to {highest}; ask inside it, "
            f"or pass --allow-extrapolation (allow_extrapolation=True) to get showers flagged as extrapolated"
        )
    return np.asarray(outside.any(axis=1))
