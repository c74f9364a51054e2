"""The classifier two-sample test: gradient boosting on observables and conditions."""

from __future__ import annotations

import numpy as np

from caloforge.errors import RequestError
from caloforge.evaluation.boosting import QUARTERS, Floats, Labels, Scorer, boosted, is_scored, quarters
from caloforge.evaluation.results import Classifier, Measured
from caloforge.evaluation.roc import auc_with_error, mean_auc
from caloforge.random import permutation


def classify(
    sample: Floats,
    reference: Floats,
    names: list[str],
    *,
    paired: bool,
    seed: int,
    rotations: int = QUARTERS,
    features: str = "observables and conditions",
) -> Classifier:
    """How well gradient boosting tells sample from reference.

    Events are split into four random quarters; two train, one chooses the number of trees by its log loss, one is
    scored. `rotations` times the roles move on by one quarter, so that with 4 every event is scored once. Pairs with
    equal conditions stay in the same quarter: apart, the classifier would learn the conditions of one and be wrong on
    the other, which pulls the AUC below its true value. The larger sample is cut to the size of the smaller.

    Args:
        sample: (n, F) features.
        reference: (m, F) features.
        names: F names of the features.
        paired: event i of both has the same conditions.
        seed: of the splits.
        rotations: 1 to 4.
        features: what the features are, in words.

    Raises:
        RequestError: fewer than 100 events, or features that are not finite.
    """
    events = min(len(sample), len(reference))
    figures = [_test(sample[:events], reference[:events], paired, seed, turn) for turn in range(rotations)]
    half = len(reference) // 2
    order = permutation(seed, "evaluation/classifier/floor", 0, len(reference))
    floor_parts = (reference[order[:half]], reference[order[half : 2 * half]])
    floor = [_test(*floor_parts, False, seed, turn)[0] for turn in range(rotations)]
    importance = np.mean([drop for _, _, drop in figures], axis=0)
    ranked = np.argsort(-importance, kind="stable")
    return Classifier(
        features=features,
        auc=mean_auc([auc for auc, _, _ in figures]),
        error_rate=float(np.mean([rate for _, rate, _ in figures])),
        events=events,
        rotations=rotations,
        floor=mean_auc(floor),
        floor_events=half,
        importance={names[index]: float(importance[index]) for index in ranked},
    )


def _test(sample: Floats, reference: Floats, paired: bool, seed: int, turn: int) -> tuple[Measured, float, Floats]:
    """AUC, error rate and loss of AUC by feature, for one assignment of roles to the quarters."""
    events = len(sample)
    if events < 50:
        raise RequestError(f"{events} events a class are too few for a classifier test; use at least 100")
    x = np.concatenate([reference, sample])
    y = np.repeat([0, 1], events)
    first = quarters(events, seed, "reference")
    quarter = np.concatenate([first, first if paired else quarters(events, seed, "sample")])
    score = boosted(x, y, quarter, turn, seed)
    test = is_scored(quarter, turn)
    scores = score(x[test])
    auc = auc_with_error(scores, y[test])
    guess = scores > 0.5
    rate = 0.5 * float(np.mean(guess[y[test] == 0])) + 0.5 * float(np.mean(~guess[y[test] == 1]))
    return auc, rate, _importance(score, x[test], y[test], seed)


def _importance(score: Scorer, x: Floats, y: Labels, seed: int) -> Floats:
    """Loss of AUC when one feature is shuffled among (at most 2,000) test events."""
    keep = permutation(seed, "evaluation/classifier/importance", 0, len(x))[:2000]
    x, y = x[keep], y[keep]
    if min(np.bincount(y, minlength=2)) < 2:
        return np.zeros(x.shape[1])
    base = auc_with_error(score(x), y).value
    drops = np.empty(x.shape[1])
    for feature in range(x.shape[1]):
        shuffled = x.copy()
        shuffled[:, feature] = x[permutation(seed, "evaluation/classifier/shuffle", feature, len(x)), feature]
        drops[feature] = base - auc_with_error(score(shuffled), y).value
    return drops
