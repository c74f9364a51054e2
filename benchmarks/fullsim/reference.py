"""Our showers, with freshly drawn conditions and reference tables, against the first showers of the test file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import caloforge
from caloforge.evaluation import Measured, evaluate
from fullsim.samples import Samples
from fullsim.statistics import DRAWS, Floats

EVENTS = 5000
SEED = 2026
BARS = {"auc": 0.02, "response": 0.3}


def measure(samples: Samples, test: Path) -> dict[str, Any]:
    ours = samples.simulated("drawn", "lhcb-ecal", EVENTS, seed=SEED)
    found = evaluate(ours, test, max_events=EVENTS)
    sample = found.samples[0]
    ratio = sample.ratio
    classifier = sample.classifier
    return {
        "events": [sample.info.events, found.reference.info.events],
        "seed": SEED,
        "bars": BARS,
        "auc": classifier.auc,
        "auc_floor": classifier.floor,
        "floor_events": classifier.floor_events,
        "features": classifier.features,
        "response": _mean_response(_responses(ours), _responses(test)),
        "bins": [
            {
                "GeV": [low / 1e3, high / 1e3],
                "response": Measured(ratio.response[i], ratio.response_error[i]),
                "resolution": Measured(ratio.resolution[i], ratio.resolution_error[i]),
            }
            for i, (low, high) in enumerate(zip(sample.response.edges[:-1], sample.response.edges[1:], strict=True))
        ],
        "wasserstein": {
            item.name: {"value": item.wasserstein.value, "floor": item.wasserstein.floor} for item in sample.distances
        },
    }


def _responses(path: Path) -> Floats:
    """E_visible/E of the first events."""
    with caloforge.ShowerFile(path) as file:
        parts = [file.read(start, min(start + 1000, EVENTS)) for start in range(0, EVENTS, 1000)]
    visible = np.concatenate([part.energies.sum(axis=1, dtype=np.float64) for part in parts])
    return visible / np.concatenate([part.conditions.column("energy") for part in parts])


def _mean_response(ours: Floats, theirs: Floats) -> Measured:
    """Deviation of the mean of E_visible/E in per cent, with the spread over events drawn again from both."""
    random = np.random.default_rng(SEED)

    def deviation(one: Floats, other: Floats) -> float:
        return 100 * float(one.mean() / other.mean() - 1)

    draws = [deviation(random.choice(ours, len(ours)), random.choice(theirs, len(theirs))) for _ in range(DRAWS)]
    return Measured(deviation(ours, theirs), float(np.std(draws, ddof=1)))
