"""The materials of slabs: those Geant4 knows by name, and mixtures of them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

from caloforge.detector.base import Detector
from caloforge.errors import RequestError, nearest_name


@cache
def nist_materials() -> dict[str, tuple[int, ...]]:
    """Name of each NIST material of Geant4 -> atomic numbers of its elements.

    >>> nist_materials()["G4_POLYSTYRENE"]
    (1, 6)
    """
    text = resources.files("caloforge.detector").joinpath("data", "nist_materials.txt").read_text(encoding="utf-8")
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {name: tuple(map(int, elements)) for name, *elements in rows}


def check_material(name: str, own: Iterable[str] = ()) -> None:
    """Make sure that Geant4 knows a material or that the detector defines it (``own``).

    Raises:
        RequestError: neither; names the nearest.
    """
    known = {*nist_materials(), *own}
    if name not in known:
        by_capitals = {each.upper(): each for each in known}
        nearest = nearest_name(name.upper(), by_capitals)
        hint = f"; did you mean {by_capitals[nearest]!r}?" if nearest else "."
        raise RequestError(
            f"unknown material {name!r}{hint} Materials have the names of Geant4's NIST table, such as G4_Pb, G4_W, "
            f"G4_STAINLESS-STEEL, G4_POLYSTYRENE, G4_Si, G4_lAr, G4_PbWO4, or are defined in [[materials]]"
        )


def elements_of(detector: Detector) -> frozenset[int]:
    """Atomic numbers of all elements a detector is made of, and hydrogen, which is what Geant4's vacuum consists of.

    >>> from caloforge.detector import load_detector
    >>> sorted(elements_of(load_detector("lhcb-ecal")))
    [1, 6, 82]
    """
    mixtures = {material.name: [part for part, _ in material.fractions] for material in detector.materials}
    names = {slab.material for layer in detector.layers for slab in layer.slabs}
    return frozenset({1} | {Z for name in names for part in mixtures.get(name, [name]) for Z in nist_materials()[part]})
