"""The classifier two-sample test: gradient boosting on observables and conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError
from caloforge.evaluation.results import Classifier, Measured
from caloforge.evaluation.roc import auc_with_error
from caloforge.random import permutation

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

Floats = NDArray[np.float64]
QUARTERS = 4
MAX_ITERATIONS = 150


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
        auc=_mean([auc for auc, _, _ in figures]),
        error_rate=float(np.mean([rate for _, rate, _ in figures])),
        events=events,
        rotations=rotations,
        floor=_mean(floor),
        floor_events=half,
        importance={names[index]: float(importance[index]) for index in ranked},
    )


def _mean(parts: list[Measured]) -> Measured:
    """Mean over disjoint test parts."""
    errors = np.array([part.error for part in parts])
    return Measured(float(np.mean([part.value for part in parts])), float(np.sqrt((errors**2).sum()) / len(parts)))


def _quarters(events: int, seed: int, stream: str) -> NDArray[np.int64]:
    quarter = np.empty(events, dtype=np.int64)
    quarter[permutation(seed, f"evaluation/classifier/{stream}", 0, events)] = np.arange(events) % QUARTERS
    return quarter


def _test(sample: Floats, reference: Floats, paired: bool, seed: int, turn: int) -> tuple[Measured, float, Floats]:
    """AUC, error rate and loss of AUC by feature, for one assignment of roles to the quarters."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    events = len(sample)
    if events < 50:
        raise RequestError(f"{events} events a class are too few for a classifier test; use at least 100")
    x = np.concatenate([reference, sample])
    if not np.isfinite(x).all():
        raise RequestError("a feature of the classifier is NaN or infinite; expected finite observables")
    y = np.repeat([0, 1], events)
    first = _quarters(events, seed, "reference")
    second = first if paired else _quarters(events, seed, "sample")
    role = (np.concatenate([first, second]) + turn) % QUARTERS
    train, stop, test = role <= 1, role == 2, role == 3
    model = HistGradientBoostingClassifier(
        max_iter=MAX_ITERATIONS, learning_rate=0.1, max_leaf_nodes=31, early_stopping=False, random_state=seed % 2**32
    )
    model.fit(x[train], y[train])
    best = _best_iteration(model, x[stop], y[stop])
    scores = _scores(model, x[test], best)
    auc = auc_with_error(scores, y[test])
    guess = scores > 0.5
    rate = 0.5 * float(np.mean(guess[y[test] == 0])) + 0.5 * float(np.mean(~guess[y[test] == 1]))
    return auc, rate, _importance(model, x[test], y[test], best, auc.value, seed)


def _best_iteration(model: HistGradientBoostingClassifier, x: Floats, y: NDArray[np.int64]) -> int:
    """Number of trees with the least log loss."""
    losses = []
    for probability in model.staged_predict_proba(x):
        right = np.where(y == 1, probability[:, 1], probability[:, 0])
        losses.append(-float(np.log(np.clip(right, 1e-12, 1.0)).mean()))
    return int(np.argmin(losses)) + 1


def _scores(model: HistGradientBoostingClassifier, x: Floats, iterations: int) -> Floats:
    """Probability of class 1 after `iterations` trees."""
    for number, probability in enumerate(model.staged_predict_proba(x), start=1):
        if number == iterations:
            return np.asarray(probability[:, 1], dtype=np.float64)
    raise RequestError(f"the classifier has fewer than {iterations} trees")


def _importance(
    model: HistGradientBoostingClassifier, x: Floats, y: NDArray[np.int64], iterations: int, auc: float, seed: int
) -> Floats:
    """Loss of AUC when one feature is shuffled among (at most 2,000) test events."""
    keep = permutation(seed, "evaluation/classifier/importance", 0, len(x))[:2000]
    x, y = x[keep], y[keep]
    if min(np.bincount(y, minlength=2)) < 2:
        return np.zeros(x.shape[1])
    base = auc_with_error(_scores(model, x, iterations), y).value
    drops = np.empty(x.shape[1])
    for feature in range(x.shape[1]):
        shuffled = x.copy()
        shuffled[:, feature] = x[permutation(seed, "evaluation/classifier/shuffle", feature, len(x)), feature]
        drops[feature] = base - auc_with_error(_scores(model, shuffled, iterations), y).value
    return drops
