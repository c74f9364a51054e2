"""Grids of cells across a layer: rectangular ones, and rings cut into sectors. Both are centred on the axis."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class Cells(ABC):
    """A grid of cells; what everybody else knows of it."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of cells."""

    @property
    @abstractmethod
    def extent(self) -> tuple[float, float]:
        """Full width in x and y, in mm."""

    @property
    @abstractmethod
    def finest(self) -> float:
        """The smallest width of a cell, in mm."""

    @property
    @abstractmethod
    def pitch(self) -> float:
        """From cell to cell: the side of a square as large as a cell, or the smallest step between radii, in mm."""

    @abstractmethod
    def centres(self) -> NDArray[np.float64]:
        """Centres of the cells in x and y, shape (n, 2), mm."""

    @abstractmethod
    def mirrored(self, flip_x: bool, flip_y: bool) -> NDArray[np.intp]:
        """For each cell the index of its mirror image, shape (n,); its own inverse."""

    @abstractmethod
    def __str__(self) -> str:
        """The grid in a few words, with sizes in mm."""


@dataclass(frozen=True)
class RectangularCells(Cells):
    """``shape`` cells in x and y, of ``size`` mm; the index of a cell is ``shape[1] * ix + iy``."""

    shape: tuple[int, int]
    size: tuple[float, float]

    def __len__(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def extent(self) -> tuple[float, float]:
        return self.shape[0] * self.size[0], self.shape[1] * self.size[1]

    @property
    def finest(self) -> float:
        return min(self.size)

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the columns lie in x, shape (n_x,), and the rows in y, shape (n_y,); mm."""
        x, y = ((np.arange(n) - (n - 1) / 2) * size for n, size in zip(self.shape, self.size, strict=True))
        return x.astype(np.float64), y.astype(np.float64)

    @property
    def pitch(self) -> float:
        return math.sqrt(self.size[0] * self.size[1])

    def centres(self) -> NDArray[np.float64]:
        return np.stack(np.meshgrid(*self.axes(), indexing="ij"), axis=-1).reshape(-1, 2)

    def mirrored(self, flip_x: bool, flip_y: bool) -> NDArray[np.intp]:
        index = np.arange(len(self)).reshape(self.shape)
        return index[:: -1 if flip_x else 1, :: -1 if flip_y else 1].reshape(-1)

    def __str__(self) -> str:
        return f"{self.shape[0]} x {self.shape[1]} cells of {self.size[0]:g} x {self.size[1]:g} mm"


@dataclass(frozen=True)
class PolarCells(Cells):
    """Rings between ``radii`` (from 0, in mm), each cut into ``sectors`` that begin at the negative x axis, angle -pi.

    The index of a cell is ``n_rings * sector + ring``, the order of CaloChallenge's files.
    """

    radii: tuple[float, ...]
    sectors: int

    @property
    def n_rings(self) -> int:
        """Number of rings; the first is a disc."""
        return len(self.radii) - 1

    def __len__(self) -> int:
        return self.n_rings * self.sectors

    @property
    def extent(self) -> tuple[float, float]:
        return 2 * self.radii[-1], 2 * self.radii[-1]

    @property
    def finest(self) -> float:
        """The smallest step between radii."""
        return min(outer - inner for inner, outer in itertools.pairwise(self.radii))

    @property
    def pitch(self) -> float:
        return self.finest

    def centres(self) -> NDArray[np.float64]:
        """Half-way between the radii and angles of each cell; mm."""
        radius = (np.array(self.radii[1:]) + self.radii[:-1]) / 2
        angle = 2 * np.pi * (np.arange(self.sectors) + 0.5) / self.sectors - np.pi
        directions = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return (directions[:, None, :] * radius[None, :, None]).reshape(-1, 2)

    def mirrored(self, flip_x: bool, flip_y: bool) -> NDArray[np.intp]:
        sector = np.arange(self.sectors)
        if flip_y:
            sector = -1 - sector
        if flip_x:  # an even number of sectors, or x -> -x is no symmetry
            sector = self.sectors // 2 - 1 - sector
        index = self.n_rings * (sector % self.sectors)[:, None] + np.arange(self.n_rings)
        return index.reshape(-1)

    def __str__(self) -> str:
        return f"{self.n_rings} rings up to {self.radii[-1]:g} mm in {self.sectors} sectors"


@dataclass(frozen=True)
class CellLayer:
    """A grid of cells that reaches through the layers ``first`` to ``stop`` (not included).

    Attributes:
        cells: the grid.
        first, stop: the layers whose energy it adds up.
        front, back: depths in mm at which it begins and ends.
        offset: index of its first cell among those of a shower.
    """

    cells: Cells
    first: int
    stop: int
    front: float
    back: float
    offset: int

    @property
    def index(self) -> slice:
        """Where its cells stand among those of a shower."""
        return slice(self.offset, self.offset + len(self.cells))
