"""The data files that Geant4 needs: the user's official datasets, or tables computed here on first use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from caloforge.cache import absent, cache_folder, write_files
from caloforge.detector import DEFAULT_DETECTOR, Detector, load_detector
from caloforge.detector.materials import elements_of
from caloforge.errors import MissingExtraError, RequestError, unknown_name
from caloforge.fullsim import bremsstrahlung, datasets, neutrons, photoelectric
from caloforge.fullsim.datasets import Dataset, Found
from caloforge.fullsim.physics import PHYSICS_LISTS, widest_physics

TABLES_VERSION = 1  # of the formulas; counted up when a table changes, so that nobody meets an old one in a cache
HEAVIEST = 92


@dataclass(frozen=True)
class PhysicsData:
    """What Geant4 will read.

    Attributes:
        environment: variables to set before geant4_pybind is imported; without them it would ask on standard input.
        description: where the data come from, for the provenance of the showers.
        approximate: whether built-in tables stand in for official ones that this physics list uses.
    """

    environment: dict[str, str]
    description: str
    approximate: bool


def prepare_physics_data(physics_list: str, elements: Iterable[int]) -> PhysicsData:
    """Find or compute the data for a physics list in materials made of ``elements`` (atomic numbers).

    Each dataset is taken from its own variable (``G4LEDATA``, ``G4PARTICLEXSDATA``, ``G4LEVELGAMMADATA``,
    ``G4ENSDFSTATEDATA``), from ``GEANT4_DATA_DIR``, or from where geant4-pybind downloads; else built-in tables go
    to the user's cache: photoelectric cross sections from coefficients compiled into Geant4, bremsstrahlung of
    :mod:`caloforge.fullsim.bremsstrahlung` and, for hadrons, neutrons of :mod:`caloforge.fullsim.neutrons`.

    Raises:
        RequestError: unknown physics list, an element beyond uranium, a variable that points to a folder which is
            missing or incomplete, a cache that cannot be written.
        MissingExtraError: geant4-pybind is not installed.
        WorkError: Geant4 could not be asked for its coefficients.
    """
    wanted = sorted({int(Z) for Z in elements})
    environment: dict[str, str] = {}
    origins: list[str] = []
    built: list[str] = []
    for part, found in _found(physics_list, wanted):
        if found:
            environment[part.dataset.variable] = str(found.folder)
            origins.append(f"{found.folder.name} ({found.origin})")
        else:
            folder = tables_folder() / part.dataset.folder
            part.build(folder, wanted)
            environment[part.dataset.variable] = str(folder)
            built.append(part.title)
    # Set, it keeps geant4-pybind from asking for downloads; Geant4 itself looks at the variables above first.
    beside = Path(environment[datasets.ELECTROMAGNETIC.variable]).parent
    environment[datasets.DATA_DIR] = os.environ.get(datasets.DATA_DIR) or str(beside)
    if built:
        origins.append(f"built-in tables version {TABLES_VERSION}: {', '.join(built)}")
    return PhysicsData(environment, "; ".join(origins), bool(built))


@dataclass(frozen=True)
class Source:
    """Where a simulation takes a dataset from: ``folder`` is None where built-in tables stand in for it.

    ``origin`` is the variable that points to the folder, ``downloaded``, or what the built-in tables are.
    """

    dataset: str
    variable: str
    folder: Path | None
    origin: str


def physics_data(detector: str | Path | Detector = DEFAULT_DETECTOR) -> tuple[Source, ...]:
    """What the simulation of a detector would read now: one entry a dataset that its particles need.

    Raises:
        RequestError: no such detector, or a variable points to a folder which is missing or incomplete.
    """
    described = load_detector(detector)
    elements = sorted(elements_of(described))
    return tuple(
        Source(part.dataset.folder, part.dataset.variable, found.folder, found.origin)
        if found
        else Source(part.dataset.folder, part.dataset.variable, None, f"built-in tables: {part.title}")
        for part, found in _found(widest_physics(described), elements)
    )


def needed_datasets(physics_list: str) -> tuple[Dataset, ...]:
    """The datasets that a physics list reads.

    Raises:
        RequestError: unknown physics list.

    >>> [dataset.folder for dataset in needed_datasets("G4EmStandardPhysics_option1")]
    ['G4EMLOW8.8', 'PhotonEvaporation6.1.2', 'G4ENSDFSTATE3.0']
    """
    return tuple(part.dataset for part in _parts(physics_list))


def _parts(physics_list: str) -> list[_Part]:
    if physics_list not in PHYSICS_LISTS:
        raise unknown_name("physics list", physics_list, PHYSICS_LISTS)
    hadrons = any(part.startswith("G4HadronPhysics") for part in PHYSICS_LISTS[physics_list].constructors)
    return [part for part in _PARTS if hadrons or not part.hadrons_only]


def _found(physics_list: str, elements: Sequence[int]) -> list[tuple[_Part, Found | None]]:
    """What the user has of each part, before anything is built."""
    return [(part, datasets.find(part.dataset, elements)) for part in _parts(physics_list)]


def tables_folder() -> Path:
    """The folder of the built-in tables; they depend on their version and on what is compiled into Geant4.

    Raises:
        MissingExtraError: geant4-pybind is not installed.
    """
    try:
        geant4 = metadata.version("geant4-pybind")
    except metadata.PackageNotFoundError as error:
        raise MissingExtraError("full simulation needs geant4-pybind: pip install 'caloforge[fullsim]'") from error
    return cache_folder() / f"geant4-tables-{TABLES_VERSION}-{geant4}"


def _build_electromagnetic(folder: Path, elements: Sequence[int]) -> None:
    beyond = [Z for Z in elements if not 1 <= Z <= HEAVIEST]
    if beyond:
        raise RequestError(
            f"built-in tables reach from hydrogen to uranium (1 to {HEAVIEST}), not the atomic number {beyond[0]}; "
            f"install the official datasets of Geant4 and set {datasets.DATA_DIR} to their folder"
        )
    brems, photo = folder / "brem_SB", folder / "epics2017" / "phot"
    for Z in elements:
        if absent(brems, [f"br{Z}"]):
            write_files(brems, {f"br{Z}": bremsstrahlung.table(Z)})
    missing = [Z for Z in elements if absent(photo, [f"pe-cs-{Z}.dat"])]
    if missing:
        for Z, intervals in photoelectric.sandia_intervals(missing).items():
            write_files(photo, photoelectric.tables(Z, intervals))


def _build_neutrons(folder: Path, _: Sequence[int]) -> None:
    for Z in neutrons.ELEMENTS:
        if absent(folder / "neutron", [f"cap{Z}"]):
            write_files(folder / "neutron", neutrons.tables(Z))


def _build_levels(folder: Path, _: Sequence[int]) -> None:
    write_files(folder, {})


def _build_states(folder: Path, _: Sequence[int]) -> None:
    if not (folder / "ENSDFSTATE.dat").is_file():
        write_files(folder, {"ENSDFSTATE.dat": ""})


@dataclass(frozen=True)
class _Part:
    dataset: Dataset
    title: str
    build: Callable[[Path, Sequence[int]], None]
    hadrons_only: bool = False


_PARTS = (
    _Part(datasets.ELECTROMAGNETIC, "screened Bethe-Heitler and Sandia tables", _build_electromagnetic),
    _Part(datasets.NEUTRONS, "neutrons without resonances", _build_neutrons, hadrons_only=True),
    _Part(datasets.LEVELS, "no nuclear levels", _build_levels),
    _Part(datasets.STATES, "no nuclear isomers", _build_states),
)
