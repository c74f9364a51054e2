"""Gradient-boosted trees whose number is chosen on events that neither train nor are scored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError
from caloforge.random import permutation

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Scorer = Callable[[Floats], Floats]
QUARTERS = 4
MAX_ITERATIONS = 150


def quarters(events: int, seed: int, stream: str) -> Labels:
    """(events,) number from 0 to 3: the quarter each event belongs to, at random."""
    quarter = np.empty(events, dtype=np.int64)
    quarter[permutation(seed, f"evaluation/classifier/{stream}", 0, events)] = np.arange(events) % QUARTERS
    return quarter


def boosted(x: Floats, y: Labels, quarter: Labels, turn: int, seed: int) -> Scorer:
    """Trees trained on two quarters, as many as have the least log loss in a third; the fourth is left for a score.

    Args:
        x: (N, F) features.
        y: (N,) class, 0 or 1.
        quarter: (N,) quarter of each event.
        turn: how far the roles of the quarters have moved on.
        seed: of the trees.

    Returns:
        A function of (M, F) features: (M,) probability of class 1.

    Raises:
        RequestError: features that are not finite.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    if not np.isfinite(x).all():
        raise RequestError("a feature of the classifier is NaN or infinite; expected finite observables")
    role = (quarter + turn) % QUARTERS
    train, stop = role <= 1, role == 2
    model = HistGradientBoostingClassifier(
        max_iter=MAX_ITERATIONS, learning_rate=0.1, max_leaf_nodes=31, early_stopping=False, random_state=seed % 2**32
    )
    model.fit(x[train], y[train])
    losses = []
    for probability in model.staged_predict_proba(x[stop]):
        right = np.where(y[stop] == 1, probability[:, 1], probability[:, 0])
        losses.append(-float(np.log(np.clip(right, 1e-12, 1.0)).mean()))
    best = int(np.argmin(losses))

    def score(values: Floats) -> Floats:
        stages = (
            probability for number, probability in enumerate(model.staged_predict_proba(values)) if number == best
        )
        return np.asarray(next(stages)[:, 1], dtype=np.float64)

    return score


def is_scored(quarter: Labels, turn: int) -> NDArray[np.bool_]:
    """(N,) whether an event is in the quarter that neither trains nor chooses in this turn."""
    return np.equal((quarter + turn) % QUARTERS, QUARTERS - 1)
