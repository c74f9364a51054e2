"""What the page's script draws: every observable, of all showers and in every part of the conditions, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caloforge.evaluation import Evaluation
from caloforge.evaluation.metrics import METRICS
from caloforge.evaluation.results import Histogram, ObservableDistances, SampleResult
from caloforge.reports.labels import runs
from caloforge.reports.places import part_title
from caloforge.reports.style import REFERENCE, sample_colour
from caloforge.reports.wording import significant


def explorer_data(evaluation: Evaluation) -> dict[str, Any]:
    """Counts as whole numbers where no event has a weight, figures as the text the tables have too.

    Of an observable, entry 0 of `parts` is of all showers, entry 1 + p of part p: the counts of the reference and of
    every sample, their errors where they are no square roots, and for every sample the figures, in the order of
    `metrics`, as value, floor and whether it is within it; or the reason why there are none.
    """
    samples = evaluation.samples
    parts = evaluation.histograms[0].parts
    return {
        "labels": [evaluation.reference.info.label, *(sample.info.label for sample in samples)],
        "colours": [REFERENCE, *(sample_colour(index) for index in range(len(samples)))],
        "metrics": [metric.title for metric in METRICS.values()],
        "parts": ["all showers", *(part_title(part.variable, part.low, part.high) for part in parts)],
        "observables": [_observable(histogram, samples) for histogram in evaluation.histograms],
    }


def _observable(histogram: Histogram, samples: Sequence[SampleResult]) -> dict[str, Any]:
    counts = [[histogram.reference, *histogram.samples]]
    counts += [[part.reference, *part.samples] for part in histogram.parts]
    weighted = any(part.errors is not None for part in histogram.parts)
    errors: list[Any] = [[histogram.reference_errors, *histogram.sample_errors]]
    errors += [part.errors for part in histogram.parts]
    return {
        "name": histogram.name.replace("_", " "),
        "label": runs(histogram.label),
        "range": [_number(histogram.edges[0]), _number(histogram.edges[-1])],
        "parts": [
            {
                "counts": [[_number(value) for value in values] for values in counts[number]],
                "errors": [[_number(value) for value in values] for values in errors[number]] if weighted else None,
                "figures": [_figures(histogram.name, sample, number) for sample in samples],
            }
            for number in range(len(counts))
        ],
    }


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else float(f"{value:.6g}")


def _figures(name: str, sample: SampleResult, number: int) -> list[list[str | int] | None] | str:
    """Of one observable, for all showers (0) or in a part."""
    region = sample.regions[number - 1] if number else None
    items = sample.distances if region is None else region.distances
    found = next((item for item in items if item.name == name), None)
    if found is None:
        return "not computable" if region is None else f"not computable: {region.not_computable[name]}"
    return [_figure(found, metric) for metric in METRICS]


def _figure(item: ObservableDistances, metric: str) -> list[str | int] | None:
    distance = item.figures.get(metric)
    if distance is None:
        return None
    return [significant(distance.value), significant(distance.strictest_floor), int(distance.within_floor)]
