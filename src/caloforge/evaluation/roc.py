"""Area under the ROC curve with DeLong's error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import RequestError
from caloforge.evaluation.results import Measured


def auc_with_error(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> Measured:
    """Probability that an event of class 1 scores above one of class 0 (ties count half), with its standard error.

    The error is that of DeLong, DeLong, Clarke-Pearson (Biometrics 44 (1988) 837), computed from ranks as in Sun, Xu
    (IEEE Signal Proc. Lett. 21 (2014) 1389); it covers the test events, not the training.

    Args:
        scores: (N,) classifier output.
        labels: (N,) 0 or 1.

    Raises:
        RequestError: NaN, or fewer than two events in a class.

    >>> import numpy as np
    >>> auc_with_error(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])).value
    1.0
    """
    from scipy.stats import rankdata

    positive, negative = scores[labels == 1], scores[labels == 0]
    n, m = len(positive), len(negative)
    if min(n, m) < 2 or not np.isfinite(scores).all():
        raise RequestError(f"an AUC needs finite scores and two events of each class; got {n} and {m}")
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:n] - rankdata(positive)) / m  # share of class 0 below each event of class 1
    below = 1.0 - (ranks[n:] - rankdata(negative)) / n
    variance = float(np.var(above, ddof=1)) / n + float(np.var(below, ddof=1)) / m
    return Measured(float(above.mean()), variance**0.5)


def mean_auc(parts: Sequence[Measured]) -> Measured:
    """Mean of AUCs measured on disjoint parts, with its standard error."""
    errors = np.array([part.error for part in parts])
    return Measured(float(np.mean([part.value for part in parts])), float(np.sqrt((errors**2).sum()) / len(parts)))
