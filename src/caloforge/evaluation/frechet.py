"""Frechet distance between Gaussians, and the Frechet physics distance made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caloforge.errors import RequestError
from caloforge.evaluation.resampling import Floats, Weights, picks

SIZES = (20_000, 50_000)
POINTS = 10
BATCHES = 20


@dataclass(frozen=True)
class ExtrapolatedDistance:
    """Frechet physics distance.

    Attributes:
        value: intercept of the fit against 1/N.
        fit_error: its error in the fit, which is the one jetnet prints; it leaves out that the events are finite.
        sizes: smallest and largest batch size N.
        published: whether these are the published sizes, so that the value compares with published tables.
    """

    value: float
    fit_error: float
    sizes: tuple[int, int]
    published: bool


def frechet_distance(mean: Floats, covariance: Floats, other_mean: Floats, other_covariance: Floats) -> float:
    """Frechet distance squared of two Gaussians, |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    The trace of the root is the sum of the roots of the eigenvalues of the symmetric R C2 R with R = C1^(1/2), which
    needs no complex numbers (Dowson, Landau, J. Multivariate Anal. 12 (1982) 450).

    Args:
        mean: (F,) of the first.
        covariance: (F, F) of the first.
        other_mean: (F,) of the second.
        other_covariance: (F, F) of the second.

    >>> import numpy as np
    >>> round(frechet_distance(np.zeros(2), np.eye(2), np.ones(2), 4 * np.eye(2)), 9)  # 2 + 2 (1 + 4 - 2 * 2)
    4.0
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    product = root @ other_covariance @ root
    eigenvalues = np.linalg.eigvalsh(0.5 * (product + product.T))
    shift = mean - other_mean
    traces = np.trace(covariance) + np.trace(other_covariance) - 2 * np.sqrt(np.clip(eigenvalues, 0.0, None)).sum()
    return max(0.0, float(shift @ shift + traces))


def weighted_frechet(x: Floats, weights: Weights) -> float:
    """Frechet distance of the (n + m, F) events of two sides; covariances are unbiased for equal weights."""
    return frechet_distance(*_weighted_moments(x, weights.sample), *_weighted_moments(x, weights.reference))


def _weighted_moments(x: Floats, weights: Floats) -> tuple[Floats, Floats]:
    used = weights > 0
    x, weights = x[used], weights[used]
    mean = weights @ x
    x = x - mean
    return mean, (x * weights[:, None]).T @ x / (1.0 - weights @ weights)


def scale_of(reference: Floats) -> Floats:
    """(F,) largest magnitude of each feature in the reference, 1 where it is 0: what jetnet divides by."""
    largest = np.abs(reference).max(axis=0)
    return np.where(largest == 0, 1.0, largest)


def check_features(sample: Floats, reference: Floats) -> None:
    """Two (N, F) matrices of finite numbers with as many features, and twice as many events as those at least.

    Raises:
        RequestError: they are not.
    """
    if sample.ndim != 2 or reference.ndim != 2 or sample.shape[1] != reference.shape[1]:
        raise RequestError(f"features have shapes {sample.shape} and {reference.shape}; expected (N, F) and (M, F)")
    if not (np.isfinite(sample).all() and np.isfinite(reference).all()):
        raise RequestError("a feature is NaN or infinite; expected finite observables")
    fewest, features = min(len(sample), len(reference)), reference.shape[1]
    if fewest < 2 * features:
        raise RequestError(f"{fewest} showers for {features} features; a covariance needs at least {2 * features}")


def frechet_physics_distance(reference: Floats, sample: Floats, *, seed: int) -> ExtrapolatedDistance:
    """Frechet physics distance of Kansal et al., Phys. Rev. D 107 (2023) 076017 (arXiv:2211.10295), as in jetnet 0.2.5.

    Features are divided by the largest magnitude they have in the reference. For 10 sizes N, equally spaced in 1/N, the
    Frechet distance is averaged over 20 draws of N events of each side with repetition; a line with non-negative
    intercept and slope is fitted to the means against 1/N, and the intercept is the distance. N goes from 20,000 to
    50,000, or, where a side has fewer than 50,000 events, from 0.4 of the smaller side to all of it: then it is not
    exactly the published number.

    Args:
        reference: (M, F) features.
        sample: (N, F) features.
        seed: of the draws.

    Raises:
        RequestError: features that do not fit together, are not finite, or too few events.
    """
    check_features(sample, reference)
    scale = scale_of(reference)
    sides = {"reference": reference / scale, "sample": sample / scale}
    largest = min(SIZES[1], len(sample), len(reference))
    smallest = largest * SIZES[0] // SIZES[1]
    sizes = (1.0 / np.linspace(1.0 / smallest, 1.0 / largest, POINTS) + 1e-9).astype(np.int64)
    means = []
    for point, size in enumerate(sizes):
        distances = []
        for draw in range(BATCHES):
            moments: list[Floats] = []
            for name, x in sides.items():
                drawn = x[picks(len(x), int(size), seed, f"evaluation/fpd/{name}/{point}", draw)]
                moments += [drawn.mean(axis=0), np.cov(drawn, rowvar=False).reshape(2 * (x.shape[1],))]
            distances.append(frechet_distance(*moments))
        means.append(float(np.mean(distances)))
    value, error = intercept(1.0 / sizes, np.array(means))
    return ExtrapolatedDistance(value, error, (int(sizes[0]), int(sizes[-1])), largest == SIZES[1])


def intercept(x: Floats, y: Floats) -> tuple[float, float]:
    """Intercept of the line a + b x with a, b >= 0 closest to the points in least squares, and its error.

    The error is that of an unbounded fit to points with the spread of the residuals, as scipy's `curve_fit` gives it.
    """
    from scipy.optimize import nnls

    unit = float(np.abs(x).max())
    columns = np.column_stack([np.ones_like(x), x / unit])
    solution, _ = nnls(columns, y)
    residuals = y - columns @ solution
    inverse = np.linalg.inv(columns.T @ columns)
    return float(solution[0]), float(np.sqrt(residuals @ residuals / (len(x) - 2) * inverse[0, 0]))
