"""Plots of lines and markers: observables with ratio panels, response and resolution, what the classifier used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caloforge.evaluation import Evaluation
from caloforge.evaluation.results import Classifier, Histogram
from caloforge.reports.style import REFERENCE, Picture, as_svg, new_figure, sample_colour, sample_marker

if TYPE_CHECKING:
    from matplotlib.axis import Axis

RATIO = (0.5, 1.5)
LEAST = 10  # (effective) events a bin of the reference needs for a ratio to be drawn


def observable_plot(histogram: Histogram, evaluation: Evaluation) -> Picture:
    """Share of the showers in each bin with their errors, and the ratio to the reference below."""
    figure = new_figure(3.7, 3.3, fixed=True)
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    edges = np.array(histogram.edges)
    centres = 0.5 * (edges[1:] + edges[:-1])
    truth, spread = np.array(histogram.reference), np.array(histogram.reference_errors)
    total = truth.sum()
    upper.stairs(truth / total, edges, fill=True, color=REFERENCE, alpha=0.22)
    upper.stairs(truth / total, edges, color=REFERENCE, linewidth=1.1, label=evaluation.reference.info.label)
    upper.errorbar(centres, truth / total, spread / total, fmt="none", color=REFERENCE, linewidth=0.7)
    enough = truth >= LEAST**0.5 * np.where(spread > 0, spread, np.inf)
    safe = np.where(enough, truth, 1.0)
    band = np.where(enough, spread / safe, 0.0)
    lower.stairs(1 + band, edges, baseline=1 - band, fill=True, color=REFERENCE, alpha=0.25)
    lower.axhline(1.0, color=REFERENCE, linewidth=0.8)
    for index, (counts, spreads) in enumerate(zip(histogram.samples, histogram.sample_errors, strict=True)):
        colour, values, spread = sample_colour(index), np.array(counts), np.array(spreads)
        number = values.sum()
        upper.stairs(values / number, edges, color=colour, linewidth=1.3, label=evaluation.samples[index].info.label)
        upper.errorbar(centres, values / number, spread / number, fmt="none", color=colour, linewidth=0.8)
        ratio = np.where(enough, values / number / (safe / total), np.nan)
        error = np.where(enough, spread / number / (safe / total), np.nan)
        drawn = enough & (ratio > RATIO[0]) & (ratio < RATIO[1])
        lower.errorbar(
            centres[drawn],
            ratio[drawn],
            error[drawn],
            fmt=sample_marker(index),
            markersize=2.2,
            color=colour,
            linewidth=0.8,
        )
        for beyond, marker, height in ((ratio >= RATIO[1], "^", 0.93), (ratio <= RATIO[0], "v", 0.07)):
            place = RATIO[0] + height * (RATIO[1] - RATIO[0])
            lower.plot(centres[beyond], np.full(int(beyond.sum()), place), marker, markersize=3.5, color=colour)
    upper.set_ylim(bottom=0)
    upper.margins(x=0)
    upper.set_ylabel("share of showers")
    upper.legend(loc="best")
    lower.set_ylim(*RATIO)
    lower.set_yticks([0.6, 1.0, 1.4])
    for axes in (upper, lower):
        axes.minorticks_off()
    lower.set_ylabel("ratio")
    lower.set_xlabel(histogram.label)
    return as_svg(figure, f"Distribution of {histogram.name} with its ratio to the reference")


def response_plot(evaluation: Evaluation) -> Picture:
    """Response and resolution (per cent) against the incident energy, with ratios."""
    figure = new_figure(8.2, 3.9)
    grid = figure.subplots(2, 2, sharex=True, gridspec_kw={"height_ratios": [2.2, 1]})
    _response_panels(grid[:, 0], evaluation, "response", guide=0.01)
    _response_panels(grid[:, 1], evaluation, "resolution", guide=0.1)
    return as_svg(figure, "Response and resolution against the incident energy, with their ratios to the reference")


def _response_panels(panels: Any, evaluation: Evaluation, name: str, guide: float) -> None:
    """The values above, their ratio to the reference below; dotted lines `guide` away from 1."""
    upper, lower = panels
    truth = evaluation.reference.response
    energy = np.array(truth.energy) / 1000
    value, error = (100 * np.array(getattr(truth, key)) for key in (name, f"{name}_error"))
    upper.errorbar(energy, value, error, fmt="D", color=REFERENCE, markersize=4, label=evaluation.reference.info.label)
    lower.fill_between(energy, 1 - error / value, 1 + error / value, color=REFERENCE, alpha=0.25)
    lower.axhline(1.0, color=REFERENCE, linewidth=0.8)
    for side in (-1, 1):
        lower.axhline(1 + side * guide, color=REFERENCE, linewidth=0.7, linestyle=":")
    extreme = 1.4 * guide
    for index, sample in enumerate(evaluation.samples):
        options: dict[str, Any] = {
            "fmt": sample_marker(index),
            "color": sample_colour(index),
            "markersize": 4,
            "linewidth": 1.0,
        }
        place = np.array(sample.response.energy) / 1000 * (1.0 + 0.03 * (index + 1))  # beside, not on top
        seen, seen_error = (100 * np.array(getattr(sample.response, key)) for key in (name, f"{name}_error"))
        upper.errorbar(place, seen, seen_error, label=sample.info.label, **options)
        ratio, ratio_error = (np.array(getattr(sample.ratio, key)) for key in (name, f"{name}_error"))
        lower.errorbar(place, ratio, ratio_error, **options)
        extreme = max(extreme, 1.1 * float((np.abs(ratio - 1) + ratio_error).max()))
    upper.set_xscale("log")
    upper.set_xlim(truth.edges[0] / 1000, truth.edges[-1] / 1000)
    if name == "resolution":
        upper.set_yscale("log")
        upper.set_ylabel(r"resolution $\sigma/E$ [%]")
        _plain_ticks(upper.yaxis, (1.0, 1.5, 2.0, 3.0, 4.0, 6.0))
    else:
        # At least 1.5 % either way, or statistical fluctuations would look like structure.
        low, high = upper.get_ylim()
        upper.set_ylim(min(low, value.mean() * 0.985), max(high, value.mean() * 1.015))
        upper.set_ylabel(r"response $\langle E_\mathrm{vis}/E\rangle$ [%]")
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


def importance_plot(classifier: Classifier, index: int) -> Picture:
    """The features whose shuffling costs the classifier most."""
    top = list(classifier.importance.items())[:8][::-1]
    figure = new_figure(4.2, 2.4)
    axes = figure.subplots()
    names = [name.replace("_", " ") for name, _ in top]
    axes.barh(names, [max(value, 0.0) for _, value in top], color=sample_colour(index))
    axes.set_xlabel("AUC lost when the feature is shuffled")
    axes.minorticks_off()
    return as_svg(figure, "Features the classifier relied on most")
