"""How many showers are asked for, and under which conditions: the part of a request that every source shares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from caloforge.detector import Conditions, Detector
from caloforge.errors import RequestError
from caloforge.showers.hdf5 import ShowerFile


def asked_conditions(
    detector: Detector,
    n: int | None,
    like: str | Path | None,
    *,
    narrowed: bool,
    check: Callable[[Detector, str], None],
) -> tuple[int, Conditions | None]:
    """Return the number of showers, and the conditions of the file ``like`` or None where they are to be drawn.

    Args:
        n: with ``like`` the first n of its conditions, all by default.
        narrowed: whether the request names an energy or a particle, which a file brings itself.
        check: called with the detector and the name of the file; raises where they do not fit the request.

    Raises:
        RequestError: no number and no file, a number below 1, or a file without enough showers.
    """
    if n is not None and n < 1:
        raise RequestError(f"the number of showers must be at least 1, not {n}")
    if like is None:
        if n is None:
            raise RequestError("say how many showers (-n N), or take the conditions of a file (--like FILE)")
        return n, None
    if narrowed:
        raise RequestError("--like takes energy and particle from its file; leave out --energy and --particle")
    with ShowerFile(like) as file:
        check(file.detector, str(like))
        if not len(file):
            raise RequestError(f"{like} has no showers, so there are no conditions to take; give a file with showers")
        if n is not None and n > len(file):
            raise RequestError(f"{like} has the conditions of {len(file)} showers; {n} were asked for")
        conditions = file.conditions()
    given = Conditions(detector, conditions.matrix[:n], conditions.pdg[:n])
    return len(given), given
