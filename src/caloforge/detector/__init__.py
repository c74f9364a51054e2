"""What is simulated: geometry, cells, conditions and their domain."""

from caloforge.detector.base import ConditionSpec, Detector, Layer, Material, Simulation, Slab
from caloforge.detector.cells import CellLayer, Cells, PolarCells, RectangularCells
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
    "CellLayer",
    "Cells",
    "ConditionSpec",
    "Conditions",
    "Detector",
    "Layer",
    "Material",
    "PolarCells",
    "RectangularCells",
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
