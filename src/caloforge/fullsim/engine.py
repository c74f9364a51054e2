"""Geant4 in this process: primaries in, energies out. Imported in worker processes only: it loads Geant4."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import geant4_pybind as g4
import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import WorkError
from caloforge.fullsim.geometry import ABSORBERS, RIMS, START, Volumes, grids, scored_order, scorer_name
from caloforge.fullsim.physics import PHYSICS_LISTS
from caloforge.fullsim.primaries import Primaries
from caloforge.progress import Advance


@dataclass(frozen=True)
class Deposits:
    """Energies of N events in MeV, float32: cells (N, n_cells), active slabs and absorbers (N, n_layers).

    ``seconds`` is the processor time of the event loop.
    """

    cells: NDArray[np.float32]
    layers: NDArray[np.float32]
    absorbers: NDArray[np.float32]
    seconds: float


class Engine:
    """Geant4, ready to simulate one detector with one physics list; one a process, for as long as the process lives."""

    def __init__(self, detector: Detector, physics_list: str) -> None:
        self._manager = g4.G4RunManagerFactory.CreateRunManager(g4.G4RunManagerType.SerialOnly)
        self._actions = _Actions(detector)
        # Geant4 keeps pointers only; without these references Python would free what they point to.
        physics = _Physics(physics_list)
        self._kept = [Volumes(detector), physics, self._actions]
        for part in self._kept:
            self._manager.SetUserInitialization(part)
        self._manager.Initialize()
        # Before the particles exist Geant4 takes this call without a word and keeps its own 1 mm.
        physics.SetDefaultCutValue(detector.simulation.production_cut * g4.mm)

    @property
    def version(self) -> str:
        """The version of Geant4, such as "11.4.1"."""
        number = int(g4.G4VERSION_NUMBER)
        return f"{number // 100}.{number // 10 % 10}.{number % 10}"

    def run(self, primaries: Primaries, advance: Advance) -> Deposits:
        """Simulate one event a primary; ``advance(1)`` is called after each.

        Raises:
            WorkError: Geant4 gave up an event.
        """
        readout = self._actions.readout
        self._actions.source.primaries = primaries
        readout.begin(len(primaries), advance)
        before = time.process_time()
        self._manager.BeamOn(len(primaries))
        seconds = time.process_time() - before
        if readout.done != len(primaries):
            raise WorkError(f"Geant4 aborted event {int(primaries.events[readout.done])}; its log says why")
        return Deposits(readout.cells, readout.layers, readout.absorbers, seconds)


class _Physics(g4.G4VModularPhysicsList):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        super().__init__()
        self.SetVerboseLevel(0)
        self._kept = [_constructor(part) for part in PHYSICS_LISTS[name].constructors]
        for part in self._kept:
            self.RegisterPhysics(part)


def _constructor(name: str) -> Any:
    return vars(g4)[name]()


class _Source(g4.G4VUserPrimaryGeneratorAction):  # type: ignore[misc]
    primaries: Primaries

    def __init__(self) -> None:
        super().__init__()
        self._gun = g4.G4ParticleGun(1)

    def GeneratePrimaries(self, event: Any) -> None:  # noqa: N802, the name Geant4 calls
        row = event.GetEventID()
        primaries = self.primaries
        # From here on all random numbers of the event follow from its own seed.
        g4.HepRandom.setTheSeed(int(primaries.seeds[row]))
        x, y, z = (float(value) for value in primaries.directions[row])
        start_x, start_y = (float(value) for value in primaries.positions[row])
        back = START / z
        gun = self._gun
        gun.SetParticleDefinition(g4.G4ParticleTable.GetParticleTable().FindParticle(int(primaries.pdg[row])))
        gun.SetParticleEnergy(float(primaries.energies[row]) * g4.MeV)
        gun.SetParticleMomentumDirection(g4.G4ThreeVector(x, y, z))
        gun.SetParticlePosition(g4.G4ThreeVector(start_x - back * x, start_y - back * y, -START))
        gun.GeneratePrimaryVertex(event)


class _Readout(g4.G4UserEventAction):  # type: ignore[misc]
    """Turns the scorers' maps into rows of arrays after each event."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self._n_cells, self._n_layers = detector.n_cells, detector.n_layers
        # Index of a shower's first cell in each layer of slabs, and the order of the cells in each grid.
        self._offsets = np.concatenate([np.full(item.stop - item.first, item.offset) for item in detector.cell_layers])
        self._orders = [scored_order(cells) for cells in grids(detector)]
        self._collections: dict[str, int] = {}
        self.begin(0, lambda more: None)

    def begin(self, count: int, advance: Advance) -> None:
        self.done = 0
        self.cells = np.zeros((count, self._n_cells), dtype=np.float32)
        self.layers = np.zeros((count, self._n_layers), dtype=np.float32)
        self.absorbers = np.zeros((count, self._n_layers), dtype=np.float32)
        self._advance = advance

    def EndOfEventAction(self, event: Any) -> None:  # noqa: N802, the name Geant4 calls
        row = event.GetEventID()
        if event.IsAborted() or row != self.done:
            return
        cells, layers = np.zeros(self._n_cells), np.zeros(self._n_layers)
        for grid, order in enumerate(self._orders):
            index, energy = self._deposits(event, scorer_name(grid))
            layer, place = np.divmod(index, len(order))
            cells += np.bincount(self._offsets[layer] + order[place], energy, self._n_cells)
            layers += np.bincount(layer, energy, self._n_layers)
        index, energy = self._deposits(event, RIMS)
        self.cells[row] = cells
        self.layers[row] = layers + np.bincount(index, energy, self._n_layers)
        index, energy = self._deposits(event, ABSORBERS)
        self.absorbers[row] = np.bincount(index, energy, self._n_layers)
        self.done += 1
        self._advance(1)

    def _deposits(self, event: Any, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        if name not in self._collections:
            self._collections[name] = g4.G4SDManager.GetSDMpointer().GetCollectionID(f"{name}/energy")
        hits = event.GetHCofThisEvent().GetHC(self._collections[name])
        pairs = np.array(list(hits), dtype=np.float64).reshape(-1, 2)
        return pairs[:, 0].astype(np.int64), pairs[:, 1]


class _Actions(g4.G4VUserActionInitialization):  # type: ignore[misc]
    """Makes the actions when Geant4 asks for them, which it does once the physics list is in place."""

    source: _Source
    readout: _Readout

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self._detector = detector

    def Build(self) -> None:  # noqa: N802, the name Geant4 calls
        self.source = _Source()
        self.readout = _Readout(self._detector)
        self.SetUserAction(self.source)
        self.SetUserAction(self.readout)
