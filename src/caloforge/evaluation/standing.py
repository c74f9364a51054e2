"""For how large a sample of full simulation a sample can stand in, by one of its distances."""

from __future__ import annotations

from dataclasses import dataclass

from caloforge.evaluation.results import Distance


@dataclass(frozen=True)
class StandIn:
    """A number of showers, and where it lies if the distance is one error larger or smaller.

    Attributes:
        showers: up to so many the noise of a sample hides the difference.
        low: the same with the distance one standard error larger.
        high: one standard error smaller; None where nothing is left of the difference then.
    """

    showers: float
    low: float
    high: float | None


def stand_in(distance: Distance, order: int, size: float) -> StandIn | None:
    """The number of showers at which the floor would equal what the distance has in excess of it.

    The noise of a distance of order p falls as N^(-p/2), so with q = 2/p the q-th powers of value v and floor f fall as
    1/N, and a true difference adds to them (in quadrature for a norm like Wasserstein-1, linearly for a divergence):

        N = N_0 f^q / (v^q - g^q)

    with N_0 = 2 n m / (n + m) the size compared, f the floor of two samples with conditions of their own, and g that of
    the comparison, which is f or, where the conditions are equal, the lower one of swapped pairs.

    Limits: it holds for the observable and the distance it is computed of, by itself and over all conditions; a chi2 of
    counts has no such size; and far above `size` it extrapolates how the noise falls.

    Args:
        distance: value and floors.
        order: p of that metric, 1 or 2.
        size: N_0, effective events.

    Returns:
        None where the distance is within its floor: then all one knows is that N is no smaller than N_0.

    >>> from caloforge.evaluation.results import Measured
    >>> found = stand_in(Distance(Measured(0.05, 0.0), Measured(0.03, 0.002), None, band=2.0), 1, 10_000)
    >>> round(found.showers)
    5625
    """
    if distance.within_floor:
        return None
    power = 2.0 / order
    noise, own = distance.floor.value**power, distance.strictest_floor.value**power

    def showers(value: float) -> float | None:
        excess = max(value, 0.0) ** power - own
        return size * noise / excess if excess > 0 else None

    value, error = distance.value.value, distance.value.error
    middle, low = showers(value), showers(value + error)
    assert middle is not None  # beyond the floor
    assert low is not None
    return StandIn(middle, low, showers(value - error))
