"""The other shipped detectors: 1,000 showers each, what the cells see of the energy, and the mean image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import caloforge
from fullsim.samples import Samples

NAMES = ("atlas-barrel", "calogan", "calochallenge-2")
N = 1000
SEED = 1


def measure(samples: Samples, results: Path) -> dict[str, Any]:
    """Simulate each and draw ``full-simulation-NAME.png``."""
    found = {}
    for name in NAMES:
        file = samples.simulated(name, name, N, seed=SEED)
        summary = caloforge.show(file, draw=results / f"full-simulation-{name}.png", overwrite=True)
        showers = caloforge.load(file)
        assert showers.layer_energies is not None
        assert showers.absorber_energies is not None
        energy = showers.conditions.column("energy")
        cells, active = showers.energies.sum(axis=1), showers.layer_energies.sum(axis=1)
        response = cells / energy
        layers = [float(summary.mean[layer.index].sum()) for layer in showers.detector.cell_layers]
        found[name] = {
            "title": showers.detector.title,
            "cells": showers.detector.n_cells,
            "cell_layers": len(layers),
            "particle": next(iter(summary.particles)),
            "GeV": [energy.min() / 1e3, energy.max() / 1e3],
            "response": {"value": response.mean(), "error": response.std(ddof=1) / np.sqrt(N)},
            "resolution": response.std(ddof=1) / response.mean(),
            "outside_cells": 1 - cells.sum() / active.sum(),
            "all_material": (active + showers.absorber_energies.sum(axis=1)).sum() / energy.sum(),
            "layers": [layer / sum(layers) for layer in layers],
            "ms_per_GeV": 1e6 * summary.provenance["seconds_per_event_core"] / energy.mean(),
        }
    return {"events": N, "seed": SEED, "detectors": found}
