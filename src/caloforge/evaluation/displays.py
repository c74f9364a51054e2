"""Which showers a report shows: fixed rules, so that nobody picks the prettiest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.evaluation.results import Display
from caloforge.showers import ShowerFile

DISPLAYS = 4


def reference_events(conditions: NDArray[np.float64], detector: Detector, count: int = DISPLAYS) -> list[int]:
    """Index of the event nearest in log energy to each of `count` energies, equally spaced in log over the sample."""
    log_energy = np.log(conditions[:, detector.column("energy")])
    low, high = np.quantile(log_energy, [0.02, 0.98])
    targets = low + (high - low) * (np.arange(count) + 0.5) / count
    return [int(np.argmin(np.abs(log_energy - target))) for target in targets]


def nearest_events(conditions: NDArray[np.float64], wanted: NDArray[np.float64], detector: Detector) -> list[int]:
    """Index of the event nearest to each row of `wanted` in scaled conditions, in log where they count in ratios.

    Each condition is divided by its range, and left out where it is fixed; the energy counts five times, since it sets
    the number of lit cells.
    """

    def scaled(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = []
        for column, spec in enumerate(detector.conditions):
            values, low, high = matrix[:, column], spec.low, spec.high
            if low == high:
                continue
            if spec.logarithmic:
                values, low, high = 5 * np.log(values), np.log(low), np.log(high)
            columns.append(values / (high - low))
        if not columns:  # all are fixed, and every event is as near as any
            return np.zeros((len(matrix), 1))
        return np.stack(columns, axis=1)

    points = scaled(conditions)
    return [int(np.argmin(((points - row) ** 2).sum(axis=1))) for row in scaled(wanted)]


def read_displays(path: Path, indices: list[int]) -> list[Display]:
    """The showers of these indices, read one by one."""
    found = []
    with ShowerFile(path) as file:
        for index in indices:
            shower = file.read(index, index + 1)
            energies = [float(f"{value:.4g}") for value in shower.energies[0]]
            found.append(Display(index, shower.conditions.matrix[0].tolist(), energies))
    return found
