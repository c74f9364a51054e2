"""Whether two descriptions are of the same detector, as far as showers depend on it."""

from __future__ import annotations

from caloforge.detector.base import Detector
from caloforge.errors import RequestError


def check_same(first: Detector, second: Detector, what: str, other: str, advice: str) -> None:
    """Compare what showers depend on; particles, ranges and densities of the conditions and observables are free.

    Args:
        what: what the first belongs to, for the message.
        other: what the second belongs to.
        advice: what to do where they differ.

    Raises:
        RequestError: they are different detectors; names the first fact that differs.
    """
    theirs = _facts(second)
    for field, value in _facts(first).items():
        if value != theirs[field]:
            raise RequestError(f"{what} and {other} differ in {field}: {value} and {theirs[field]}; {advice}")


def _facts(detector: Detector) -> dict[str, str]:
    """Everything that the showers depend on, in words; the number of layers stands before the layers."""
    facts = {
        "name": detector.name,
        "conditions": ", ".join(f"{spec.name} in {spec.unit}" for spec in detector.conditions),
        "reference depth": f"{detector.reference_depth} mm",
        "symmetries": ", ".join(sorted(detector.symmetries)) or "none",
        "number of layers": str(detector.n_layers),
        "cells": "; ".join(
            f"{item.cells!r} in layers {item.first} to {item.stop - 1}" for item in detector.cell_layers
        ),
        "face": f"{detector.face[0]} x {detector.face[1]} mm",
        "mixtures": "; ".join(map(repr, detector.materials)) or "none",
    }
    for number, layer in enumerate(detector.layers, 1):
        facts[f"layer {number}"] = " + ".join(
            f"{slab.thickness} mm {slab.material}{' (read out)' if slab.active else ''}" for slab in layer.slabs
        )
    return facts
