"""The distances again for parts of the conditions: bins of energy and of the angle to the normal."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.evaluation.collect import MIN_EVENTS, Sample
from caloforge.evaluation.distances import compare, histogram_edges
from caloforge.evaluation.resampling import Plan
from caloforge.evaluation.results import Region

PARTS = 3


def tilt(conditions: NDArray[np.float64], detector: Detector) -> NDArray[np.float64]:
    """(N,) angle between the particle and the normal of the face, rad: arctan of |(tan angle_xz, tan angle_yz)|.

    An angle that the detector does not have is 0.
    """
    square = np.zeros(len(conditions))
    for name in {"angle_xz", "angle_yz"} & set(detector.condition_names):
        square += np.tan(conditions[:, detector.column(name)]) ** 2
    return np.arctan(np.sqrt(square))


def compare_regions(sample: Sample, reference: Sample, names: list[str], plan: Plan) -> list[Region]:
    """Wasserstein-1 over sigma in thirds of the reference's energies (MeV) and angles to the normal (rad).

    Parts with fewer than 100 events of either sample, or where an observable has a single value, are left out, and a
    variable that is the same for all.
    """
    found = []
    variables = {
        "energy": (sample.incident, reference.incident),
        "angle": (tilt(sample.conditions, sample.detector), tilt(reference.conditions, reference.detector)),
    }
    for variable, (values, reference_values) in variables.items():
        if not np.ptp(reference_values):
            continue  # the same for all
        edges = np.quantile(reference_values, np.linspace(0, 1, PARTS + 1))
        for low, high in pairwise(edges):
            chosen = (values >= low) & (values <= high)
            # Where conditions are equal: the same pairs on both sides, whatever their rounding.
            chosen_reference = chosen if plan.paired else (reference_values >= low) & (reference_values <= high)
            n, m = int(chosen.sum()), int(chosen_reference.sum())
            if min(n, m) < MIN_EVENTS:
                continue
            seen = {
                name: (sample.observables[name][chosen], reference.observables[name][chosen_reference])
                for name in names
                if np.ptp(reference.observables[name][chosen_reference]) > 0
            }
            part = Plan(n, m, plan.paired, plan.bootstraps, plan.floors, plan.seed)
            distances = compare(
                {name: pair[0] for name, pair in seen.items()},
                {name: pair[1] for name, pair in seen.items()},
                {name: histogram_edges(pair[1]) for name, pair in seen.items()},
                part,
            )
            found.append(
                Region(variable, float(low), float(high), n, m, {item.name: item.wasserstein for item in distances})
            )
    return found
