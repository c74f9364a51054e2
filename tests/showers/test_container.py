"""The container holds what showers can be, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from caloforge.errors import RequestError
from caloforge.showers import Showers, concatenate


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e-6])
@pytest.mark.parametrize("name", ["energies", "layer_energies", "absorber_energies"])
def test_energies_that_cannot_be_are_refused_by_place(showers: Showers, name: str, value: float) -> None:
    values = np.array(getattr(showers, name))
    values[3, 7] = value
    label = "showers" if name == "energies" else name
    with pytest.raises(RequestError, match=rf"{label}\[3, 7\] is .* finite and not negative"):
        Showers(**{**vars(showers), name: values})


def test_shapes_must_fit(showers: Showers) -> None:
    with pytest.raises(RequestError, match=r"showers must have shape \(40, 900\); got \(40, 899\)"):
        dataclasses.replace(showers, energies=showers.energies[:, :-1])
    with pytest.raises(RequestError, match=r"layer_energies must have shape \(40, 66\)"):
        dataclasses.replace(showers, layer_energies=np.zeros((40, 65), dtype=np.float32))
    with pytest.raises(RequestError, match=r"extrapolated must have shape \(40,\)"):
        dataclasses.replace(showers, extrapolated=np.zeros(39, dtype=bool))


def test_slices_join_to_the_whole(showers: Showers) -> None:
    whole = concatenate([showers[:15], showers[15:16], showers[16:]])
    assert whole.layer_energies is not None
    assert showers.layer_energies is not None
    np.testing.assert_array_equal(whole.energies, showers.energies)
    np.testing.assert_array_equal(whole.layer_energies, showers.layer_energies)
    np.testing.assert_array_equal(whole.conditions.matrix, showers.conditions.matrix)
    picked = showers[np.array([5, 2])]
    np.testing.assert_array_equal(picked.energies, showers.energies[[5, 2]])
    assert len(showers[:0]) == 0


def test_joining_never_loses_a_flag(showers: Showers) -> None:
    flagged = dataclasses.replace(showers[:2], extrapolated=np.array([True, False]))
    joined = concatenate([showers[2:4], flagged]).extrapolated
    assert joined is not None
    assert joined.tolist() == [False, False, True, False]


def test_joining_keeps_what_every_part_has(make_showers: Callable[[int], Showers]) -> None:
    one = make_showers(3)
    other = dataclasses.replace(one, layer_energies=None)
    joined = concatenate([one, other])
    assert joined.layer_energies is None
    assert joined.absorber_energies is not None
    assert len(joined) == 6


def test_weights_are_finite_and_joining_never_loses_them(showers: Showers) -> None:
    weighted = dataclasses.replace(showers[:2], weights=np.array([0.5, -2.0]))
    joined = concatenate([showers[2:4], weighted])
    assert joined.weights is not None
    assert joined.weights.tolist() == [1.0, 1.0, 0.5, -2.0]
    assert joined[1:3].weights is not None
    with pytest.raises(RequestError, match=r"weights must have shape \(2,\); got \(3,\)"):
        dataclasses.replace(weighted, weights=np.ones(3))
    with pytest.raises(RequestError, match=r"weights\[1\] is nan; weights must be finite"):
        dataclasses.replace(weighted, weights=np.array([1.0, np.nan]))


def test_conditions_of_another_detector_are_refused(showers: Showers) -> None:
    other = dataclasses.replace(showers.detector, name="other")
    with pytest.raises(RequestError, match="lhcb-ecal for showers of other"):
        dataclasses.replace(showers, detector=other)
    with pytest.raises(RequestError, match="same detector"):
        concatenate(
            [showers, Showers(other, dataclasses.replace(showers.conditions, detector=other), showers.energies)]
        )
