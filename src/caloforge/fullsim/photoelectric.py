"""Photoelectric cross sections in the files that Geant4 reads, from the coefficients compiled into Geant4 itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import MissingExtraError, WorkError

Array = NDArray[np.float64]

_TOP = 1e5  # MeV, the last energy of the tables
_PER_DECADE = 40
_STEP = 1e-7  # relative distance of the two points on either side of an edge
# An absorption edge: the cross section jumps by more than this factor, between these energies (MeV). What jumps
# elsewhere are outer shells, of no weight in showers, or seams between two fits.
_JUMP = 1.03
_EDGES = (5e-5, 0.2)


def sandia_intervals(elements: Iterable[int]) -> dict[int, Array]:
    """For each element the intervals (n, 5): from E in MeV on, sigma = a1/E + a2/E^2 + a3/E^3 + a4/E^4 in barn.

    Geant4 is asked in a process of its own, because it can be started once in a process only.

    Raises:
        MissingExtraError: geant4-pybind is not installed.
        WorkError: Geant4 could not answer.
    """
    with tempfile.TemporaryDirectory(prefix="caloforge-sandia-") as folder:
        answer = Path(folder) / "intervals.json"
        command = [sys.executable, "-P", str(Path(__file__).with_name("sandia.py")), str(answer)]
        done = subprocess.run(
            [*command, *(str(z) for z in elements)],
            env={**os.environ, "GEANT4_DATA_DIR": folder},  # needs no data, but asks for them when this is not set
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if "No module named 'geant4_pybind'" in done.stderr:
            raise MissingExtraError("full simulation needs geant4-pybind: pip install 'caloforge[fullsim]'")
        if done.returncode or not answer.is_file():
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise WorkError(f"Geant4 gave no photoabsorption coefficients: {' '.join(last) or done.returncode}")
        return {int(z): np.array(rows, dtype=np.float64) for z, rows in json.loads(answer.read_text()).items()}


def cross_section(intervals: Array, energies: Array) -> Array:
    """Photoelectric cross section of an atom in barn at ``energies`` in MeV; 0 below the first interval."""
    row = np.searchsorted(intervals[:, 0], energies, side="right") - 1
    a = intervals[np.maximum(row, 0), 1:]
    x = 1.0 / energies
    sigma = x * (a[..., 0] + x * (a[..., 1] + x * (a[..., 2] + x * a[..., 3])))
    return np.asarray(np.where(row >= 0, np.maximum(sigma, 0.0), 0.0))


def shells(intervals: Array) -> list[tuple[float, float]]:
    """Binding energy in MeV and share of each shell, the innermost first; the last stands for all outer ones.

    The share is that of the cross section above the shell's edge and below the next one. It follows from the jump
    at the edge, and as usual is taken to stay the same at higher energies.
    """
    found = []
    for edge in intervals[:0:-1, 0]:
        below, above = cross_section(intervals, edge * np.array([1 - _STEP, 1 + _STEP]))
        if _EDGES[0] < edge < _EDGES[1] and above > _JUMP * below:
            found.append((float(edge), float(1 - below / above)))
    return [*found, (float(intervals[0, 0]), 1.0)]


def tables(Z: int, intervals: Array) -> dict[str, str]:
    """The files of ``epics2017/phot`` for element ``Z``, by name.

    Energies are in MeV, cross sections sigma E^3 in barn MeV^3. The fits of ``pe-high`` and ``pe-low`` are turned off
    by a threshold nobody reaches, so that the tables serve at all energies. ``pe-cs`` comes last.
    """
    levels = shells(intervals)
    innermost = levels[0][0]
    energies = _energies(intervals)
    values = cross_section(intervals, energies) * energies**3
    above = energies >= innermost
    fit = f"{len(levels)} {len(levels)} 1e9\n" + "".join(f"{edge:.9g} 0 0 0 0 0 0\n" for edge, _ in levels)
    files = {f"pe-high-{Z}.dat": fit, f"pe-low-{Z}.dat": fit}
    if len(levels) > 1:  # else Geant4 reads neither
        files[f"pe-le-cs-{Z}.dat"] = _vector(energies[~above], values[~above])
        files[f"pe-ss-cs-{Z}.dat"] = _components(levels, energies, values)
    return {**files, f"pe-cs-{Z}.dat": _vector(energies[above], values[above])}


def _components(levels: list[tuple[float, float]], energies: Array, values: Array) -> str:
    left = np.ones_like(energies)
    text = ""
    for index, (edge, share) in enumerate(levels):
        open_ = energies >= edge
        part = np.where(open_, left * share, 0.0)
        left = left - part
        text += _vector(energies[open_], (values * part)[open_], f" {index}")
    return text


def _energies(intervals: Array) -> Array:
    """A logarithmic grid with a pair of points at every interval's start, where the cross section may jump."""
    starts = intervals[:, 0]
    low = starts[0]
    n = int(np.ceil(np.log10(_TOP / low) * _PER_DECADE))
    grid = np.concatenate([np.geomspace(low, _TOP, n + 1), starts, starts[1:] * (1 - _STEP)])
    grid = np.unique(grid)
    return np.asarray(grid[np.concatenate([[True], np.diff(grid) > 0.1 * _STEP * grid[1:]])])


def _vector(energies: Array, values: Array, index: str = "") -> str:
    """``Emin Emax n`` and the points; a component of a shell carries its ``index``, a vector of its own its length."""
    second = "" if index else f"{len(energies)}\n"
    head = f"{energies[0]:.10g} {energies[-1]:.10g} {len(energies)}{index}\n{second}"
    return head + "".join(f"{e:.10g} {v:.9g}\n" for e, v in zip(energies, values, strict=True))
