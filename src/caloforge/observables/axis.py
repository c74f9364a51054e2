"""The shower axis: what the incoming particle alone says about where its shower lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace, device

from caloforge.errors import RequestError

if TYPE_CHECKING:
    from caloforge.detector import CellLayer, Detector

Array: TypeAlias = Any
"""A numpy array or a torch tensor; what comes in decides what goes out."""

_TRANSVERSE = ("x", "y", "angle_xz", "angle_yz")


@dataclass(frozen=True)
class ShowerAxis:
    """Incident energy and straight line of N incoming particles, seen in the plane of the cells.

    Attributes:
        energy: (N,) incident energy, MeV.
        depth: the detector's reference depth, mm.
        point: (N, 2) where the line crosses the reference depth, mm.
        slope: (N, 2) tangents of the angles to the normal in x and y.
        along: (N, 2) unit vector of the line's transverse direction; (1, 0) at normal incidence, by convention.
        moves: whether the conditions say that the lines differ; without, they are all one.
    """

    energy: Array
    depth: float
    point: Array
    slope: Array
    along: Array
    moves: bool
    _distances: dict[tuple[CellLayer | None, Any], Array] = field(default_factory=dict, repr=False, compare=False)

    def at(self, depth: float | Array) -> Array:
        """(N, 2) where the line crosses a depth in mm, the same for all or (N, 1)."""
        return self.point + (depth - self.depth) * self.slope

    def distances(self, detector: Detector, layer: CellLayer | None, like: Array) -> Array:
        """Distances of the cells' centres from the line, mm; computed once, since several observables need them.

        The line is taken at the reference depth, or half-way through the ``layer`` whose cells alone count.

        Returns:
            (N, cells), or (1, cells) where all lines are one; of the type of `like`.
        """
        key = (layer, like.dtype)
        if key not in self._distances:
            xp = array_namespace(like)
            point = self.point if layer is None else self.at((layer.front + layer.back) / 2)
            centres = constant(detector.cell_centres[slice(None) if layer is None else layer.index], like)
            if not self.moves:
                point = point[:1]
            x, y = centres[:, 0] - point[:, :1], centres[:, 1] - point[:, 1:]
            self._distances[key] = xp.sqrt(x * x + y * y)
        return self._distances[key]

    @property
    def across(self) -> Array:
        """(N, 2) unit vector perpendicular to `along`, turned by +90 degrees."""
        xp = array_namespace(self.along)
        return xp.stack([-self.along[:, 1], self.along[:, 0]], axis=1)


def shower_axis(conditions: Array, detector: Detector) -> ShowerAxis:
    """Axis of each shower from its conditions.

    point = (x, y) + depth (tan angle_xz, tan angle_yz); along = (tan angle_xz, tan angle_yz) / norm. A position or an
    angle that the detector does not have is 0.

    Args:
        conditions: (N, C) matrix in the order of `detector.conditions` (MeV, mm, rad), numpy or torch.
        detector: gives the order of the columns and the reference depth, mm.

    Raises:
        RequestError: the detector's conditions lack the energy, or the matrix has another shape.
    """
    xp = array_namespace(conditions)
    names = detector.condition_names
    if len(conditions.shape) != 2 or conditions.shape[1] != len(names):
        raise RequestError(f"conditions have shape {tuple(conditions.shape)}; expected (N, {len(names)}): {names}")
    energy = conditions[:, detector.column("energy")]
    zero = xp.zeros_like(energy)
    x, y, angle_xz, angle_yz = (conditions[:, names.index(name)] if name in names else zero for name in _TRANSVERSE)
    slope = xp.stack([xp.tan(angle_xz), xp.tan(angle_yz)], axis=1)
    square = xp.sum(slope * slope, axis=1)
    tilted = square > 1e-12
    # The square root never sees zero, so that its gradient stays finite at normal incidence.
    norm = xp.sqrt(xp.where(tilted, square, xp.ones_like(square)))
    ones, zeros = xp.ones_like(norm), xp.zeros_like(norm)
    along = xp.stack(
        [xp.where(tilted, slope[:, 0] / norm, ones), xp.where(tilted, slope[:, 1] / norm, zeros)],
        axis=1,
    )
    point = xp.stack([x, y], axis=1) + detector.reference_depth * slope
    return ShowerAxis(
        energy=energy,
        depth=detector.reference_depth,
        point=point,
        slope=slope,
        along=along,
        moves=not set(_TRANSVERSE).isdisjoint(names),
    )


def constant(values: np.ndarray, like: Array) -> Array:
    """A float64 numpy constant as an array of the kind, type and device of `like`; a copy, as torch wants to write."""
    return array_namespace(like).asarray(values, dtype=like.dtype, device=device(like), copy=True)
