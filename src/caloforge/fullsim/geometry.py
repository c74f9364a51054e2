"""Volumes and scorers of a detector, in Geant4. Imported in worker processes only: it loads Geant4.

The slabs stand one behind the other in the world, each carrying the number of its layer; the face is at z = 0. An
active slab is divided into strips along x and these into cells along y, so one scorer on the cell counts energy by
(layer, ix, iy). Absorbers are not divided: a scorer on them counts by layer.
"""

from __future__ import annotations

from typing import Any

import geant4_pybind as g4

from caloforge.detector import Detector, Slab
from caloforge.fullsim.materials import VACUUM

START = 0.01
"""Distance before the face, in mm, at which primaries start."""
CELLS, ABSORBERS = "cells", "absorbers"
_MARGIN = 10.0


class Volumes(g4.G4VUserDetectorConstruction):  # type: ignore[misc]
    """The detector as Geant4 sees it; also keeps alive what Geant4 holds without owning."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self._detector = detector
        self._kept: list[Any] = []
        self._placeable: dict[Slab, Any] = {}
        self._scored: dict[str, list[Any]] = {CELLS: [], ABSORBERS: []}

    def Construct(self) -> Any:  # noqa: N802, the name Geant4 calls
        """Build the volumes and return the world."""
        detector = self._detector
        width, height = detector.cells.extent
        # Centred on the face, so that its coordinates are those of the conditions.
        half = (width / 2 + _MARGIN, height / 2 + _MARGIN, detector.depth + _MARGIN)
        world = self._volume("world", half, VACUUM)
        for number, layer in enumerate(detector.layers):
            front = layer.front
            for slab in layer.slabs:
                if slab not in self._placeable:  # slabs that are alike share their volumes
                    self._placeable[slab] = self._active(slab) if slab.active else self._absorber(slab)
                self._place(self._placeable[slab], world, front + slab.thickness / 2, number)
                front += slab.thickness
        return self._place(world, None, 0.0, 0)

    def ConstructSDandField(self) -> None:  # noqa: N802, the name Geant4 calls
        """Attach the scorers."""
        n_layers, shape = self._detector.n_layers, self._detector.cells.shape
        # Depths count outwards from the scored volume: cell (iy) 0, strip (ix) 1, slab (layer) 2.
        self._score(CELLS, g4.G4PSEnergyDeposit3D("energy", n_layers, *shape, 2, 1, 0))
        self._score(ABSORBERS, g4.G4PSEnergyDeposit("energy", 0))

    def _keep(self, thing: Any) -> Any:
        self._kept.append(thing)
        return thing

    def _volume(self, name: str, half: tuple[float, float, float], material: str) -> Any:
        solid = self._keep(g4.G4Box(name, *half))
        return self._keep(g4.G4LogicalVolume(solid, g4.G4NistManager.Instance().FindOrBuildMaterial(material), name))

    def _place(self, volume: Any, mother: Any, z: float, number: int) -> Any:
        position = g4.G4ThreeVector(0.0, 0.0, z)
        return self._keep(g4.G4PVPlacement(None, position, volume, volume.GetName(), mother, False, number, False))

    def _absorber(self, slab: Slab) -> Any:
        width, height = self._detector.cells.extent
        volume = self._volume("absorber", (width / 2, height / 2, slab.thickness / 2), slab.material)
        self._scored[ABSORBERS].append(volume)
        return volume

    def _active(self, slab: Slab) -> Any:
        (nx, ny), (dx, dy) = self._detector.cells.shape, self._detector.cells.size
        width, height = self._detector.cells.extent
        depth = slab.thickness / 2
        whole = self._volume("active", (width / 2, height / 2, depth), slab.material)
        strip = self._volume("strip", (dx / 2, height / 2, depth), slab.material)
        cell = self._volume("cell", (dx / 2, dy / 2, depth), slab.material)
        self._keep(g4.G4PVReplica("strip", strip, whole, g4.kXAxis, nx, dx))
        self._keep(g4.G4PVReplica("cell", cell, strip, g4.kYAxis, ny, dy))
        self._scored[CELLS].append(cell)
        return whole

    def _score(self, name: str, scorer: Any) -> None:
        detector = self._keep(g4.G4MultiFunctionalDetector(name))
        detector.RegisterPrimitive(self._keep(scorer))
        g4.G4SDManager.GetSDMpointer().AddNewDetector(detector)
        for volume in self._scored[name]:
            self.SetSensitiveDetector(volume, detector)
