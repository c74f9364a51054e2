"""Numbers as text, and what the sizes of the samples allow to say."""

from __future__ import annotations

import math
from dataclasses import dataclass

from caloforge.evaluation import Evaluation, Measured
from caloforge.evaluation.distances import BEYOND
from caloforge.evaluation.metrics import METRICS
from caloforge.evaluation.ranking import COLUMNS, fast_seconds, full_seconds
from caloforge.evaluation.results import Distance, ObservableDistances, SampleInfo, SampleResult
from caloforge.evaluation.standing import StandIn, stand_in

_LISTED = 6  # observables a verdict names with their sizes
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


def significant(figure: Measured) -> str:
    """'12.3 ± 0.4': as many digits as the error has two of; four significant ones without an error."""
    if not figure.error > 0:
        return f"{figure.value:.4g}"
    digits = min(max(1 - math.floor(math.log10(figure.error)), 0), 12)
    return f"{figure.value:.{digits}f} ± {figure.error:.{digits}f}"


def percent(value: float, digits: int) -> str:
    """'+1.2 %' of 0.012; without a sign where it rounds to zero."""
    text = f"{100 * value:+.{digits}f}"
    return f"{text if float(text) else text[1:]} %"


def rank(distance: Distance) -> str:
    """CSS class of a cell of the table: within the floor, small, or large."""
    if distance.within_floor:
        return "within"
    return "large" if distance.value.value > 0.1 else "small"


def no_evidence(auc: Measured) -> bool:
    """Whether an AUC lies within two errors of the 1/2 of equal distributions, or below it."""
    return auc.value <= 0.5 + 2 * auc.error


def ranked(figure: Measured, name: str) -> str:
    """A figure of the ranking in the unit of its column: '0.539 ± 0.008', '16', '0.557'."""
    column = COLUMNS[name]
    value, error = column.scale * figure.value, column.scale * figure.error
    if not error > 0:
        return f"{value:.3g}"
    digits = 3 if column.scale == 1 else 2
    return measured(Measured(value, error), digits) if error > 10**-digits else small(figure)


WHOLE_SHOWERS = {
    "fpd": "Fr\u00e9chet physics distance",
    "kpd": "kernel physics distance",
    "manifold": "precision, recall, density, coverage",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "prd_auc": "PRD, area under the curve",
    "image_frechet": "Fr\u00e9chet distance of images",
    "layers_auc": "AUC, gradient boosting on layers",
    "dnn_low_level": "AUC, dense network on cells",
    "dnn_normalised": "AUC, dense network on cells over their layer",
    "dnn_high_level": "AUC, dense network on observables",
    "resnet18": "AUC, ResNet-18 on images",
    "memorisation": "copies of the training set",
    "nearer_to_training": "nearer to the training set than the reference",
    "near_training": "share near to the training set",
}
"""Names of the figures of whole showers, for people."""


RECONSTRUCTION = {
    "response": "linearity",
    "energy_resolution": "energy resolution",
    "position_resolution_x": "position resolution in x",
    "position_resolution_y": "position resolution in y",
    "bias_x": "mean position in x",
    "bias_y": "mean position in y",
}
"""Names of the figures of the reconstruction, for people."""

SEPARATIONS = {"e/gamma": "electrons from photons", "e/pi": "electrons from charged pions"}


def particle(code: int) -> str:
    """'e-' of 11; the PDG code itself where it has no name."""
    from particle import InvalidParticle, Particle, ParticleNotFound

    try:
        return str(Particle.from_pdgid(code).name)
    except (InvalidParticle, ParticleNotFound):
        return f"particle {code}"


def hundredfold(figure: Measured) -> str:
    """'8.75 ± 0.15' of 0.0875 ± 0.0015, for columns in per cent."""
    return significant(Measured(100 * figure.value, 100 * figure.error))


def small(figure: Measured | None) -> str:
    """'0.0123 ± 0.0004', with an exponent where there would be zeros only, or a dash."""
    if figure is None:
        return DASH
    size = max(abs(figure.value), abs(figure.error))
    style = ".1e" if 0 < size < 1e-3 else ".4f"
    return f"{figure.value:{style}} ± {figure.error:{style}}"


def p_value(value: float | None) -> str:
    """'0.32', '0.0033', '2e-15', or a dash."""
    return DASH if value is None else f"{value:.2g}"


def details(numbers: dict[str, float]) -> str:
    """'error rate 0.41, epoch 7'."""
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in numbers.items())


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


def _speed(sample: SampleResult, evaluation: Evaluation) -> Headline | None:
    """Seconds of one core a shower from request to file, against those of full simulation.

    Geant4 showers among the samples count before the reference: they are likelier to be of the same machine.
    """
    fast = fast_seconds(sample.info)
    full = full_seconds([*(item.info for item in evaluation.samples), evaluation.reference.info])
    if fast is None:
        return None
    if full is None:
        return Headline("Time a shower", f"{1000 * fast:.3g} ms", "of one core, file included, as generate noted it")
    note = f"core against core, file included: {1000 * fast:.3g} ms against {1000 * full:.3g} ms"
    return Headline("Faster than Geant4", f"{_three(full / fast)} {TIMES}", note)


