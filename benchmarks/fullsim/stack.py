"""A stack of absorber and scintillator as one effective medium, from published properties of its materials.

Properties: Particle Data Group, Atomic and Nuclear Properties of Materials (pdg.lbl.gov). Formulas: Review of Particle
Physics, section "Passage of particles through matter", for mixtures and electromagnetic cascades.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from caloforge.detector import Detector

SCALE = 21.2052
"""E_s = sqrt(4 pi / alpha) m_e c^2, MeV."""


@dataclass(frozen=True)
class Properties:
    """Density g/cm^3; radiation, nuclear and pion interaction lengths g/cm^2; critical energy of electrons MeV; minimum
    dE/dx in MeV cm^2/g."""

    density: float
    radiation_length: float
    nuclear_length: float
    pion_length: float
    critical_energy: float
    minimum: float


MATERIALS = {
    "G4_Pb": Properties(11.35, 6.37, 199.6, 226.2, 7.43, 1.122),
    "G4_W": Properties(19.30, 6.76, 191.9, 218.7, 7.97, 1.145),
    "G4_POLYSTYRENE": Properties(1.060, 43.79, 81.7, 113.7, 93.11, 1.936),
}


@dataclass(frozen=True)
class Stack:
    """Lengths in mm along the axis, energies in MeV; a ``layer``, and what of it lies ``before_reading`` (before the
    middle of its active slab), in radiation lengths.

    1/X0 = sum f_j/X_j and 1/R_M = 1/E_s sum f_j E_cj/X_j, with f_j the share of the thickness and X_j in mm (the PDG's
    formulas for mixtures, whose weights are of mass and X_j of mass a surface); E_c = E_s X0 / R_M.
    """

    radiation_length: float
    moliere_radius: float
    critical_energy: float
    proton_depth: float
    pion_depth: float
    sampling_fraction: float
    minimum_visible: float
    slab: float
    depth: float
    layer: float
    before_reading: float

    @classmethod
    def of(cls, detector: Detector) -> Stack:
        """The effective medium of a detector whose layers are all like the first, with one active slab at the back."""
        slabs = detector.layers[0].slabs
        kinds = [MATERIALS[slab.material] for slab in slabs]
        surface = [slab.thickness / 10 * kind.density for slab, kind in zip(slabs, kinds, strict=True)]  # g/cm^2
        lengths = [mass / kind.radiation_length for mass, kind in zip(surface, kinds, strict=True)]
        critical = sum(length * kind.critical_energy for length, kind in zip(lengths, kinds, strict=True))
        losses = [mass * kind.minimum for mass, kind in zip(surface, kinds, strict=True)]
        n, thickness = detector.n_layers, detector.layers[0].thickness
        return cls(
            radiation_length=thickness / sum(lengths),
            moliere_radius=SCALE * thickness / critical,
            critical_energy=critical / sum(lengths),
            proton_depth=n * sum(mass / kind.nuclear_length for mass, kind in zip(surface, kinds, strict=True)),
            pion_depth=n * sum(mass / kind.pion_length for mass, kind in zip(surface, kinds, strict=True)),
            sampling_fraction=losses[-1] / sum(losses),
            minimum_visible=n * losses[-1],
            slab=slabs[-1].thickness,
            depth=detector.depth,
            layer=sum(lengths),
            before_reading=sum(lengths) - lengths[-1] / 2,
        )

    def maximum(self, energy: float) -> float:
        """Depth of the maximum of an electron's shower in radiation lengths: ln(E/E_c) - 0.5."""
        return math.log(energy / self.critical_energy) - 0.5

    def stochastic(self) -> float:
        """Per cent: 2.7 % sqrt(d/f), d mm of scintillator a layer and f the sampling fraction of a minimum-ionizing
        particle (M. Livan and R. Wigmans, Instruments 1 (2017) 3), which holds for plastic scintillator and metals."""
        return 2.7 * math.sqrt(self.slab / self.sampling_fraction)
