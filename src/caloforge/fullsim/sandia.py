"""Print Geant4's compiled coefficients of photoabsorption as JSON; run as a program, since Geant4 keeps a global state.

    python sandia.py OUTPUT Z [Z ...]

For each element: intervals [E, a1, a2, a3, a4] in MeV and barn, with sigma = a1/E + a2/E^2 + a3/E^3 + a4/E^4 from E on.
They are those of F. Biggs and R. Lighthill (Sandia report SAND87-0070), which Geant4 carries in its code.
The file imports nothing of CaloForge, so that it runs by its path wherever the package lies.
"""

import json
import sys
from pathlib import Path


def intervals(z: int) -> list[list[float]]:
    """The rows of one element."""
    import geant4_pybind as g4

    nist = g4.G4NistManager.Instance()
    # A material's table is right from the start; the coefficients of an atom are only once a material exists.
    material = nist.FindOrBuildMaterial("G4_" + nist.FindOrBuildElement(z).GetName())
    table = material.GetSandiaTable()
    scale = 1.0 / (material.GetTotNbOfAtomsPerVolume() * g4.barn)
    return [
        [table.GetSandiaCofForMaterial(row, 0), *(table.GetSandiaCofForMaterial(row, j) * scale for j in range(1, 5))]
        for row in range(table.GetMatNbOfIntervals())
    ]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps({z: intervals(int(z)) for z in sys.argv[2:]}))
