"""Some of the showers of a file: what is kept of them, and their cells, read again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.collect import BLOCK, Sample
from caloforge.showers import ShowerFile

Rows = NDArray[np.int64]


def chosen(sample: Sample, rows: Rows) -> Sample:
    """The sample with the events of these numbers only, none beyond `HEAD_EVENTS`.

    Mean images and correlations stay those of all.
    """
    return dataclasses.replace(
        sample,
        conditions=sample.conditions[rows],
        pdg=sample.pdg[rows],
        weights=None if sample.weights is None else sample.weights[rows],
        visible=sample.visible[rows],
        observables={name: values[rows] for name, values in sample.observables.items()},
        depth=None if sample.depth is None else sample.depth[rows],
        layers=None if sample.layers is None else sample.layers[rows],
        clusters=None if sample.clusters is None else sample.clusters[rows],
    )


def cells_of(path: Path, rows: Rows) -> Iterator[NDArray[np.float32]]:
    """Energies (B, n_cells), MeV, of the showers of these numbers, which ascend, in blocks."""
    with ShowerFile(path) as file:
        for start in range(0, int(rows.max()) + 1, BLOCK):
            wanted = rows[(rows >= start) & (rows < start + BLOCK)]
            if len(wanted):
                yield file.read(start, int(wanted[-1]) + 1).energies[wanted - start]
