"""Mean images and correlations between cells or their layers, and how far they are from the reference's."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector, RectangularCells
from caloforge.errors import RequestError
from caloforge.evaluation.distances import with_errors
from caloforge.evaluation.resampling import Plan, Weights, noise_ratio
from caloforge.evaluation.results import Correlations, Distance

WINDOW = 9
OFFSET = 1e-4
_LEAST_SPREAD = 1e-9


class LogShares:
    """log(e / E + 1e-4) of K cells or layers of cells: (N, n_cells) MeV and (N,) MeV to (N, K) float32.

    The share of the incident energy, so that the correlation is that of the shape and not of the energy; the offset
    lets cells with next to nothing count as equal. Of one grid the central cells: a square of 9 x 9, or 10 x 10 where
    the grid is even, or of round ones the 100 nearest to the middle. Of several, the sums of the layers.
    """

    max_events = 50_000

    def __init__(self, detector: Detector) -> None:
        self._starts: list[int] | None = None
        layers = detector.cell_layers
        cells = layers[0].cells
        if len(layers) > 1:
            self._starts = [layer.offset for layer in layers]
            self.members = np.arange(len(layers))
            self.what = f"the {len(layers)} layers of cells"
        elif isinstance(cells, RectangularCells):
            sides = [min(n, WINDOW + (n - WINDOW) % 2) for n in cells.shape]
            starts = [(n - side) // 2 for n, side in zip(cells.shape, sides, strict=True)]
            ix, iy = (start + np.arange(side) for start, side in zip(starts, sides, strict=True))
            self.members = (ix[:, None] * cells.shape[1] + iy[None, :]).reshape(-1)
            self.what = f"the central {sides[0]} x {sides[1]} cells"
        else:
            radius = np.linalg.norm(detector.cell_centres, axis=1)
            self.members = np.sort(np.argsort(radius, kind="stable")[: (WINDOW + 1) ** 2])
            self.what = f"the {len(self.members)} cells nearest to the middle"

    def __call__(self, energies: NDArray[np.floating], incident: NDArray[np.floating]) -> NDArray[np.float32]:
        chosen = energies[:, self.members] if self._starts is None else np.add.reduceat(energies, self._starts, axis=1)
        return np.log(chosen / incident[:, None] + OFFSET).astype(np.float32)


def correlation_matrix(shares: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pearson correlation coefficients of K columns over N weighted events; weights sum to 1.

    A column that is the same in every event has no correlation with any; its coefficients are 0.
    """
    used = weights != 0
    x = shares[used].astype(np.float64)
    w = weights[used]
    x -= w @ x
    covariance = (x * w[:, None]).T @ x
    spread = np.sqrt(np.diag(covariance))
    spread[spread <= _LEAST_SPREAD] = np.inf
    result: NDArray[np.float64] = covariance / np.outer(spread, spread)
    return result


def _varies(shares: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of the K columns differ from event to event."""
    result: NDArray[np.bool_] = shares.std(axis=0, dtype=np.float64) > _LEAST_SPREAD
    return result


def compare_correlations(
    sample: NDArray[np.float32], reference: NDArray[np.float32], detector: Detector, plan: Plan
) -> tuple[Correlations, Correlations]:
    """Correlations of sample and reference; the sample's carry the distance.

    Distance: root mean square difference of the coefficients over all pairs of different cells, those cells left out
    that are the same in every event of one of the two samples; None where fewer than two are left. In a random draw
    such a cell counts as uncorrelated.

    Args:
        sample: (n, K) from `LogShares`.
        reference: (m, K).
        detector: whose cells they are.
        plan: sizes n and m, and the numbers of draws.
    """
    central = LogShares(detector)
    compared = _varies(sample) & _varies(reference)
    stacked = np.concatenate([sample, reference])[:, compared]
    upper = np.triu_indices(stacked.shape[1], k=1)

    def metric(weights: Weights) -> dict[str, float]:
        first, second = (correlation_matrix(stacked, side)[upper] for side in (weights.sample, weights.reference))
        return {"correlation": float(np.sqrt(np.mean((first - second) ** 2)))}

    enough = compared.sum() > 1
    distance = with_errors(metric, plan, {"correlation": plan.noise})["correlation"] if enough else None

    everything = next(plan.draws())[1]

    def described(
        shares: NDArray[np.float32], weights: NDArray[np.float64], used: NDArray[np.bool_], found: Distance | None
    ) -> Correlations:
        matrix = correlation_matrix(shares, weights)
        return Correlations(
            what=central.what,
            members=central.members.tolist(),
            offset=OFFSET,
            events=len(shares),
            matrix=np.round(matrix, 4).tolist(),
            left_out=central.members[~used].tolist(),
            distance=found,
        )

    return (
        described(sample, everything.sample[: plan.n], compared, distance),
        described(reference, everything.reference[plan.n :], _varies(reference), None),
    )


def compare_images(
    sums: Iterable[NDArray[np.float64]],
    counts: Iterable[NDArray[np.float64]],
    plan: Plan,
    sizes: tuple[float, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64], Distance]:
    """Mean images (n_cells,), MeV, of sample and reference and their distance.

    Distance: 1/2 sum |p_i - q_i| over cells, p and q the mean images divided by their sums: the share of the energy
    that would have to move. Draws are of groups of events (G of each sample), not of single events.

    Args:
        sums: (G, n_cells) sums of energies of the groups, for sample and reference.
        counts: (G,) events of the groups, for both; weighted as the sums are.
        plan: n = m = G groups.
        sizes: effective events of sample and reference, which scale the floor.
    """
    (first_sums, second_sums), (first_counts, second_counts) = tuple(sums), tuple(counts)
    all_sums = np.concatenate([first_sums, second_sums])
    all_counts = np.concatenate([first_counts, second_counts])

    def image(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        mean: NDArray[np.float64] = (weights @ all_sums) / (weights @ all_counts)
        if not mean.sum() > 0:
            raise RequestError("the showers of a sample hold no energy at all; a mean image has no shape then")
        return mean

    def metric(weights: Weights) -> dict[str, float]:
        first, second = image(weights.sample), image(weights.reference)
        return {"image": 0.5 * float(np.abs(first / first.sum() - second / second.sum()).sum())}

    # The draws are of groups, but the noise is that of the events in them.
    scale = noise_ratio(*sizes)
    distance = with_errors(metric, plan, {"image": scale})["image"]
    groups = len(first_sums)
    one = np.concatenate([np.ones(groups), np.zeros(groups)])
    return image(one), image(1 - one), distance
