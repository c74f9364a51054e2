"""The classifier two-sample test: gradient boosting on observables and conditions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError
from caloforge.evaluation.boosting import QUARTERS, Floats, Labels, Scorer, boosted, is_scored, quarters
from caloforge.evaluation.results import Classifier, Measured
from caloforge.evaluation.roc import auc_with_error, mean_auc
from caloforge.random import permutation

LEAST_SCORED = 25
"""So many scored events of each class a turn needs in a part of the conditions for an AUC of that part."""


@dataclass(frozen=True, eq=False)
class Turn:
    """One assignment of roles to the quarters, and the events scored in it.

    Attributes:
        scores: (K,) probability of class 1.
        labels: (K,) class, 0 or 1.
        rows: (K,) the event's row in the features of its class.
        error_rate: balanced error rate at probability 1/2.
        importance: (F,) loss of AUC when a feature is shuffled.
    """

    scores: Floats
    labels: Labels
    rows: Labels
    error_rate: float
    importance: Floats

    def auc(self) -> Measured:
        """Of all scored events."""
        return auc_with_error(self.scores, self.labels)

    def part(self, first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Turn:
        """The scored events of a part, chosen by masks over the rows of class 0 and class 1."""
        chosen = np.where(self.labels == 0, first[self.rows], second[self.rows])
        return dataclasses.replace(self, scores=self.scores[chosen], labels=self.labels[chosen], rows=self.rows[chosen])


@dataclass(frozen=True, eq=False)
class Scored:
    """A classifier test with the scores of single events, so that parts of the conditions can be judged by it.

    Attributes:
        result: what a report needs.
        turns: sample (class 1) against reference (class 0).
        floor: halves of the reference against each other; the rows of both classes are those of the reference.
    """

    result: Classifier
    turns: list[Turn]
    floor: list[Turn]


def part_auc(turns: list[Turn], first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Measured | None:
    """AUC on the scored events of a part, the mean over the turns; None where a turn has fewer than 25 of a class.

    No event is scored by a classifier that it trained, so equal distributions give 1/2 in every part. The classifier
    knows the conditions but learnt from all of them: one that learns from the part alone could see more, so a
    difference is rather under- than overestimated. It is no mean of such figures over parts: the AUC of all
    events also ranks events of different parts against each other.

    Args:
        turns: of a `Scored`.
        first: mask over the rows of class 0.
        second: mask over the rows of class 1.
    """
    parts = [turn.part(first, second) for turn in turns]
    if min(np.bincount(part.labels, minlength=2).min() for part in parts) < LEAST_SCORED:
        return None
    return mean_auc([part.auc() for part in parts])


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
    """How well gradient boosting tells sample from reference: `scored` without the scores."""
    return scored(sample, reference, names, paired=paired, seed=seed, rotations=rotations, features=features).result


def scored(
    sample: Floats,
    reference: Floats,
    names: list[str],
    *,
    paired: bool,
    seed: int,
    rotations: int = QUARTERS,
    features: str = "observables and conditions",
) -> Scored:
    """How well gradient boosting tells sample from reference, and what it gave each event.

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
    turns = [_test(sample[:events], reference[:events], paired, seed, turn) for turn in range(rotations)]
    half = len(reference) // 2
    order = permutation(seed, "evaluation/classifier/floor", 0, len(reference))[: 2 * half].reshape(2, half)
    halves = [_test(reference[order[0]], reference[order[1]], False, seed, turn) for turn in range(rotations)]
    floor = [dataclasses.replace(turn, rows=order[1 - turn.labels, turn.rows]) for turn in halves]
    importance = np.mean([turn.importance for turn in turns], axis=0)
    ranked = np.argsort(-importance, kind="stable")
    result = Classifier(
        features=features,
        auc=mean_auc([turn.auc() for turn in turns]),
        error_rate=float(np.mean([turn.error_rate for turn in turns])),
        events=events,
        rotations=rotations,
        floor=mean_auc([turn.auc() for turn in floor]),
        floor_events=half,
        importance={names[index]: float(importance[index]) for index in ranked},
    )
    return Scored(result, turns, floor)


def _test(sample: Floats, reference: Floats, paired: bool, seed: int, turn: int) -> Turn:
    """Train, choose the number of trees and score, for one assignment of roles to the quarters."""
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
    guess = scores > 0.5
    rate = 0.5 * float(np.mean(guess[y[test] == 0])) + 0.5 * float(np.mean(~guess[y[test] == 1]))
    rows = np.tile(np.arange(events), 2)[test]
    return Turn(scores, y[test], rows, rate, _importance(score, x[test], y[test], seed))


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
