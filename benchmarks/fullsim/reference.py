"""Our showers, with freshly drawn conditions and reference tables, against the first showers of the test file."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np

import caloforge
from caloforge.evaluation import Measured, evaluate
from fullsim.samples import Samples, with_cut
from fullsim.statistics import DRAWS, Floats

EVENTS = 5000
SEED = 2026
LABEL = 0.7
"""Production cut in mm that the provenance of the test file states. Set before Geant4's particles exist it has no
effect, and the 1 mm of Geant4's base class stay."""
BARS = {"auc": 0.02, "response": 0.3}


def measure(samples: Samples, test: Path) -> dict[str, Any]:
    """The detector as shipped, whose cut is the one in effect when the test file was made, and the cut on its label."""
    shipped = samples.simulated("drawn", "lhcb-ecal", EVENTS, seed=SEED)
    labelled = samples.simulated(f"drawn-{LABEL:g}-mm", with_cut(LABEL), EVENTS, seed=SEED)
    return _compare(shipped, test) | {"events": EVENTS, "seed": SEED, "bars": BARS, "label": _compare(labelled, test)}


def _compare(ours: Path, test: Path) -> dict[str, Any]:
    found = evaluate(ours, test, max_events=EVENTS)
    sample, classifier = found.samples[0], found.samples[0].classifier
    ratio, edges = sample.ratio, sample.response.edges
    return {
        "cut": sample.info.provenance["cut_mm"],
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
            for i, (low, high) in enumerate(itertools.pairwise(edges))
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
