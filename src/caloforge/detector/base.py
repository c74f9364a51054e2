"""The detector as everyone sees it: one frozen object with the geometry, the conditions and what can be observed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.detector.cells import CellLayer, RectangularCells
from caloforge.errors import RequestError, unknown_name

Density = Literal["uniform", "1/E", "list"]


@dataclass(frozen=True)
class Slab:
    """A plate of one material across the whole face; ``thickness`` in mm; ``active`` where its energy is read out."""

    material: str
    thickness: float
    active: bool


@dataclass(frozen=True)
class Layer:
    """Slabs from the face inwards, some of them active; ``front`` is the depth in mm at which the first begins."""

    slabs: tuple[Slab, ...]
    front: float

    @property
    def thickness(self) -> float:
        """Thickness of all slabs together, in mm."""
        return sum(slab.thickness for slab in self.slabs)


@dataclass(frozen=True)
class Material:
    """A mixture of NIST materials: density in g/cm3, and the share of each by mass."""

    name: str
    density: float
    fractions: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ConditionSpec:
    """One condition of a shower: its unit (MeV, mm or rad), the range it is drawn from and the density in it.

    With the density "list" each of ``values``, which ascend from ``low`` to ``high``, is equally likely; a fixed
    condition is a list of one. Otherwise there are no ``values``.
    """

    name: str
    unit: str
    low: float
    high: float
    density: Density
    values: tuple[float, ...] = ()

    @property
    def logarithmic(self) -> bool:
        """Whether it counts in ratios, not in differences: a density 1/E, or a list of energies."""
        return self.density == "1/E" or (self.density == "list" and self.name == "energy")


@dataclass(frozen=True)
class Simulation:
    """How Geant4 simulates the detector: physics list (None: the particles decide it) and production cut in mm."""

    physics_list: str | None = None
    production_cut: float = 0.7


@dataclass(frozen=True)
class Detector:
    """What is simulated. Built from TOML by :func:`caloforge.load_detector`; never changed afterwards.

    ``conditions`` gives the order of the columns of every conditions matrix; ``toml`` is the exact text the detector
    was read from, which files and bundles carry along. Lengths in mm, energies in MeV, angles in rad.

    ``layers`` are the plates, all as wide and high as the ``face``; ``cell_layers`` say how they are read out, each a
    grid of cells through one or more layers. The cells of a shower are those of the first cell layer, then the next.
    """

    name: str
    title: str
    source: str
    particles: tuple[int, ...]
    symmetries: tuple[str, ...]
    reference_depth: float
    layers: tuple[Layer, ...]
    face: tuple[float, float]
    cell_layers: tuple[CellLayer, ...]
    materials: tuple[Material, ...]
    conditions: tuple[ConditionSpec, ...]
    sparsity_thresholds: tuple[float, ...]
    squares: tuple[int, ...]
    toml: str
    simulation: Simulation = Simulation()

    @property
    def n_cells(self) -> int:
        """Number of cells of a shower."""
        return sum(len(layer.cells) for layer in self.cell_layers)

    @property
    def cells(self) -> RectangularCells:
        """The grid of a detector whose showers are one image of rectangular cells.

        Raises:
            RequestError: it has several layers of cells, or round ones.
        """
        cells = self.cell_layers[0].cells
        if len(self.cell_layers) > 1 or not isinstance(cells, RectangularCells):
            raise RequestError(
                f"this works for detectors read out as one rectangular grid of cells; {self.name} has "
                f"{len(self.cell_layers)} cell layers, the first of {cells}"
            )
        return cells

    @property
    def n_layers(self) -> int:
        """Number of layers of slabs."""
        return len(self.layers)

    @property
    def depth(self) -> float:
        """Depth from the face to the back, in mm."""
        return sum(layer.thickness for layer in self.layers)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the TOML text, in hexadecimal."""
        return hashlib.sha256(self.toml.encode()).hexdigest()

    @cached_property
    def cell_centres(self) -> NDArray[np.float64]:
        """Centres of the cells in x and y, shape (n_cells, 2), mm; read-only."""
        centres = np.concatenate([layer.cells.centres() for layer in self.cell_layers])
        centres.setflags(write=False)
        return centres

    @property
    def finest(self) -> float:
        """The smallest width of a cell, in mm."""
        return min(layer.cells.finest for layer in self.cell_layers)

    @property
    def pitch(self) -> float:
        """The smallest pitch of its grids, in mm: their scale, also where `finest` is the width of a narrow strip."""
        return min(layer.cells.pitch for layer in self.cell_layers)

    @property
    def condition_names(self) -> tuple[str, ...]:
        """Names of the conditions, in the order of the columns."""
        return tuple(spec.name for spec in self.conditions)

    @property
    def low(self) -> NDArray[np.float64]:
        """Lower ends of the conditions' ranges, shape (C,)."""
        return np.array([spec.low for spec in self.conditions])

    @property
    def high(self) -> NDArray[np.float64]:
        """Upper ends of the conditions' ranges, shape (C,)."""
        return np.array([spec.high for spec in self.conditions])

    def column(self, name: str) -> int:
        """Index of a condition's column.

        Raises:
            RequestError: the detector has no such condition.
        """
        if name not in self.condition_names:
            raise unknown_name(f"condition of {self.name}", name, self.condition_names)
        return self.condition_names.index(name)
