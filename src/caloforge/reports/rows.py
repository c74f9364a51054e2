"""Every figure of an evaluation as a row of a table: long format, one number a row."""

from __future__ import annotations

import csv
import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO

from caloforge.evaluation import Evaluation, Measured, ResponseBins
from caloforge.evaluation.results import (
    Classifier,
    Distance,
    GridAxis,
    ObservableDistances,
    Reconstruction,
    SampleResult,
    WholeShower,
)

ALL = "all"
RANKED = ("wasserstein_mean", "within_floor", "response_worst", "resolution_worst", "seconds")
"""Figures of the ranking that no other row has."""


@dataclass(frozen=True)
class Row:
    """One figure; empty where it has no error or floor.

    Attributes:
        sample: label of the file; of the reference for its own figures.
        observable: name of the observable, or what else the figure is of.
        region: the part of the conditions or the bin, "all" otherwise.
        figure: name of the distance or other figure.
        value: the number; None where it could not be computed, and then `note` says why.
        error: its standard error.
        floor: reference against reference, conditions of their own.
        floor_error: its spread.
        floor_same_conditions: for equal conditions, after exchanges within the pairs.
        floor_same_conditions_error: its spread.
        note: "not computable: " and the reason; of figures of whole showers how they were computed.
    """

    sample: str
    observable: str
    region: str
    figure: str
    value: float | None
    error: float | None = None
    floor: float | None = None
    floor_error: float | None = None
    floor_same_conditions: float | None = None
    floor_same_conditions_error: float | None = None
    note: str = ""


