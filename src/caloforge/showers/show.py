"""What a file of showers holds, in short: numbers for a line of text, and the mean energy of every cell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.detector.draw import draw_energies
from caloforge.errors import RequestError
from caloforge.showers.atomic import atomic_output, check_picture
from caloforge.showers.hdf5 import ShowerFile

_BLOCK = 2000


@dataclass(frozen=True, eq=False)
class Summary:
    """A file of showers in short.

    Attributes:
        path: the file.
        detector: its detector.
        source: what made the showers: "geant4", "model" or "import".
        provenance: how.
        n: how many there are.
        particles: number of showers of each PDG code.
        ranges: lowest and highest value of each condition; MeV, mm, rad.
        response: mean energy in the cells over mean incident energy.
        mean: (n_cells,) mean energy of each cell, MeV.
    """

    path: Path
    detector: Detector
    source: str
    provenance: dict[str, Any]
    n: int
    particles: dict[int, int]
    ranges: dict[str, tuple[float, float]]
    response: float
    mean: NDArray[np.float64]


def show(file: str | Path, *, draw: str | Path | None = None, overwrite: bool = False) -> Summary:
    """Read a file of showers once, in blocks, and sum it up.

    Args:
        draw: also draw the mean energy of every cell into this picture, .png, .pdf or .svg.
        overwrite: replace the picture if it exists.

    Raises:
        FormatError: the file is missing, damaged or of another format.
        RequestError: it has no showers, or the picture exists or has another ending.
    """
    kind = None if draw is None else check_picture(draw, overwrite=overwrite)
    with ShowerFile(file) as showers:
        if not len(showers):
            raise RequestError(f"{file} has no showers")
        conditions = showers.conditions()
        total = np.zeros(showers.detector.n_cells)
        for block in showers.blocks(_BLOCK):
            total += block.energies.sum(axis=0, dtype=np.float64)
        codes, counts = np.unique(conditions.pdg, return_counts=True)
        low, high = conditions.matrix.min(axis=0), conditions.matrix.max(axis=0)
        summary = Summary(
            path=Path(file),
            detector=showers.detector,
            source=showers.source,
            provenance=showers.provenance,
            n=len(showers),
            particles=dict(zip(codes.tolist(), counts.tolist(), strict=True)),
            ranges={
                name: (float(low[column]), float(high[column]))
                for column, name in enumerate(showers.detector.condition_names)
            },
            response=float(total.sum() / conditions.column("energy").sum()),
            mean=total / len(showers),
        )
    if draw is not None and kind is not None:
        title = f"{summary.detector.title}\nmean of {summary.n:,} showers, {summary.path.name}"
        with atomic_output(draw, overwrite=overwrite) as partial:
            draw_energies(summary.detector, summary.mean, partial, kind, title)
    return summary
