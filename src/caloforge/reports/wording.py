"""Numbers as text, and what the sizes of the samples allow to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caloforge.evaluation import Evaluation, Measured
from caloforge.evaluation.results import Distance, SampleResult

DASH, TIMES, SIGMA = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}", "\N{GREEK SMALL LETTER SIGMA}"


@dataclass(frozen=True)
class Headline:
    """One box at the top of the page."""

    title: str
    figure: str
    note: str


def measured(figure: Measured | None, digits: int = 3) -> str:
    """'0.123 ± 0.004', or a dash."""
    return DASH if figure is None else f"{figure.value:.{digits}f} ± {figure.error:.{digits}f}"


def percent(value: float, digits: int) -> str:
    """'+1.2 %' of 0.012; without a sign where it rounds to zero."""
    text = f"{100 * value:+.{digits}f}"
    return f"{text if float(text) else text[1:]} %"


def rank(distance: Distance) -> str:
    """CSS class of a cell of the table: within the floor, small, or large."""
    if distance.within_floor:
        return "within"
    return "large" if distance.value.value > 0.1 else "small"


def headlines(sample: SampleResult, evaluation: Evaluation) -> list[Headline]:
    """The figures a reader wants first."""
    found = []
    speed = _speed(sample, evaluation)
    if speed is not None:
        found.append(speed)
    ratio = sample.ratio
    bins = len(ratio.response)
    for title, values, errors, digits in (
        ("Response, worst bin", ratio.response, ratio.response_error, 2),
        ("Resolution, worst bin", ratio.resolution, ratio.resolution_error, 1),
    ):
        value, error = max(zip(values, errors, strict=True), key=lambda pair: abs(pair[0] - 1))
        note = f"± {100 * error:.{digits}f} %; worst of {bins} bins of log E"
        found.append(Headline(title, percent(value - 1, digits), note))
    worst = max(sample.distances, key=lambda item: item.wasserstein.value.value)
    found.append(
        Headline("Largest Wasserstein-1", f"{worst.wasserstein.value.value:.3f} {SIGMA}", worst.name.replace("_", " "))
    )
    within = sum(item.wasserstein.within_floor for item in sample.distances)
    found.append(Headline("Within the floor", f"{within} of {len(sample.distances)}", "observables, Wasserstein-1"))
    auc = sample.classifier.auc
    floor = sample.classifier.floor
    note = f"± {auc.error:.3f}; floor {floor.value:.3f} ± {floor.error:.3f}"
    found.append(Headline("Classifier AUC", f"{auc.value:.3f}", note))
    return found


def _seconds(provenance: dict[str, Any], key: str) -> float | None:
    value = provenance.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _speed(sample: SampleResult, evaluation: Evaluation) -> Headline | None:
    """Seconds of one core a shower from request to file, against those of full simulation.

    Geant4 showers among the samples count before the reference: they are likelier to be of the same machine.
    """
    fast = _seconds(sample.info.provenance, "seconds_per_shower_core")
    infos = [*(item.info for item in evaluation.samples), evaluation.reference.info]
    full = next(filter(None, (_seconds(info.provenance, "seconds_per_event_core") for info in infos)), None)
    if fast is None:
        return None
    if full is None:
        return Headline("Time a shower", f"{1000 * fast:.3g} ms", "of one core, file included, as generate noted it")
    note = f"core against core, file included: {1000 * fast:.3g} ms against {1000 * full:.3g} ms"
    return Headline("Faster than Geant4", f"{_three(full / fast)} {TIMES}", note)


def _three(value: float) -> str:
    """Two to three significant digits without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def support(sample: SampleResult, evaluation: Evaluation) -> list[str]:
    """Plain words on what these sample sizes can show."""
    n, m = sample.info.events, evaluation.reference.info.events
    shift = 2 * (1 / n + 1 / m) ** 0.5
    lines = [
        f"{n:,} showers are compared with {m:,} of {evaluation.reference.info.label}. With sizes like these a mean "
        f"that is off by less than {shift:.3f} standard deviations cannot be seen (two standard errors), nor can "
        f"a feature that fewer than about one shower in {max(1, min(n, m) // 10):,} has.",
        "The floor is what a perfect generator would score: two random halves of the reference "
        f"({m // 2:,} showers each) against each other, scaled to the sizes compared: noise makes a Wasserstein "
        "distance grow as sqrt(1/n + 1/m), a separation power as 1/n + 1/m. Its ± is the spread over random halves.",
    ]
    if sample.same_conditions:
        lines.append(
            "Every shower has a partner in the reference under the same conditions. Then a perfect generator scores "
            "lower than two samples with conditions of their own: the floor of equal conditions exchanges partners at "
            "random, and it is the one that decides what is set in bold. The exchanges mix sample and reference, so a "
            "sample that is far off raises this floor a little; for a perfect one it is exact."
        )
    else:
        lines.append(
            "The two samples have conditions of their own, so part of every distance is the luck of the draw; "
            "generate with --like the reference to take that part away."
        )
    classifier = sample.classifier
    lines.append(
        f"The classifier saw {classifier.events:,} showers of each kind, and {classifier.floor_events:,} for its "
        f"floor: an AUC below about {0.5 + 2 * classifier.auc.error:.3f} is no evidence of a difference at this size; "
        "a larger sample may show one."
    )
    if sample.info.source == "model":
        lines.append(
            "A generative model holds no more information than the sample it was trained on: more generated showers "
            "than that make curves smooth, not more certain."
        )
    return lines
