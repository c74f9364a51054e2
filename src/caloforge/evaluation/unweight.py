"""A weighted sample as one without weights, for tests that take events as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.evaluation.collect import Sample
from caloforge.random import uniforms


def unweighted(sample: Sample, seed: int) -> NDArray[np.int64]:
    """Indices of the `survivors` of a sample: all of them where it has no weights."""
    return np.arange(len(sample)) if sample.weights is None else survivors(sample.weights, seed)


def survivors(weights: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """Indices of events kept with probability weight / largest weight: independent events of the weighted distribution.

    No event is taken twice, so that training and test parts of a classifier share none. Event i is kept or not by the
    same random number whatever the sample: pairs with equal weights stay together.
    """
    draws = uniforms(seed, "evaluation/unweight", 0, len(weights), 1)[:, 0]
    return np.flatnonzero(draws < weights / weights.max(initial=0.0))
