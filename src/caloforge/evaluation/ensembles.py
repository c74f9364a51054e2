"""How far the members of an ensemble agree: observables in bins of energy, and their spread between the members."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError
from caloforge.evaluation.binned import MIN_EVENTS, energy_bins, energy_edges
from caloforge.evaluation.collect import BLOCK
from caloforge.observables import compute, observables_for
from caloforge.showers import ShowerFile

Floats = NDArray[np.float64]

FIGURES = ("mean", "deviation")


@dataclass(frozen=True)
class Figure:
    """Numbers of every bin and observable, and their errors, both (B + 1, K)."""

    value: Floats
    error: Floats


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation of K observables over the showers of a file, in B bins of the incident energy.

    Attributes:
        names: the K observables.
        bins: (low, high) in MeV; first all energies together, then the B bins.
        showers: (B + 1,) showers in each.
        figures: of each of ``FIGURES`` the values with their statistical errors.
    """

    names: list[str]
    bins: list[tuple[float, float]]
    showers: NDArray[np.int64]
    figures: dict[str, Figure]


@dataclass(frozen=True)
class Ensemble:
    """M members under the same conditions.

    Attributes:
        members: their summaries.
        figures: of each of ``FIGURES`` the mean over the members with the spread between them, the standard deviation
            (M - 1) of one member, to which the statistical fluctuation of its showers adds.
    """

    members: list[Summary]
    figures: dict[str, Figure]

    def to_json(self) -> list[dict[str, Any]]:
        """A row for each bin and observable: value, spread between members, statistical error of one member."""
        first = self.members[0]
        rows = []
        for number, (low, high) in enumerate(first.bins):
            for column, name in enumerate(first.names):
                row = {"low_mev": low, "high_mev": high, "observable": name, "showers": int(first.showers[number])}
                for figure in FIGURES:
                    ours, member = self.figures[figure], first.figures[figure]
                    row[figure] = float(ours.value[number, column])
                    row[f"{figure}_spread"] = float(ours.error[number, column])
                    row[f"{figure}_statistical"] = float(member.error[number, column])
                rows.append(row)
        return rows


def summarise(path: str | Path, edges: Floats) -> Summary:
    """Read a file of showers in blocks and keep the moments of its observables.

    Args:
        path: showers that count once each.
        edges: (B + 1,) rising edges of the bins, MeV; showers outside are left out.

    Raises:
        RequestError: fewer than 10 showers in a bin, or weighted ones; ``FormatError`` for a file.
    """
    with ShowerFile(path) as file:
        names = list(observables_for(file.detector))
        sums = np.zeros((5, len(edges) - 1, len(names)))  # of the powers 0 to 4
        origin: Floats | None = None
        for block in file.blocks(BLOCK):
            if block.weights is not None:
                raise RequestError(f"{path}: its showers have weights; an ensemble is summarised without")
            found = compute(block.energies.astype(np.float64), block.conditions.matrix, file.detector)
            values = np.column_stack([found[name] for name in names])
            if origin is None:
                origin = values.mean(0)
            inside = energy_bins(block.conditions.column("energy"), edges)
            for number in range(len(edges) - 1):
                shifted = values[inside == number] - origin
                for power in range(5):
                    sums[power, number] += (shifted**power).sum(0)
    sums = np.concatenate([sums.sum(1, keepdims=True), sums], 1)
    showers = sums[0, :, 0].astype(np.int64)
    if origin is None or showers.min() < MIN_EVENTS:
        raise RequestError(f"{path}: {showers.min()} showers in a bin of energy; at least {MIN_EVENTS} are needed")
    n, *moments = sums
    first, second, third, fourth = (moment / n for moment in moments)
    variance = np.maximum(second - first**2, 0.0)
    central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    deviation = np.sqrt(variance * n / (n - 1))
    # s sqrt((k - 1) / 4n) with the kurtosis k, to first order.
    relative = np.divide(central - variance**2, variance**2, out=np.zeros_like(variance), where=variance > 0)
    figures = {
        "mean": Figure(origin + first, deviation / np.sqrt(n)),
        "deviation": Figure(deviation, deviation * np.sqrt(np.maximum(relative, 0.0) / (4 * n))),
    }
    ends = [float(edge) for edge in edges]
    bins = [(ends[0], ends[-1]), *itertools.pairwise(ends)]
    return Summary(names, bins, showers, figures)


def spread(paths: Sequence[str | Path]) -> Ensemble:
    """The members' files, summarised in at most 6 bins of log energy.

    Raises:
        RequestError: as :func:`summarise`, or the files are of different detectors.
    """
    found = []
    for path in paths:
        with ShowerFile(path) as file:
            found.append(file.conditions())
    detector = found[0].detector
    column = detector.column("energy")
    edges = energy_edges(
        float(detector.low[column]), float(detector.high[column]), [item.column("energy") for item in found]
    )
    return combine([summarise(path, edges) for path in paths])


def combine(members: Sequence[Summary]) -> Ensemble:
    """Mean and spread of the figures of members, two at least, of one detector and in the same bins.

    Raises:
        RequestError: they are not.
    """
    first = members[0]
    if len(members) < 2:
        raise RequestError("a spread between members needs two of them")
    if any((member.names, member.bins) != (first.names, first.bins) for member in members):
        raise RequestError("the members are of different detectors, or in different bins; give files of one detector")
    figures = {}
    for name in FIGURES:
        values = np.stack([member.figures[name].value for member in members])
        away = values - values[0]  # so that equal members have no spread, to the last bit
        figures[name] = Figure(values[0] + away.mean(0), away.std(0, ddof=1))
    return Ensemble(list(members), figures)


def pulls(ensemble: Ensemble, truth: Summary, name: str, *, with_spread: bool = True) -> Floats:
    """(B + 1, K) pulls (m - t) / sqrt(s^2 (1 + 1/M) + e^2) of one of ``FIGURES``.

    m and s are mean and spread of M members, t the true value, and e the statistical errors of the truth and of one
    member: the members share their noise, so that more of them do not make it smaller. Were the truth just another
    member, pulls would follow Student's distribution with M - 1 degrees of freedom where e is small.
    """
    ours, theirs, member = ensemble.figures[name], truth.figures[name], ensemble.members[0].figures[name]
    variance = theirs.error**2 + member.error**2
    if with_spread:
        variance += ours.error**2 * (1 + 1 / len(ensemble.members))
    scale = np.sqrt(variance)
    return np.divide(ours.value - theirs.value, scale, out=np.zeros_like(scale), where=scale > 0)


def coverage(values: Floats, width: float = 1.0) -> float:
    """Share of pulls that are at most ``width`` from zero."""
    return float((np.abs(values) <= width).mean())
