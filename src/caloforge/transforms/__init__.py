"""Invertible maps of cell energies, fitted on training data; their state is a dict of arrays."""

from caloforge.transforms.base import Transform
from caloforge.transforms.box_cox import BoxCoxTransform
from caloforge.transforms.chain import TRANSFORMS, Chain, make_chain, restore
from caloforge.transforms.elementwise import (
    IncidentEnergyTransform,
    LogTransform,
    ThresholdTransform,
    energy_of_log,
    log_of_energy,
)

__all__ = [
    "TRANSFORMS",
    "BoxCoxTransform",
    "Chain",
    "IncidentEnergyTransform",
    "LogTransform",
    "ThresholdTransform",
    "Transform",
    "energy_of_log",
    "log_of_energy",
    "make_chain",
    "restore",
]
