"""Linearity, energy resolution and position resolution of one kind of particle, for sample and reference alike."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from caloforge.errors import RequestError
from caloforge.evaluation.binned import binned_response, energy_bins, moments
from caloforge.evaluation.permutation import Kind, judged
from caloforge.evaluation.reconstructed import Reconstructed, unweighted_pair
from caloforge.evaluation.resampling import Floats, Plan, Weights, bootstrap
from caloforge.evaluation.resolution import resolution_terms
from caloforge.evaluation.results import Measured, Performance, WholeShower
from caloforge.evaluation.rows import Draws

RATIOS = ("response", "energy_resolution", "position_resolution_x", "position_resolution_y")
BIASES = ("bias_x", "bias_y")


def performance(item: Reconstructed, edges: Floats) -> Performance:
    """The figures of showers of one kind in bins of the incident energy; no Gaussian is fitted, tails count in full.

    A shower without energy counts with E_rec = 0 and has no position.

    Args:
        item: the showers.
        edges: (B + 1,) of the bins, MeV.

    Raises:
        RequestError: a bin with fewer than 3 (effective) showers, or without any energy.
    """
    incident, weights = item.incident, item.weights
    found = binned_response(item.energy, incident, edges, weights)
    figures = {
        "response": _measured(found.response, found.response_error),
        "energy_resolution": _measured(found.resolution, found.resolution_error),
    }
    index = energy_bins(incident, edges)
    seen = item.clusters.energy > 0
    for column, name in enumerate("xy"):
        places = [
            moments(item.residual[rows, column], weights[rows], f" with a position between {low:g} and {high:g} MeV")
            for number, (low, high) in enumerate(pairwise(edges))
            for rows in [seen & (index == number)]
        ]
        figures[f"bias_{name}"] = [Measured(place.mean, place.mean_error) for place in places]
        figures[f"position_resolution_{name}"] = [Measured(place.spread, place.spread_error) for place in places]
    inverse = [
        np.average(1000 / incident[index == number], weights=weights[index == number])
        for number in range(len(edges) - 1)
    ]
    terms = resolution_terms(inverse, found.resolution, found.resolution_error)
    return Performance(found.edges, found.events, found.energy, figures, terms)


def ratios(sample: Performance, reference: Performance) -> dict[str, list[Measured]]:
    """Sample over reference, bin by bin; errors added in quadrature.

    Raises:
        RequestError: a resolution of the reference is 0.
    """
    found = {}
    for name in RATIOS:
        pairs = list(zip(sample.figures[name], reference.figures[name], strict=True))
        if min(other.value for _, other in pairs) <= 0:
            raise RequestError(f"the reference has a {name.replace('_', ' ')} of 0: there is nothing to compare with")
        found[name] = [
            Measured(one.value / two.value, float(np.hypot(one.error, one.value / two.value * two.error)) / two.value)
            for one, two in pairs
        ]
    return found


def deviation_rows(
    sample: Reconstructed, reference: Reconstructed, edges: Floats, *, paired: bool, seed: int, draws: Draws
) -> list[WholeShower]:
    """How far each figure is from the reference's, over all bins, with error, floor and p value; of showers unweighted.

    Raises:
        RequestError: a figure is not defined for some draw of the showers, such as the ratio to a resolution of 0.
    """
    sample, reference, paired = unweighted_pair(sample, reference, paired=paired, seed=seed)
    metric = deviations(sample, reference, edges)
    plan = Plan(len(sample), len(reference), paired, draws.errors, draws.floors, seed)
    kinds = dict.fromkeys((*RATIOS, *BIASES), Kind(0.0, plan.noise, plan.noise))
    found = judged(metric, plan, kinds, draws.permutations, bootstrap)
    note = f"root mean square over {len(edges) - 1} bins of energy of "
    notes = dict.fromkeys(RATIOS, note + "(ratio - 1)") | dict.fromkeys(
        BIASES, note + "the difference over the reference's position resolution"
    )
    return [
        WholeShower(
            name, item.value, 0.0, item.floor, item.floor_paired, item.p_value, min(plan.n, plan.m), notes[name], {}
        )
        for name, item in found.items()
    ]


def deviations(sample: Reconstructed, reference: Reconstructed, edges: Floats) -> Callable[[Weights], dict[str, float]]:
    """The deviations as a function of the weights of the pooled showers, sample first.

    Of bin b of B: ratios sqrt(1/B sum (s_b / r_b - 1)^2), and biases sqrt(1/B sum ((s_b - r_b) / sigma_b)^2) with the
    reference's position resolution sigma_b.
    """
    both = (sample, reference)
    incident = np.concatenate([item.incident for item in both])
    response = np.concatenate([item.energy for item in both]) / incident
    residual = np.concatenate([item.residual for item in both])
    seen = np.concatenate([item.clusters.energy for item in both]) > 0
    bins = len(edges) - 1
    index = energy_bins(incident, edges) % (bins + 1)  # what lies outside comes last, and is left out
    columns = [np.ones_like(response), response, response**2, seen.astype(np.float64)]
    columns += [seen * place**power for place in residual.T for power in (1, 2)]

    def figures(weights: Floats) -> dict[str, Floats]:
        sums = [np.bincount(index, weights * column, bins + 1)[:bins] for column in columns]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean, square = (item / sums[0] for item in sums[1:3])
            places = [item / sums[3] for item in sums[4:]]
            spread = np.sqrt(np.maximum(square - mean**2, 0.0))
            widths = [np.sqrt(np.maximum(places[k + 1] - places[k] ** 2, 0.0)) for k in (0, 2)]
            values = (mean, spread / mean, *widths, places[0], places[2])
        return dict(zip((*RATIOS, *BIASES), values, strict=True))

    def metric(weights: Weights) -> dict[str, float]:
        ours, theirs = figures(weights.sample), figures(weights.reference)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {name: ours[name] / theirs[name] - 1 for name in RATIOS} | {
                name: (ours[name] - theirs[name]) / theirs[f"position_resolution_{name[-1]}"] for name in BIASES
            }
        values = {name: float(np.sqrt(np.mean(item**2))) for name, item in found.items()}
        if not np.isfinite(list(values.values())).all():
            raise RequestError("a bin of energy has too few showers, or the reference has no spread there")
        return values

    return metric


def _measured(values: list[float], errors: list[float]) -> list[Measured]:
    return [Measured(value, error) for value, error in zip(values, errors, strict=True)]
