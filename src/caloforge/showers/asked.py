"""How many showers are asked for, and under which conditions: the part of a request that every source shares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from caloforge.detector import Conditions, Detector, check_particles
from caloforge.errors import FormatError, RequestError
from caloforge.showers.hdf5 import ShowerFile
from caloforge.showers.tables import TABLES, read_table, split_tree

SHOWERS = (".h5", ".hdf5")
"""Suffixes of files of showers."""


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
        like: a file of showers, or a table of conditions (:mod:`caloforge.showers.tables`).
        narrowed: whether the request names an energy or a particle, which a file brings itself.
        check: called with the detector and the name of a file of showers; raises where they do not fit the request.

    Raises:
        RequestError: no number and no file, a number below 1, a file without enough showers, or with a particle that
            the detector does not take; ``FormatError`` for what is wrong in a file.
    """
    if n is not None and n < 1:
        raise RequestError(f"the number of showers must be at least 1, not {n}")
    if like is None:
        if n is None:
            raise RequestError("say how many showers (-n N), or take the conditions of a file (--like FILE)")
        return n, None
    if narrowed:
        raise RequestError("--like takes energy and particle from its file; leave out --energy and --particle")
    conditions = _taken(detector, like, check)
    if n is not None and n > len(conditions):
        raise RequestError(f"{like} has the conditions of {len(conditions)} showers; {n} were asked for")
    given = Conditions(detector, conditions.matrix[:n], conditions.pdg[:n])
    check_particles(detector, np.unique(given.pdg).tolist())
    return len(given), given


def source_name(like: str | Path) -> str:
    """Name of the file that conditions come from, for the provenance, with that of its tree."""
    path, tree = split_tree(like)
    return path.name if tree is None else f"{path.name}:{tree}"


def _taken(detector: Detector, like: str | Path, check: Callable[[Detector, str], None]) -> Conditions:
    suffix = split_tree(like)[0].suffix.lower()
    if suffix in TABLES:
        return read_table(like, detector)
    if suffix not in SHOWERS:
        raise FormatError(
            f"{like}: conditions come from files of showers ({', '.join(SHOWERS)}) or from tables "
            f"({', '.join(TABLES)}), and the suffix says which; got {suffix!r}"
        )
    with ShowerFile(like) as file:
        check(file.detector, str(like))
        if not len(file):
            raise RequestError(f"{like} has no showers, so there are no conditions to take; give a file with showers")
        return file.conditions()
