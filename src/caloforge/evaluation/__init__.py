"""How close showers are to a reference: distances with errors and floors. It compares files, never models."""

from caloforge.evaluation.binned import binned_response, energy_edges, response_ratio
from caloforge.evaluation.distances import distance
from caloforge.evaluation.evaluate import evaluate
from caloforge.evaluation.results import Evaluation, Measured, ResponseBins

__all__ = [
    "Evaluation",
    "Measured",
    "ResponseBins",
    "binned_response",
    "distance",
    "energy_edges",
    "evaluate",
    "response_ratio",
]
