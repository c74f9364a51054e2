"""What networks are given (cells, cells over their layer's energy, observables, images) and how they are trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.evaluation.events import Rows, cells_of
from caloforge.evaluation.resampling import Floats

MAX_NUMBERS = 200_000_000
"""Cells of all showers of a file together that are kept in memory for the networks (0.8 GB)."""

Inputs = NDArray[np.float32]


@dataclass(frozen=True)
class Training:
    """How a network is trained: Adam with `rate`, `epochs` over the training part in batches of `batch`.

    The training ends before when `patience` epochs, one after the other, have not had fewer errors than the best.
    """

    epochs: int
    batch: int
    rate: float
    patience: int | None = None


@dataclass(frozen=True)
class NetworkPlan:
    """Sizes and training of the networks: CaloChallenge's dense one, and ResNet-18 (rate and batch are ours).

    Attributes:
        layers: hidden layers of the dense network.
        hidden: width of each.
        dense: its training.
        width: channels of the first stage of ResNet-18.
        resnet: its training.
    """

    layers: int = 3
    hidden: int = 2048
    dense: Training = Training(epochs=50, batch=1000, rate=2e-4)
    width: int = 64
    resnet: Training = Training(epochs=100, batch=128, rate=1e-3, patience=15)


def read_cells(path: Path, rows: Rows, cells: int) -> Inputs:
    """(N, n_cells) energies, MeV, of the showers of these numbers, or of as many as fit in memory."""
    return np.concatenate(list(cells_of(path, rows[: MAX_NUMBERS // cells])))


def scaled_conditions(conditions: Floats, detector: Detector) -> Inputs:
    """(N, C') conditions as a network likes them: log10(E / MeV), the others from -1 to 1; fixed ones left out."""
    columns = []
    for column, spec in enumerate(detector.conditions):
        if spec.name == "energy":
            columns.append(np.log10(conditions[:, column]))
        elif spec.high > spec.low:
            columns.append((2 * conditions[:, column] - spec.low - spec.high) / (spec.high - spec.low))
    return np.column_stack(columns).astype(np.float32)


def low_level(cells: Inputs, conditions: Floats, detector: Detector) -> Inputs:
    """Conditions and e / E of every cell, E the incident energy."""
    incident = conditions[:, [detector.column("energy")]].astype(np.float32)
    return np.concatenate([scaled_conditions(conditions, detector), cells / incident], axis=1)


def normalised_low_level(cells: Inputs, conditions: Floats, detector: Detector) -> Inputs:
    """Conditions, e / E_layer of every cell, and log10(E_layer + 1e-8) of every layer of cells."""
    sizes = [len(layer.cells) for layer in detector.cell_layers]
    starts = np.cumsum([0, *sizes[:-1]])
    layers = np.add.reduceat(cells, starts, axis=1)
    # float32 holds 1e-16 beside 0 only, which is where it is needed.
    shares = cells / (np.repeat(layers, sizes, axis=1) + np.float32(1e-16))
    return np.concatenate([scaled_conditions(conditions, detector), shares, np.log10(layers + 1e-8)], axis=1)


def high_level(observables: Floats, conditions: Floats, detector: Detector) -> Inputs:
    """Conditions and standardised observables."""
    return np.concatenate([scaled_conditions(conditions, detector), observables], axis=1, dtype=np.float32)


def images(cells: Inputs, detector: Detector) -> Inputs:
    """(N, 1, X, Y) log(1 + e / MeV).

    Raises:
        RequestError: the detector is not one grid of rectangular cells.
    """
    return np.log1p(cells).reshape(len(cells), 1, *detector.cells.shape)
