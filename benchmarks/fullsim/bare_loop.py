"""A bare Geant4 loop over the geometry of ``lhcb-ecal``: geant4_pybind and numpy, nothing of CaloForge.

    python bare_loop.py primaries.npz [--visible energies.npy]

Written as a user would for this one detector, with the same scorers as CaloForge's. Without ``--visible`` nothing reads
them, so the event loop is that of Geant4 alone. The last line of the output is JSON: processor and wall-clock seconds
of the event loop.
"""

import argparse
import json
import time

import geant4_pybind as g4
import numpy as np

LAYERS, LEAD, SCINTILLATOR = 66, 2.0, 4.0  # mm
CELLS, SIZE = 30, 20.0
CUT = 1.0
KEPT = []  # Geant4 keeps pointers only


def keep(thing):
    KEPT.append(thing)
    return thing


class Geometry(g4.G4VUserDetectorConstruction):
    def Construct(self):  # noqa: N802
        face = CELLS * SIZE / 2
        depth = LAYERS * (LEAD + SCINTILLATOR)
        world = self.box("world", (face + 10, face + 10, depth + 10), "G4_Galactic")
        self.lead = self.box("absorber", (face, face, LEAD / 2), "G4_Pb")
        scintillator = self.box("active", (face, face, SCINTILLATOR / 2), "G4_POLYSTYRENE")
        strip = self.box("strip", (SIZE / 2, face, SCINTILLATOR / 2), "G4_POLYSTYRENE")
        self.cell = self.box("cell", (SIZE / 2, SIZE / 2, SCINTILLATOR / 2), "G4_POLYSTYRENE")
        keep(g4.G4PVReplica("strip", strip, scintillator, g4.kXAxis, CELLS, SIZE))
        keep(g4.G4PVReplica("cell", self.cell, strip, g4.kYAxis, CELLS, SIZE))
        for layer in range(LAYERS):
            front = layer * (LEAD + SCINTILLATOR)
            self.place(self.lead, world, front + LEAD / 2, layer)
            self.place(scintillator, world, front + LEAD + SCINTILLATOR / 2, layer)
        return self.place(world, None, 0.0, 0)

    def ConstructSDandField(self):  # noqa: N802
        scorers = (
            ("cells", self.cell, g4.G4PSEnergyDeposit3D("energy", LAYERS, CELLS, CELLS, 2, 1, 0)),
            ("absorbers", self.lead, g4.G4PSEnergyDeposit("energy", 0)),
        )
        for name, volume, scorer in scorers:
            detector = keep(g4.G4MultiFunctionalDetector(name))
            detector.RegisterPrimitive(keep(scorer))
            g4.G4SDManager.GetSDMpointer().AddNewDetector(detector)
            self.SetSensitiveDetector(volume, detector)

    def box(self, name, half, material):
        made = g4.G4NistManager.Instance().FindOrBuildMaterial(material)
        return keep(g4.G4LogicalVolume(keep(g4.G4Box(name, *half)), made, name))

    def place(self, volume, mother, z, number):
        return keep(
            g4.G4PVPlacement(None, g4.G4ThreeVector(0, 0, z), volume, volume.GetName(), mother, False, number, False)
        )


class Physics(g4.G4VModularPhysicsList):
    def __init__(self):
        super().__init__()
        self.SetVerboseLevel(0)
        self.RegisterPhysics(keep(g4.G4EmStandardPhysics_option1()))


class Gun(g4.G4VUserPrimaryGeneratorAction):
    def __init__(self, primaries):
        super().__init__()
        self.gun = g4.G4ParticleGun(1)
        self.gun.SetParticleDefinition(g4.G4ParticleTable.GetParticleTable().FindParticle("e-"))
        self.seeds = primaries["seeds"].tolist()
        self.energies = primaries["energies"].tolist()
        self.directions = primaries["directions"].tolist()
        self.starts = primaries["starts"].tolist()

    def GeneratePrimaries(self, event):  # noqa: N802
        row = event.GetEventID()
        g4.HepRandom.setTheSeed(self.seeds[row])
        self.gun.SetParticleEnergy(self.energies[row])
        self.gun.SetParticleMomentumDirection(g4.G4ThreeVector(*self.directions[row]))
        self.gun.SetParticlePosition(g4.G4ThreeVector(*self.starts[row]))
        self.gun.GeneratePrimaryVertex(event)


class Visible(g4.G4UserEventAction):
    def __init__(self):
        super().__init__()
        self.energies = []

    def EndOfEventAction(self, event):  # noqa: N802
        hits = event.GetHCofThisEvent().GetHC(g4.G4SDManager.GetSDMpointer().GetCollectionID("cells/energy"))
        self.energies.append(sum(value for _, value in hits))


class Actions(g4.G4VUserActionInitialization):
    def __init__(self, primaries, read):
        super().__init__()
        self.primaries, self.read = primaries, read
        self.visible = None

    def Build(self):  # noqa: N802
        self.SetUserAction(keep(Gun(self.primaries)))
        if self.read:
            self.visible = Visible()
            self.SetUserAction(self.visible)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("primaries")
    parser.add_argument("--visible")
    arguments = parser.parse_args()
    primaries = dict(np.load(arguments.primaries))
    manager = g4.G4RunManagerFactory.CreateRunManager(g4.G4RunManagerType.SerialOnly)
    physics = keep(Physics())
    actions = Actions(primaries, bool(arguments.visible))
    for part in (Geometry(), physics, actions):
        manager.SetUserInitialization(keep(part))
    manager.Initialize()
    physics.SetDefaultCutValue(CUT)
    processor, wall = time.process_time(), time.perf_counter()
    manager.BeamOn(len(primaries["seeds"]))
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    if actions.visible:
        np.save(arguments.visible, actions.visible.energies)
    print(json.dumps({"processor": processor, "wall": wall}), flush=True)


if __name__ == "__main__":
    main()
    import os

    os._exit(0)  # Geant4's own clean-up at the end of a process is not safe