def _three(value: float) -> str:
    """Two to three significant digits without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def two_digits(number: float) -> str:
    """'12,000' of 12,345: as exact as an estimate of a sample size deserves."""
    return f"{float(f'{number:.2g}'):,.0f}"


def size(info: SampleInfo) -> str:
    """'10,000 showers', and with weights how many showers of weight 1 they are worth."""
    if info.effective_events == info.events:
        return f"{info.events:,} showers"
    return f"{info.events:,} weighted showers (worth {info.effective_events:,.0f} without weights)"


def compared_size(sample: SampleResult, evaluation: Evaluation) -> float:
    """N_0 = 2 n m / (n + m) of the effective numbers of showers: the size of two equal samples with the same noise."""
    n, m = sample.info.effective_events, evaluation.reference.info.effective_events
    return 2 * n * m / (n + m)


def verdict(sample: SampleResult, evaluation: Evaluation) -> list[str]:
    """What can be told from the reference, what cannot, and for how many showers the sample can stand in.

    By Wasserstein-1, observable by observable; `caloforge.evaluation.standing` has the formula.
    """
    reference = evaluation.reference.info.label
    seen, alike = [], []
    known = compared_size(sample, evaluation)
    for item in sample.distances:
        found = stand_in(item.wasserstein, METRICS["wasserstein"].order, known)
        if found is None:
            alike.append(item)
        else:
            seen.append((found, item))
    total = len(sample.distances)
    lines = []
    if alike:
        lines.append(
            f"Indistinguishable from {reference} at this sample size: {len(alike)} of {total} observables "
            f"({_names(alike)}). Their differences are below the noise of {two_digits(known)} showers, "
            "which does not prove that there are none."
        )
    seen.sort(key=lambda pair: pair[0].showers)
    if seen:
        listed = "; ".join(f"{_words(item)}, {_stands_for(found)}" for found, item in seen[:_LISTED])
        more = f"; and {len(seen) - _LISTED} more" if len(seen) > _LISTED else ""
        lines.append(
            f"Distinguishable: {len(seen)} of {total} observables. Worst first, each with the number of showers up to "
            f"which the noise would hide it: {listed}{more}."
        )
        worst, item = seen[0]
        lines.append(
            f"In every single observable, {sample.info.label} can stand in for a sample of {_stands_for(worst)} "
            f"showers of {reference}; in a larger one {_words(item)} would differ by more than the noise."
        )
    else:
        lines.append(
            f"In every single observable, {sample.info.label} can stand in for a sample of {two_digits(known)} showers "
            f"of {reference} at least; how far beyond, samples of this size cannot tell."
        )
    lines.append(
        f"The floor is one for all observables together: all {total} of a perfect sample lie within it "
        f"{100 * (1 - BEYOND):.0f} times of 100."
    )
    return lines


def _words(item: ObservableDistances) -> str:
    return item.name.replace("_", " ")


def _names(items: list[ObservableDistances]) -> str:
    """The names, cut where there are very many."""
    names = [_words(item) for item in items]
    return ", ".join(names) if len(names) <= 24 else ", ".join(names[:24]) + f" and {len(names) - 24} more"


def _stands_for(found: StandIn) -> str:
    """'about 1,200 (900 to 1,700)'."""
    high = "more" if found.high is None else two_digits(found.high)
    return f"about {two_digits(found.showers)} ({two_digits(found.low)} to {high})"


def support(sample: SampleResult, evaluation: Evaluation) -> list[str]:
    """Plain words on what these sample sizes can show."""
    n, m = sample.info.effective_events, evaluation.reference.info.effective_events
    shift = 2 * (1 / n + 1 / m) ** 0.5
    lines = [
        f"{size(sample.info)} are compared with {size(evaluation.reference.info)} of "
        f"{evaluation.reference.info.label}. With sizes like these a mean that is off by less than {shift:.3f} "
        "standard deviations cannot be seen (two standard errors), nor can a feature that fewer than about one shower "
        f"in {max(1.0, min(n, m) // 10):,.0f} has.",
        "The floor is what a perfect generator would score: two random halves of the reference "
        f"({evaluation.reference.info.events // 2:,} showers each) against each other, scaled to the sizes compared: "
        "noise makes a Wasserstein distance grow as sqrt(1/n + 1/m), a separation power as 1/n + 1/m. Its ± is the "
        "spread over random halves. A distance is within the floor up to the number of these spreads that the largest "
        "excess of any observable reaches in one of 20 perfect samples.",
        "How many showers the sample can stand in for: the size at which the floor would equal what the Wasserstein "
        "distance has in excess of it, N = N₀ f²/(d² \N{MINUS SIGN} g²), with N₀ = 2nm/(n + m) "
        f"({two_digits(compared_size(sample, evaluation))} here), d the distance, f the floor, and g the floor of "
        "equal conditions where there is one, else f. It is for one observable at a time and over all conditions: in a "
        "narrow bin, or for all observables together, a difference can be larger. Sizes far beyond N₀ are "
        "extrapolated.",
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
