"""Observables: pure functions of showers, conditions and detector, once for numpy and torch."""

from caloforge.observables.axis import ShowerAxis, shower_axis
from caloforge.observables.energy import soft_sparsities
from caloforge.observables.table import Observable, compute, observables_for

__all__ = ["Observable", "ShowerAxis", "compute", "observables_for", "shower_axis", "soft_sparsities"]
