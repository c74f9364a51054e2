"""The distances again for parts of the conditions: bins of energy and of the angle to the normal."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.evaluation.collect import MIN_EVENTS, Sample
from caloforge.evaluation.distances import compare, why_not
from caloforge.evaluation.resampling import Floats, Plan
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


def compare_regions(sample: Sample, reference: Sample, edges: Mapping[str, Floats], plan: Plan) -> list[Region]:
    """The distances in thirds of the reference's energies (MeV) and angles to the normal (rad), and for each particle.

    A part says where it has too few events of either sample (100), or where an observable cannot be compared; a
    variable that is the same for all has no parts. The bins of the observables (`edges`) are those of the whole
    comparison.
    """
    found = []
    variables: dict[str, tuple[NDArray[np.number], NDArray[np.number]]] = {
        "energy": (sample.incident, reference.incident),
        "angle": (tilt(sample.conditions, sample.detector), tilt(reference.conditions, reference.detector)),
        "particle": (sample.pdg, reference.pdg),
    }
    for variable, (values, reference_values) in variables.items():
        if not np.ptp(reference_values):
            continue  # the same for all
        if variable == "particle":
            parts = [(code, code) for code in sorted(set(reference_values.tolist()))]
        else:
            parts = list(pairwise(np.quantile(reference_values, np.linspace(0, 1, PARTS + 1)).tolist()))
        for low, high in parts:
            chosen = (values >= low) & (values <= high)
            # Where conditions are equal: the same pairs on both sides, whatever their rounding.
            chosen_reference = chosen if plan.paired else (reference_values >= low) & (reference_values <= high)
            part = plan.part(chosen, chosen_reference)
            seen = {name: sample.observables[name][chosen] for name in edges}
            truth = {name: reference.observables[name][chosen_reference] for name in edges}
            reasons = _reasons(seen, truth, sample.info.label, part)
            kept = {name: bins for name, bins in edges.items() if name not in reasons}
            distances = compare(seen, truth, kept, part) if kept else []
            found.append(Region(variable, float(low), float(high), part.n, part.m, distances, reasons))
    return found


def _reasons(seen: Mapping[str, Floats], truth: Mapping[str, Floats], label: str, part: Plan) -> dict[str, str]:
    """The observables that cannot be compared in this part, with the reason."""
    n, m = (int(size) for size in part.sizes)
    if min(n, m) < MIN_EVENTS:
        few = f"{n} showers of {label} and {m} of the reference are too few: a comparison needs {MIN_EVENTS} of each"
        return dict.fromkeys(seen, few)
    reasons = {name: why_not({label: values}, truth[name]) for name, values in seen.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}
