"""The closed table of physics lists: what each is made of and which particles it can simulate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from caloforge.errors import RequestError, unknown_name

_ELECTROMAGNETIC = (11, -11, 22)
_HADRONS = (13, -13, 211, -211, 111, 321, -321, 130, 310, 2212, -2212, 2112, -2112)


@dataclass(frozen=True)
class PhysicsList:
    """Physics constructors of Geant4, by class name and in order, and the PDG codes of the primaries they serve."""

    constructors: tuple[str, ...]
    particles: tuple[int, ...]


PHYSICS_LISTS = {
    # What the LHC experiments use for speed: no Rayleigh scattering, simple multiple scattering and step limits.
    "G4EmStandardPhysics_option1": PhysicsList(("G4EmStandardPhysics_option1",), _ELECTROMAGNETIC),
    # The reference list FTFP_BERT_EMV without ions and gamma-nuclear reactions.
    "G4EmStandardPhysics_option1+FTFP_BERT": PhysicsList(
        (
            "G4EmStandardPhysics_option1",
            "G4DecayPhysics",
            "G4HadronElasticPhysics",
            "G4HadronPhysicsFTFP_BERT",
            "G4StoppingPhysics",
            "G4NeutronTrackingCut",
        ),
        _ELECTROMAGNETIC + _HADRONS,
    ),
}


def check_physics(name: str, particles: Iterable[int]) -> PhysicsList:
    """The physics list of that name, once it is certain that it serves the particles.

    Raises:
        RequestError: no such list, or a particle it has no physics for; says which list has.
    """
    if name not in PHYSICS_LISTS:
        raise unknown_name("physics list", name, PHYSICS_LISTS)
    for code in particles:
        if code not in PHYSICS_LISTS[name].particles:
            able = [other for other, physics in PHYSICS_LISTS.items() if code in physics.particles]
            advice = f"set physics_list in [simulation] to {able[0]!r}" if able else "no physics list here does"
            raise RequestError(f"{name} does not simulate the particle with PDG code {code}; {advice}")
    return PHYSICS_LISTS[name]
