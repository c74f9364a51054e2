"""Figures of a sample of showers with their statistical errors, from one bootstrap over whole events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import caloforge
from caloforge.evaluation import Measured

Floats = NDArray[np.float64]
DRAWS = 400


@dataclass(frozen=True, eq=False)
class Events:
    """N showers at normal incidence in numbers an event.

    ``visible`` is the energy in the active slabs and ``deposited`` that in all (MeV), also by layer, (N, n_layers);
    ``depth`` the energy-weighted mean depth of the active slabs' middles and ``radius`` the energy-weighted mean
    distance of the cells' centres from the particle's axis (mm).
    """

    visible: Floats
    deposited: Floats
    depth: Floats
    radius: Floats
    visible_by_layer: Floats
    deposited_by_layer: Floats

    def __len__(self) -> int:
        return len(self.visible)

    def __getitem__(self, rows: NDArray[np.int64]) -> Events:
        return Events(**{name: column[rows] for name, column in vars(self).items()})


def read_events(*paths: Path) -> Events:
    """All showers of the files, one file after the other, read in blocks."""
    parts = [part for path in paths for part in _parts(path)]
    return Events(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _parts(path: Path) -> Iterator[tuple[Floats, ...]]:
    with caloforge.ShowerFile(path) as file:
        middles = np.array([_middle(layer) for layer in file.detector.layers])
        for showers in file.blocks(1 + 500_000 // file.detector.n_cells):
            layers = showers.layer_energies.astype(np.float64)
            absorbers = showers.absorber_energies.astype(np.float64)
            cells = showers.energies.astype(np.float64)
            form = showers.conditions.to_file_form()
            offset = file.detector.cell_centres[None, :, :] - form.position.astype(np.float64)[:, None, :]
            visible = layers.sum(axis=1)
            yield (
                visible,
                visible + absorbers.sum(axis=1),
                layers @ middles / visible,
                (cells * np.hypot(offset[..., 0], offset[..., 1])).sum(axis=1) / cells.sum(axis=1),
                layers,
                layers + absorbers,
            )


def _middle(layer: Any) -> float:
    front = layer.front
    for slab in layer.slabs:
        if slab.active:
            break
        front += slab.thickness
    return float(front + slab.thickness / 2)


def resolution(values: Floats) -> float:
    """Standard deviation over mean."""
    return float(values.std(ddof=1) / values.mean())


def core(values: Floats) -> float:
    """Half the width of the central 68.27 % over the median: a resolution that single showers do not move."""
    low, middle, high = np.quantile(values, [0.158655, 0.5, 0.841345])
    return float((high - low) / 2 / middle)


def bootstrap(figure: Callable[..., float], *samples: Events, paired: bool = False) -> Measured:
    """``figure(*samples)`` with the spread it has when events are drawn again with replacement.

    Args:
        paired: event i of all samples has the same conditions and seed, so they are drawn together.
    """
    random = np.random.default_rng(2026)
    draws = []
    for _ in range(DRAWS):
        rows = [random.integers(0, len(sample), len(sample)) for sample in samples]
        if paired:
            rows = rows[:1] * len(samples)
        draws.append(figure(*(sample[row] for sample, row in zip(samples, rows, strict=True))))
    return Measured(figure(*samples), float(np.std(draws, ddof=1)))
