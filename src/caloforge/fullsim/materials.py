"""The materials Geant4 knows by name, without starting Geant4."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

from caloforge.errors import RequestError, nearest_name

VACUUM = "G4_Galactic"


@cache
def nist_materials() -> dict[str, tuple[int, ...]]:
    """Name of each NIST material of Geant4 -> atomic numbers of its elements.

    >>> nist_materials()["G4_POLYSTYRENE"]
    (1, 6)
    """
    text = resources.files("caloforge.fullsim").joinpath("data", "nist_materials.txt").read_text(encoding="utf-8")
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {name: tuple(map(int, elements)) for name, *elements in rows}


def elements_of(materials: Iterable[str]) -> frozenset[int]:
    """Atomic numbers of all elements in the named materials.

    Raises:
        RequestError: Geant4 has no material of that name.

    >>> sorted(elements_of(["G4_Pb", "G4_POLYSTYRENE"]))
    [1, 6, 82]
    """
    known = nist_materials()
    elements: set[int] = set()
    for name in materials:
        if name not in known:
            raise _unknown(name)
        elements.update(known[name])
    return frozenset(elements)


def _unknown(name: str) -> RequestError:
    by_capitals = {known.upper(): known for known in nist_materials()}
    nearest = nearest_name(name.upper(), by_capitals)
    hint = f"; did you mean {by_capitals[nearest]!r}?" if nearest else "."
    return RequestError(
        f"unknown material {name!r}{hint} Materials have the names of Geant4's NIST table, such as G4_Pb, G4_W, "
        f"G4_STAINLESS-STEEL, G4_POLYSTYRENE, G4_Si, G4_lAr, G4_PbWO4"
    )
