"""The closed table of physics lists: what each is made of and which particles it can simulate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from caloforge.detector import Detector
from caloforge.errors import RequestError, unknown_name

_ELECTROMAGNETIC = (11, -11, 22)
_HADRONS = (13, -13, 211, -211, 111, 321, -321, 130, 310, 2212, -2212, 2112, -2112)


@dataclass(frozen=True)
class PhysicsList:
    """Physics constructors of Geant4, by class name and in order, and the PDG codes of the primaries they serve."""

    constructors: tuple[str, ...]
    particles: tuple[int, ...]


# The first that serves all particles of a job is taken where the detector names none.
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


def widest_physics(detector: Detector) -> str:
    """Name of the physics list that a job with all particles of a detector takes.

    Raises:
        RequestError: as :func:`choose_physics`.
    """
    return detector.simulation.physics_list or choose_physics(detector, detector.particles)


def choose_physics(detector: Detector, particles: Iterable[int]) -> str:
    """Name of the physics list for a job with these particles: the detector's own, or the first that serves them all.

    Raises:
        RequestError: no such list, or a particle it has no physics for; says which list has.

    >>> from caloforge.detector import load_detector
    >>> choose_physics(load_detector("lhcb-ecal"), [11, 211])
    'G4EmStandardPhysics_option1+FTFP_BERT'
    """
    named, codes = detector.simulation.physics_list, sorted(set(particles))
    if named is not None and named not in PHYSICS_LISTS:
        raise unknown_name("physics list", named, PHYSICS_LISTS)
    for name in PHYSICS_LISTS if named is None else (named,):
        if set(codes) <= set(PHYSICS_LISTS[name].particles):
            return name
    served = {code for physics in PHYSICS_LISTS.values() for code in physics.particles}
    beyond = [code for code in codes if code not in served]
    if named is None or beyond:
        raise RequestError(
            f"no physics list here simulates the particle with PDG code {beyond[0]}; those that can be simulated: "
            f"{', '.join(map(str, sorted(served)))}"
        )
    missing = next(code for code in codes if code not in PHYSICS_LISTS[named].particles)
    able = next(name for name, physics in PHYSICS_LISTS.items() if missing in physics.particles)
    raise RequestError(
        f"{named} does not simulate the particle with PDG code {missing}; in [simulation] leave physics_list out, "
        f"or set it to {able!r}"
    )
