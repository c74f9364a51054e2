"""How far generated showers are from full simulation, on validation data, once an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Conditions
from caloforge.observables import compute

N_BINS = 4
"""Bins of log energy that distances are averaged over: a model that is right at 100 GeV only is not right."""


def binned_distances(
    generated: NDArray[np.float32], reference: NDArray[np.float32], conditions: Conditions
) -> dict[str, float]:
    """Wasserstein-1 over the reference's standard deviation, averaged over bins of log energy, by observable.

    Args:
        generated, reference: energies (N, n_cells), MeV, of the same conditions (N).
    """
    from scipy.stats import wasserstein_distance

    logs = np.log(conditions.column("energy"))
    edges = np.linspace(logs.min(), logs.max(), N_BINS + 1)
    bins = np.clip(np.digitize(logs, edges) - 1, 0, N_BINS - 1)
    ours, theirs = (_observables(energies, conditions) for energies in (generated, reference))
    result = {}
    for name in theirs:
        distances = []
        for index in range(N_BINS):
            inside = bins == index
            deviation = theirs[name][inside].std()
            if deviation > 0:
                distances.append(wasserstein_distance(ours[name][inside], theirs[name][inside]) / deviation)
        if distances:
            result[name] = float(np.mean(distances))
    return result


def score(distances: dict[str, float]) -> float:
    """Mean over the observables: what the best epoch is chosen by."""
    return float(np.mean(list(distances.values())))


def _observables(energies: NDArray[np.float32], conditions: Conditions) -> dict[str, NDArray[Any]]:
    blocks = [
        compute(energies[start : start + 1000], conditions.matrix[start : start + 1000], conditions.detector)
        for start in range(0, len(energies), 1000)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
