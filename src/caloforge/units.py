"""The one convention of units: MeV, mm and radian everywhere inside; other units exist only at the edge."""

from __future__ import annotations

import math

from caloforge.errors import unknown_name

# Unit -> (internal unit, how many of the internal unit one of it is).
_UNITS: dict[str, tuple[str, float]] = {
    "MeV": ("MeV", 1.0),
    "keV": ("MeV", 1e-3),
    "GeV": ("MeV", 1e3),
    "TeV": ("MeV", 1e6),
    "mm": ("mm", 1.0),
    "cm": ("mm", 10.0),
    "m": ("mm", 1e3),
    "rad": ("rad", 1.0),
    "mrad": ("rad", 1e-3),
    "deg": ("rad", math.pi / 180.0),
    "ns": ("ns", 1.0),
    "1": ("1", 1.0),
}


def to_internal(value: float, unit: str) -> tuple[float, str]:
    """``value`` in the internal unit of its kind, and that unit.

    Raises:
        RequestError: the unit is not known.

    >>> to_internal(2.5, "GeV")
    (2500.0, 'MeV')
    """
    if unit not in _UNITS:
        raise unknown_name("unit", unit, _UNITS)
    internal, factor = _UNITS[unit]
    return value * factor, internal


def describe(value: float, unit: str) -> str:
    """A value in an internal unit as a physicist writes it: angles in degrees, energies from 1 GeV on in GeV.

    >>> describe(250000.0, "MeV"), describe(0.5, "MeV"), describe(math.pi / 9, "rad")
    ('250 GeV', '0.5 MeV', '20 deg')
    """
    if unit == "rad":
        return f"{math.degrees(value):.6g} deg"
    if unit == "MeV" and abs(value) >= 1e3:
        return f"{value / 1e3:.6g} GeV"
    return f"{value:.6g}" if unit == "1" else f"{value:.6g} {unit}"
