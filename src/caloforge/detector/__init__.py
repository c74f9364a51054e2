"""What is simulated: geometry, cells, conditions and their domain."""

from caloforge.detector.base import ConditionSpec, Detector, Layer, Material, Simulation, Slab
from caloforge.detector.cells import CellLayer, Cells, PolarCells, RectangularCells
from caloforge.detector.conditions import (
    Conditions,
    check_domain,
    concatenate_conditions,
    from_file_form,
    real_numbers,
)
from caloforge.detector.load import (
    DEFAULT_DETECTOR,
    detector_from_toml,
    detector_names,
    detectors,
    load_detector,
)
from caloforge.detector.mirror import mirror_cells, reflections
from caloforge.detector.mixture import Mixture, Particle
from caloforge.detector.same import check_same
from caloforge.detector.sampling import Energy, check_particles, draw_conditions

__all__ = [
    "DEFAULT_DETECTOR",
    "CellLayer",
    "Cells",
    "ConditionSpec",
    "Conditions",
    "Detector",
    "Energy",
    "Layer",
    "Material",
    "Mixture",
    "Particle",
    "PolarCells",
    "RectangularCells",
    "Simulation",
    "Slab",
    "check_domain",
    "check_particles",
    "check_same",
    "concatenate_conditions",
    "detector_from_toml",
    "detector_names",
    "detectors",
    "draw_conditions",
    "from_file_form",
    "load_detector",
    "mirror_cells",
    "real_numbers",
    "reflections",
]