def as_csv(evaluation: Evaluation) -> str:
    """All rows with a line of names; numbers have 6 significant digits."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(Row))
    for row in rows(evaluation):
        writer.writerow(f"{item:.6g}" if isinstance(item, float) else item for item in dataclasses.astuple(row))
    return text.getvalue()


def rows(evaluation: Evaluation) -> Iterator[Row]:
    """Everything that is one number with a meaning of its own: not the pixels of images and matrices."""
    yield from _ranking(evaluation)
    for sample in evaluation.samples:
        label = sample.info.label
        yield Row(label, "showers", ALL, "events", float(sample.info.events))
        yield Row(label, "showers", ALL, "effective_events", sample.info.effective_events)
        for item in sample.distances:
            yield from _distances(label, item, ALL)
        for item in sample.conditions:
            yield from _distances(label, dataclasses.replace(item, name=f"condition {item.name}"), ALL)
        yield from _regions(sample)
        yield from _cells(sample)
        for name, reason in evaluation.skipped.items():
            yield _missing(label, name, ALL, "", reason)
        yield from _classifier(label, sample.classifier)
        yield _distance(label, "mean_image", ALL, "total_variation", sample.image_distance)
        if sample.correlations.distance is not None:
            yield _distance(label, "correlations", ALL, "root_mean_square", sample.correlations.distance)
        for figure in sample.whole:
            yield from _judged(label, "whole showers", figure)
        yield from _reconstruction(label, sample.reconstruction)
        yield from _response(label, sample.response)
        yield from _ratio(label, sample)
    yield from _response(evaluation.reference.info.label, evaluation.reference.response)
    labels = [evaluation.reference.info.label, *(sample.info.label for sample in evaluation.samples)]
    for histogram in evaluation.histograms:
        counts = [histogram.reference, *histogram.samples]
        errors = [histogram.reference_errors, *histogram.sample_errors]
        for label, values, spreads in zip(labels, counts, errors, strict=True):
            for (low, high), value, spread in zip(itertools.pairwise(histogram.edges), values, spreads, strict=True):
                yield Row(label, histogram.name, f"bin {low:.6g} to {high:.6g}", "events", value, spread)


def _missing(sample: str, observable: str, region: str, figure: str, reason: str) -> Row:
    return Row(sample, observable, region, figure, None, note=f"not computable: {reason}")


def _measured(sample: str, observable: str, region: str, figure: str, found: Measured, floor: Measured | None) -> Row:
    row = Row(sample, observable, region, figure, found.value, found.error)
    return row if floor is None else dataclasses.replace(row, floor=floor.value, floor_error=floor.error)


def _distance(sample: str, observable: str, region: str, figure: str, found: Distance) -> Row:
    row = _measured(sample, observable, region, figure, found.value, found.floor)
    if found.floor_paired is None:
        return row
    paired = found.floor_paired
    return dataclasses.replace(row, floor_same_conditions=paired.value, floor_same_conditions_error=paired.error)


def _distances(sample: str, item: ObservableDistances, region: str) -> Iterator[Row]:
    for figure, found in item.figures.items():
        yield _distance(sample, item.name, region, figure, found)
    yield Row(sample, item.name, region, "kolmogorov_smirnov_p_value", item.p_value)
    for figure, reason in item.not_computable.items():
        yield _missing(sample, item.name, region, figure, reason)


def _regions(sample: SampleResult) -> Iterator[Row]:
    label = sample.info.label
    for region in sample.regions:
        if region.variable == "particle":
            part = f"particle {region.low:.0f}"
        else:
            unit = {"energy": "MeV", "angle": "rad"}[region.variable]
            part = f"{region.variable} {region.low:.6g} to {region.high:.6g} {unit}"
        yield Row(label, "showers", part, "events", float(region.events))
        for item in region.distances:
            yield from _distances(label, item, part)
        if region.auc is not None:
            yield _measured(label, sample.classifier.features, part, "classifier_auc", region.auc, region.auc_floor)
        for figure, found in (("response", region.response), ("resolution", region.resolution)):
            if found is not None:
                yield _measured(label, "E_vis/E", part, f"{figure}_over_reference", found, None)
        for name, reason in region.not_computable.items():
            yield _missing(label, name, part, "", reason)


def _cells(sample: SampleResult) -> Iterator[Row]:
    label = sample.info.label
    for grid in sample.grids:
        for cell in grid.cells:
            bins = [_bin(grid.along, cell.column)]
            bins += [] if grid.across is None else [_bin(grid.across, cell.row)]
            bins += [] if grid.particle is None else [f"particle {grid.particle}"]
            part = f"cell {', '.join(bins)}"
            yield Row(label, "showers", part, "events", float(cell.events))
            if cell.auc is not None:
                yield _measured(label, sample.classifier.features, part, "classifier_auc", cell.auc, None)
            if cell.response is not None:
                yield _measured(label, "E_vis/E", part, "response_over_reference", cell.response, None)
            if cell.worst is not None and cell.distance is not None:
                yield _distance(label, cell.worst, part, "wasserstein", cell.distance)
                yield Row(label, cell.worst, part, "spreads_above_floor", cell.excess)
            if cell.note:
                yield _missing(label, "cell", part, "", cell.note)


def _bin(axis: GridAxis, index: int) -> str:
    return f"{axis.variable} {axis.edges[index]:.6g} to {axis.edges[index + 1]:.6g} {axis.unit}"


def _ranking(evaluation: Evaluation) -> Iterator[Row]:
    """The table that sorts the samples; only what is nowhere else."""
    for rank in evaluation.ranking:
        for name in RANKED:
            if name in rank.figures:
                yield _measured(rank.label, "all", ALL, name, rank.figures[name], evaluation.floor.figures.get(name))


def _classifier(sample: str, found: Classifier) -> Iterator[Row]:
    what = found.features
    yield _measured(sample, what, ALL, "classifier_auc", found.auc, found.floor)
    yield Row(sample, what, ALL, "classifier_error_rate", found.error_rate)
    for name, loss in found.importance.items():
        yield Row(sample, name, ALL, "auc_lost_when_shuffled", loss)


def _judged(sample: str, what: str, found: WholeShower) -> Iterator[Row]:
    if found.value is None:
        yield _missing(sample, what, ALL, found.name, found.note)
        return
    row = _measured(sample, what, ALL, found.name, found.value, found.floor)
    if found.floor_paired is not None:
        paired = found.floor_paired
        row = dataclasses.replace(row, floor_same_conditions=paired.value, floor_same_conditions_error=paired.error)
    yield dataclasses.replace(row, note=found.note)
    for name, value in ({"p_value": found.p_value} | found.details).items():
        yield Row(sample, what, ALL, f"{found.name}_{name}", value)


def _reconstruction(sample: str, found: Reconstruction) -> Iterator[Row]:
    """The reference has rows beside each sample: the sample decides which bins and showers its figures are of."""
    for item in found.particles:
        what = f"reconstruction {item.particle}"
        for row in item.rows:
            yield from _judged(sample, what, dataclasses.replace(row, name=f"{row.name}_deviation"))
        for figures, side in ((item.sample, ""), (item.reference, "_of_reference")):
            for name, values in figures.figures.items():
                yield from _in_bins(sample, what, figures.edges, f"{name}{side}", values)
            if figures.terms is not None:
                yield _measured(sample, what, ALL, f"stochastic_term{side}", figures.terms.stochastic, None)
                yield _measured(sample, what, ALL, f"constant_term{side}", figures.terms.constant, None)
        for name, values in item.ratio.items():
            yield from _in_bins(sample, what, item.sample.edges, f"{name}_over_reference", values)
    for separation in found.separations:
        if separation.difference is None or separation.reference is None or separation.sample is None:
            yield _missing(sample, separation.name, ALL, "auc", separation.note)
            continue
        yield _measured(sample, separation.name, ALL, "auc", separation.sample, None)
        yield _measured(sample, separation.name, ALL, "auc_of_reference", separation.reference, None)
        difference = _measured(sample, separation.name, ALL, "auc_difference", separation.difference, None)
        yield dataclasses.replace(difference, note=separation.note)
        yield Row(sample, separation.name, ALL, "auc_difference_p_value", separation.p_value)
    for name, reason in found.not_computable.items():
        yield _missing(sample, f"reconstruction {name}", ALL, "", reason)


def _in_bins(sample: str, observable: str, edges: list[float], figure: str, values: list[Measured]) -> Iterator[Row]:
    for (low, high), value in zip(itertools.pairwise(edges), values, strict=True):
        yield _measured(sample, observable, f"energy {low:.6g} to {high:.6g} MeV", figure, value, None)


def _response(sample: str, found: ResponseBins) -> Iterator[Row]:
    for number, (low, high) in enumerate(itertools.pairwise(found.edges)):
        part = f"energy {low:.6g} to {high:.6g} MeV"
        response = Measured(found.response[number], found.response_error[number])
        resolution = Measured(found.resolution[number], found.resolution_error[number])
        yield _measured(sample, "E_vis/E", part, "response", response, None)
        yield _measured(sample, "E_vis/E", part, "resolution", resolution, None)


def _ratio(sample: str, result: SampleResult) -> Iterator[Row]:
    found = result.ratio
    for number, (low, high) in enumerate(itertools.pairwise(result.response.edges)):
        part = f"energy {low:.6g} to {high:.6g} MeV"
        response = Measured(found.response[number], found.response_error[number])
        resolution = Measured(found.resolution[number], found.resolution_error[number])
        yield _measured(sample, "E_vis/E", part, "response_over_reference", response, None)
        yield _measured(sample, "E_vis/E", part, "resolution_over_reference", resolution, None)
