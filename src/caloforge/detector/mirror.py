"""The mirror symmetries of a detector, applied to energies in cells."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from caloforge.detector.base import Detector
from caloforge.errors import RequestError

_Real = TypeVar("_Real", np.float32, np.float64)

REFLECTED = {"mirror_x": ("angle_xz", "x"), "mirror_y": ("angle_yz", "y")}
"""The conditions whose sign each mirror changes."""


def reflections(detector: Detector) -> dict[str, list[str]]:
    """The conditions that change their sign with each mirror symmetry that has one: the angle first, if it varies.

    A shower whose first one is negative can be reflected to have it positive.
    """
    found = {}
    for symmetry, names in REFLECTED.items():
        varied = [spec.name for spec in detector.conditions if spec.name in names and spec.low < spec.high]
        if symmetry in detector.symmetries and varied:
            found[symmetry] = sorted(varied, key=names.index)
    return found


def check_symmetry(detector: Detector, flip_x: NDArray[np.bool_], flip_y: NDArray[np.bool_]) -> None:
    """Raise RequestError when a flip is asked for that is no symmetry of the detector."""
    for name, flip in (("mirror_x", flip_x), ("mirror_y", flip_y)):
        if name not in detector.symmetries and np.any(flip):
            raise RequestError(f"{name} is no symmetry of {detector.name}; it has: {detector.symmetries or 'none'}")


def mirror_cells(
    energies: NDArray[_Real], detector: Detector, flip_x: NDArray[np.bool_], flip_y: NDArray[np.bool_]
) -> NDArray[_Real]:
    """Energies (N, n_cells) with the cells of each shower reflected where its flags (N,) say so; a new array.

    Raises:
        RequestError: a flip is asked for that is no symmetry of the detector.
    """
    check_symmetry(detector, flip_x, flip_y)
    mirrored = energies.copy()
    for in_x, in_y in ((True, False), (False, True), (True, True)):
        rows = (flip_x == in_x) & (flip_y == in_y)
        if rows.any():
            for layer in detector.cell_layers:
                mirrored[rows, layer.index] = energies[rows, layer.index][:, layer.cells.mirrored(in_x, in_y)]
    return mirrored
