"""Plots of lines and markers: observables with ratio panels, response and resolution, what the classifier used."""

from __future__ import annotations

import numpy as np

from caloforge.evaluation import Evaluation, Measured
from caloforge.evaluation.results import Classifier, Histogram, ResponseBins, ResponseRatio
from caloforge.reports.against_energy import Curve, energy_panels
from caloforge.reports.style import REFERENCE, Picture, as_svg, new_figure, sample_colour, sample_marker

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
    reference = evaluation.reference
    words = {
        "response": (r"response $\langle E_\mathrm{vis}/E\rangle$ [%]", 0.01),
        "resolution": (r"resolution $\sigma/E$ [%]", 0.1),
    }
    for column, (name, (label, guide)) in enumerate(words.items()):
        samples = {
            index: Curve.of(
                sample.info.label,
                sample.response.energy,
                _figures(sample.response, name),
                _figures(sample.ratio, name),
                unit=0.01,
            )
            for index, sample in enumerate(evaluation.samples)
        }
        truth = Curve.of(reference.info.label, reference.response.energy, _figures(reference.response, name), unit=0.01)
        energy_panels(
            grid[:, column],
            reference.response.edges,
            truth,
            samples,
            label=label,
            guide=guide,
            log=name == "resolution",
        )
    return as_svg(figure, "Response and resolution against the incident energy, with their ratios to the reference")


def _figures(found: ResponseBins | ResponseRatio, name: str) -> list[Measured]:
    values, errors = getattr(found, name), getattr(found, f"{name}_error")
    return [Measured(value, error) for value, error in zip(values, errors, strict=True)]


def reconstruction_plot(particle: int, evaluation: Evaluation) -> Picture:
    """Linearity, energy resolution and position resolution of one kind of particle, with ratios."""
    found = {
        index: (sample.info.label, item)
        for index, sample in enumerate(evaluation.samples)
        for item in sample.reconstruction.particles
        if item.particle == particle
    }
    truth = next(item.reference for _, item in found.values())
    figure = new_figure(11.0, 3.9)
    grid = figure.subplots(2, 4, sharex=True, gridspec_kw={"height_ratios": [2.2, 1]})
    words = {
        "response": (r"linearity $\langle E_\mathrm{rec}/E\rangle$", 1, 0.01),
        "energy_resolution": (r"energy resolution $\sigma/E$ [%]", 0.01, 0.1),
        "position_resolution_x": (r"position resolution in $x$ [mm]", 1, 0.1),
        "position_resolution_y": (r"position resolution in $y$ [mm]", 1, 0.1),
    }
    for column, (name, (label, unit, guide)) in enumerate(words.items()):
        own = Curve.of(evaluation.reference.info.label, truth.energy, truth.figures[name], unit=unit)
        samples = {
            index: Curve.of(of, item.sample.energy, item.sample.figures[name], item.ratio[name], unit)
            for index, (of, item) in found.items()
        }
        energy_panels(
            grid[:, column], truth.edges, own, samples, label=label, guide=guide, log=name == "energy_resolution"
        )
    return as_svg(figure, f"Reconstruction of {particle}: linearity, energy and position resolution, with ratios")


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
