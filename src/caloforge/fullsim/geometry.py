"""Volumes and scorers of a detector, in Geant4. Imported in worker processes only: it loads Geant4.

The slabs stand one behind the other in the world, each carrying the number of its layer; the face is at z = 0. An
active slab, or a volume of its cells inside it where they leave a rim unread, is divided twice: rectangular cells into
strips along x and these along y, round ones into rings and these into sectors. One scorer for each grid counts energy
by (layer, strip or ring, cell). What is not divided, an absorber or a rim, has scorers by layer.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import geant4_pybind as g4
import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Cells, Detector, PolarCells, RectangularCells, Slab

START = 0.01
"""Distance before the face, in mm, at which primaries start."""
ABSORBERS, RIMS = "absorbers", "rims"
_VACUUM = "G4_Galactic"
_MARGIN = 10.0


def scorer_name(grid: int) -> str:
    """Name of the scorer of a grid, by its place in :func:`grids`."""
    return f"cells-{grid}"


def grids(detector: Detector) -> list[Cells]:
    """The different grids of a detector."""
    return list(dict.fromkeys(layer.cells for layer in detector.cell_layers))


def scored_shape(cells: Cells) -> tuple[int, int]:
    """Numbers of strips and of cells in each, or of rings and of sectors."""
    if isinstance(cells, PolarCells):
        return cells.n_rings, cells.sectors
    assert isinstance(cells, RectangularCells)
    return cells.shape


def scored_order(cells: Cells) -> NDArray[np.intp]:
    """For each place of a scorer, its second and third index together, the index of the cell in its grid."""
    if isinstance(cells, PolarCells):  # scored by ring, then sector
        return np.arange(len(cells)).reshape(cells.sectors, cells.n_rings).T.reshape(-1)
    return np.arange(len(cells))


class Volumes(g4.G4VUserDetectorConstruction):  # type: ignore[misc]
    """The detector as Geant4 sees it; also keeps alive what Geant4 holds without owning."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self._detector = detector
        self._grids = grids(detector)
        self._kept: list[Any] = []
        self._materials: dict[str, Any] = {}
        self._placeable: dict[tuple[Slab, Cells], Any] = {}
        self._scored: dict[str, list[Any]] = {name: [] for name in (ABSORBERS, RIMS)}
        self._scored |= {scorer_name(number): [] for number in range(len(self._grids))}

    def Construct(self) -> Any:  # noqa: N802, the name Geant4 calls
        """Build the volumes and return the world."""
        detector = self._detector
        width, height = detector.face
        # Centred on the face, so that its coordinates are those of the conditions.
        half = (width / 2 + _MARGIN, height / 2 + _MARGIN, detector.depth + _MARGIN)
        world = self._box("world", half, _VACUUM)
        for cell_layer in detector.cell_layers:
            for number in range(cell_layer.first, cell_layer.stop):
                front = detector.layers[number].front
                for slab in detector.layers[number].slabs:
                    key = (slab, cell_layer.cells)
                    if key not in self._placeable:  # slabs that are alike share their volumes
                        self._placeable[key] = self._slab(*key)
                    self._place(self._placeable[key], world, front + slab.thickness / 2, number)
                    front += slab.thickness
        return self._place(world, None, 0.0, 0)

    def ConstructSDandField(self) -> None:  # noqa: N802, the name Geant4 calls
        """Attach the scorers."""
        n_layers = self._detector.n_layers
        self._score(ABSORBERS, g4.G4PSEnergyDeposit("energy", 0))
        self._score(RIMS, g4.G4PSEnergyDeposit("energy", 0))
        for number, cells in enumerate(self._grids):
            shape = scored_shape(cells)
            # Depths count outwards from the cell: cell 0, strip or ring 1, then the slab or what is between.
            depths = (2 if self._fills(cells) else 3, 1, 0)
            self._score(scorer_name(number), g4.G4PSEnergyDeposit3D("energy", n_layers, *shape, *depths))

    def _keep(self, thing: Any) -> Any:
        self._kept.append(thing)
        return thing

    def _material(self, name: str) -> Any:
        if name not in self._materials:
            find = g4.G4NistManager.Instance().FindOrBuildMaterial
            mixture = next((item for item in self._detector.materials if item.name == name), None)
            if mixture is None:
                self._materials[name] = find(name)
            else:
                density = mixture.density * g4.g / g4.cm3
                material = self._materials[name] = g4.G4Material(name, density, len(mixture.fractions))
                for part, share in mixture.fractions:
                    material.AddMaterial(find(part), share)
        return self._materials[name]

    def _volume(self, solid: Any, material: str) -> Any:
        return self._keep(g4.G4LogicalVolume(self._keep(solid), self._material(material), solid.GetName()))

    def _box(self, name: str, half: tuple[float, float, float], material: str) -> Any:
        return self._volume(g4.G4Box(name, *half), material)

    def _place(self, volume: Any, mother: Any, z: float, number: int, half_turn: bool = False) -> Any:
        position = g4.G4ThreeVector(0.0, 0.0, z)
        turn = self._keep(g4.G4RotationMatrix()) if half_turn else None
        if turn is not None:
            turn.rotateZ(math.pi)
        return self._keep(g4.G4PVPlacement(turn, position, volume, volume.GetName(), mother, False, number, False))

    def _fills(self, cells: Cells) -> bool:
        """Whether a grid leaves no rim of the slabs unread."""
        return isinstance(cells, RectangularCells) and np.allclose(cells.extent, self._detector.face, rtol=1e-9, atol=0)

    def _slab(self, slab: Slab, cells: Cells) -> Any:
        width, height = self._detector.face
        plate = self._box("slab", (width / 2, height / 2, slab.thickness / 2), slab.material)
        if not slab.active:
            self._scored[ABSORBERS].append(plate)
            return plate
        if self._fills(cells):
            whole = plate
        elif isinstance(cells, PolarCells):
            whole = self._tube("cells", (0.0, cells.radii[-1]), slab)
        else:
            whole = self._box("cells", (cells.extent[0] / 2, cells.extent[1] / 2, slab.thickness / 2), slab.material)
        if whole is not plate:
            self._scored[RIMS].append(plate)
            # Geant4 counts sectors from the x axis, the detector from the negative one.
            self._place(whole, plate, 0.0, 0, half_turn=isinstance(cells, PolarCells))
        divide = self._rings if isinstance(cells, PolarCells) else self._strips
        self._scored[scorer_name(self._grids.index(cells))] += divide(whole, slab, cells)
        return plate

    def _strips(self, whole: Any, slab: Slab, cells: Any) -> list[Any]:
        (nx, ny), (dx, dy), depth = cells.shape, cells.size, slab.thickness / 2
        strip = self._box("strip", (dx / 2, cells.extent[1] / 2, depth), slab.material)
        cell = self._box("cell", (dx / 2, dy / 2, depth), slab.material)
        self._keep(g4.G4PVReplica("strip", strip, whole, g4.kXAxis, nx, dx))
        self._keep(g4.G4PVReplica("cell", cell, strip, g4.kYAxis, ny, dy))
        return [cell]

    def _rings(self, whole: Any, slab: Slab, cells: Any) -> list[Any]:
        width = 2 * math.pi / cells.sectors
        scored = []
        for number, radii in enumerate(itertools.pairwise(cells.radii)):
            ring = self._tube("ring", radii, slab)
            # The first replica begins at the x axis; each stands symmetric about that axis in its own frame.
            cell = self._tube("cell", radii, slab, (-width / 2, width))
            self._keep(g4.G4PVReplica("cell", cell, ring, g4.kPhi, cells.sectors, width))
            self._place(ring, whole, 0.0, number)
            scored.append(cell)
        return scored

    def _tube(
        self, name: str, radii: tuple[float, float], slab: Slab, angles: tuple[float, float] = (0.0, 2 * math.pi)
    ) -> Any:
        return self._volume(g4.G4Tubs(name, *radii, slab.thickness / 2, *angles), slab.material)

    def _score(self, name: str, scorer: Any) -> None:
        detector = self._keep(g4.G4MultiFunctionalDetector(name))
        detector.RegisterPrimitive(self._keep(scorer))
        g4.G4SDManager.GetSDMpointer().AddNewDetector(detector)
        for volume in self._scored[name]:
            self.SetSensitiveDetector(volume, detector)
