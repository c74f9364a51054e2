"""Parts of the conditions: thirds of the energy and of the angle to the normal, and each particle."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import RequestError
from caloforge.evaluation.binned import binned_response, response_ratio
from caloforge.evaluation.collect import Sample
from caloforge.evaluation.results import Measured

PARTS = 3
Mask = NDArray[np.bool_]


def tilt(conditions: NDArray[np.float64], detector: Detector) -> NDArray[np.float64]:
    """(N,) angle between the particle and the normal of the face, rad: arctan of |(tan angle_xz, tan angle_yz)|.

    An angle that the detector does not have is 0.
    """
    square = np.zeros(len(conditions))
    for name in {"angle_xz", "angle_yz"} & set(detector.condition_names):
        square += np.tan(conditions[:, detector.column(name)]) ** 2
    return np.arctan(np.sqrt(square))


def values_of(variable: str, item: Sample) -> NDArray[np.float64]:
    """(N,) of "energy" (MeV), "angle" to the normal (rad), "particle" (PDG code), or another condition by its name."""
    if variable == "angle":
        return tilt(item.conditions, item.detector)
    if variable == "particle":
        return item.pdg.astype(np.float64)
    return item.conditions[:, item.detector.column(variable)]


@dataclass(frozen=True)
class Part:
    """The showers with low <= variable <= high."""

    variable: str
    low: float
    high: float

    def masks(self, sample: Sample, reference: Sample, paired: bool) -> tuple[Mask, Mask]:
        """(n,) and (m,) of the showers of sample and reference in this part.

        Where conditions are equal the reference decides for both: the same pairs, whatever the rounding.
        """
        inside = self.mask(reference)
        return (inside if paired else self.mask(sample)), inside

    def mask(self, item: Sample) -> Mask:
        """(N,) of its showers in this part."""
        values = values_of(self.variable, item)
        return np.asarray((values >= self.low) & (values <= self.high))


def parts_of(reference: Sample) -> list[Part]:
    """Thirds of the reference's energies and angles, and its particles; of what is the same for all there is none."""
    found = []
    for variable in ("energy", "angle"):
        values = values_of(variable, reference)
        if np.ptp(values):
            ends = np.quantile(values, np.linspace(0, 1, PARTS + 1)).tolist()
            found += [Part(variable, low, high) for low, high in pairwise(ends)]
    codes = np.unique(values_of("particle", reference)).tolist()
    return found + [Part("particle", code, code) for code in codes if len(codes) > 1]


def part_response(sample: Sample, reference: Sample, masks: tuple[Mask, Mask]) -> tuple[Measured, Measured]:
    """Response and resolution of a part over those of the reference, all its energies together.

    Raises:
        RequestError: as `binned_response`, such as fewer than 3 showers.
    """
    both = list(zip((sample, reference), masks, strict=True))
    if not all(mask.any() for mask in masks):
        raise RequestError("no showers in this part; a response needs at least 3")
    ends = np.concatenate([item.incident[mask] for item, mask in both])
    edges = [0.5 * float(ends.min()), 2.0 * float(ends.max())]
    found = [
        binned_response(
            item.visible[mask], item.incident[mask], edges, None if item.weights is None else item.weights[mask]
        )
        for item, mask in both
    ]
    ratio = response_ratio(*found)
    return (
        Measured(ratio.response[0], ratio.response_error[0]),
        Measured(ratio.resolution[0], ratio.resolution_error[0]),
    )
