"""Fit the correction of caloforge.fullsim.bremsstrahlung to published tables, and print what it leaves.

    python benchmarks/fit_bremsstrahlung.py FOLDER

FOLDER holds the files br{Z} of Seltzer and Berger (G4EMLOW's brem_SB). Half of the elements are also predicted
from the other half. The correction itself is what the package keeps; the tables stay where they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.fullsim import bremsstrahlung

Array = NDArray[np.float64]


def read(path: Path) -> tuple[Array, Array, Array]:
    """k/T (K,), T in MeV (E,) and chi in millibarn (E, K) of one file."""
    numbers = np.array(path.read_text().split(), dtype=np.float64)
    n_shares, n_energies = int(numbers[1]), int(numbers[2])
    shares, logs, values = np.split(numbers[3:], [n_shares, n_shares + n_energies])
    return shares, np.exp(logs), values.reshape(n_energies, n_shares)


def grid(shares: Array, energies: Array) -> tuple[Array, Array]:
    return np.clip(shares, 1e-4, 1 - 1e-4)[None, :], energies[:, None]


def equations(Z: int, table: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    """Rows and right sides of the least squares: every point of the spectrum, and the loss at every energy."""
    shares, energies, values = table
    u, T = grid(shares, energies)
    wanted = np.log(values / bremsstrahlung.theory(Z, u, T))
    columns = np.stack([np.broadcast_to(c, values.shape) for c in bremsstrahlung.columns(Z, u, T)], axis=-1)
    # What counts in showers is 50 keV to 1 GeV. Hydrogen radiates by its electron: no smooth function of Z follows it.
    importance = np.where(energies < 0.05, 0.3, 1.0) * np.where(energies < 0.0099, 0.15, 1.0)
    importance *= np.where(energies > 1100, 0.5, 1.0) * (0.5 if Z == 1 else 1.0)
    width = np.gradient(shares)
    points = np.sqrt(width + 0.003) * values / values.mean(axis=1, keepdims=True) * importance[:, None]
    points[:, -6:] *= 0.5
    loss = width * values / (width * values).sum(axis=1, keepdims=True)
    loss_rows = 4 * importance[:, None] * np.einsum("tu,tuk->tk", loss, columns)
    rows = np.concatenate([(columns * points[..., None]).reshape(-1, columns.shape[-1]), loss_rows])
    return rows, np.concatenate([(wanted * points).ravel(), 4 * importance * (loss * wanted).sum(axis=1)])


def solve(tables: dict[int, tuple[Array, Array, Array]]) -> Array:
    parts = [equations(Z, table) for Z, table in tables.items()]
    rows, sides = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    return np.asarray(np.linalg.lstsq(rows, sides, rcond=None)[0])


def report(coefficients: Array, tables: dict[int, tuple[Array, Array, Array]]) -> None:
    """Print, for each element, radiative loss over the table's, and the rms difference of the spectrum at k/T < 0.9."""
    wanted = (0.001, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
    print(" " * 4 + "".join(f"{t:>8g}" for t in wanted) + "  MeV")
    for Z, (shares, energies, values) in tables.items():
        u, T = grid(shares, energies)
        columns = bremsstrahlung.columns(Z, u, T)
        ours = bremsstrahlung.theory(Z, u, T) * np.exp(sum(c * f for c, f in zip(coefficients, columns, strict=True)))
        ratio = np.trapezoid(ours, shares, axis=1) / np.trapezoid(values, shares, axis=1)
        shape = np.sqrt(np.mean((ours / values / ratio[:, None] - 1)[:, shares < 0.9] ** 2, axis=1))
        at = [int(np.argmin(np.abs(np.log(energies / t)))) for t in wanted]
        print(f"{Z:3d} " + "".join(f"{ratio[i]:8.3f}" for i in at))
        print("    " + "".join(f"{shape[i]:8.3f}" for i in at))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    files = {int(path.name[2:]): path for path in parser.parse_args().folder.glob("br[0-9]*")}
    tables = {Z: read(files[Z]) for Z in sorted(files)}
    elements = list(tables)
    half = solve({Z: tables[Z] for Z in elements[::2]})
    print("Predicted from the other half of the elements:")
    report(half, {Z: tables[Z] for Z in elements[1::2]})
    coefficients = np.round(solve(tables), 3)
    print("Fitted to all:")
    report(coefficients, tables)
    print("COEFFICIENTS =", ", ".join(f"{c:g}" for c in coefficients))


if __name__ == "__main__":
    main()
