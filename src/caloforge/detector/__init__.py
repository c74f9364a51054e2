"""What is simulated: geometry, cells, conditions and their domain."""

from caloforge.detector.base import CellGrid, ConditionSpec, Detector, Layer, Simulation, Slab
from caloforge.detector.conditions import (
    Conditions,
    check_domain,
    concatenate_conditions,
    draw_conditions,
    from_file_form,
    real_numbers,
)
from caloforge.detector.load import detector_from_toml, detector_names, detectors, load_detector
from caloforge.detector.mirror import mirror_cells

__all__ = [
    "CellGrid",
    "ConditionSpec",
    "Conditions",
    "Detector",
    "Layer",
    "Simulation",
    "Slab",
    "check_domain",
    "concatenate_conditions",
    "detector_from_toml",
    "detector_names",
    "detectors",
    "draw_conditions",
    "from_file_form",
    "load_detector",
    "mirror_cells",
    "real_numbers",
]
