"""Panels of figures against the incident energy: values above, their ratio to the reference below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation import Measured
from caloforge.reports.style import REFERENCE, sample_colour, sample_marker

if TYPE_CHECKING:
    from matplotlib.axis import Axis

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """A figure in bins of the energy (GeV), and for samples its ratio to the reference; (B,) each."""

    label: str
    energy: Floats
    value: Floats
    error: Floats
    ratio: Floats
    ratio_error: Floats

    @staticmethod
    def of(
        label: str,
        energy: Sequence[float],
        figures: Sequence[Measured],
        ratios: Sequence[Measured] = (),
        unit: float = 1,
    ) -> Curve:
        """From energies in MeV and figures, which are drawn in the `unit` (0.01 for per cent)."""
        value, error = ((np.array(numbers) / unit) for numbers in _columns(figures))
        return Curve(label, np.array(energy) / 1000, value, error, *(np.array(numbers) for numbers in _columns(ratios)))


def _columns(figures: Sequence[Measured]) -> tuple[list[float], list[float]]:
    return [figure.value for figure in figures], [figure.error for figure in figures]


def energy_panels(
    panels: Any, edges: Sequence[float], truth: Curve, samples: dict[int, Curve], *, label: str, guide: float, log: bool
) -> None:
    """Draw one figure: values in the upper of two panels, ratios in the lower.

    Args:
        panels: the upper and the lower axes.
        edges: of the bins, MeV.
        truth: the reference.
        samples: by their number in the evaluation, which gives colour and marker.
        label: of the upper axis.
        guide: dotted lines so far from a ratio of 1.
        log: logarithmic values; otherwise the panel spans at least 1.5 % either way.
    """
    upper, lower = panels
    value, error = truth.value, truth.error
    upper.errorbar(truth.energy, value, error, fmt="D", color=REFERENCE, markersize=4, label=truth.label)
    lower.fill_between(truth.energy, 1 - error / value, 1 + error / value, color=REFERENCE, alpha=0.25)
    lower.axhline(1.0, color=REFERENCE, linewidth=0.8)
    for side in (-1, 1):
        lower.axhline(1 + side * guide, color=REFERENCE, linewidth=0.7, linestyle=":")
    extreme = 1.4 * guide
    for index, curve in samples.items():
        options: dict[str, Any] = {
            "fmt": sample_marker(index),
            "color": sample_colour(index),
            "markersize": 4,
            "linewidth": 1.0,
        }
        place = curve.energy * (1.0 + 0.03 * (index + 1))  # beside, not on top
        upper.errorbar(place, curve.value, curve.error, label=curve.label, **options)
        lower.errorbar(place, curve.ratio, curve.ratio_error, **options)
        extreme = max(extreme, 1.1 * float((np.abs(curve.ratio - 1) + curve.ratio_error).max()))
    upper.set_xscale("log")
    upper.set_xlim(edges[0] / 1000, edges[-1] / 1000)
    if log:
        upper.set_yscale("log")
        _plain_ticks(upper.yaxis, (1.0, 1.5, 2.0, 3.0, 4.0, 6.0))
    else:
        # Or statistical fluctuations would look like structure.
        low, high = upper.get_ylim()
        upper.set_ylim(min(low, value.mean() * 0.985), max(high, value.mean() * 1.015))
    upper.set_ylabel(label)
    upper.legend(loc="best")
    lower.set_ylim(1 - min(extreme, 1.0), 1 + extreme)
    lower.set_ylabel("ratio")
    lower.set_xlabel("incident energy [GeV]")
    _plain_ticks(lower.xaxis)


def _plain_ticks(axis: Axis, subs: tuple[float, ...] = (1.0, 2.0, 5.0)) -> None:
    """1, 2, 5, 10 ... instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
