"""Streams: a row belongs to its event, whatever was asked for around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.special import ndtri

from caloforge.errors import RequestError
from caloforge.random import MAX_SEED, inverse_normal, normals, permutation, uniforms

SEEDS = st.integers(0, MAX_SEED)


@settings(deadline=None)
@given(seed=SEEDS, start=st.integers(0, 2**40), count=st.integers(1, 40), width=st.integers(1, 17), data=st.data())
def test_a_row_depends_on_seed_stream_and_event_only(
    seed: int, start: int, count: int, width: int, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, count - 1))
    for draw in (uniforms, normals):
        together = draw(seed, "noise", start, count, width)
        alone = draw(seed, "noise", start + row, 1, width)
        np.testing.assert_array_equal(together[row], alone[0])


@pytest.mark.parametrize("width", [933, 20_001])  # many blocks of some events, blocks of one event
def test_an_event_does_not_depend_on_the_blocks_it_is_worked_on_in(width: int) -> None:
    together = normals(7, "noise", 5, 40, width)
    for row in (0, 16, 17, 18, 39):
        np.testing.assert_array_equal(together[row], normals(7, "noise", 5 + row, 1, width)[0])
    np.testing.assert_array_equal(together[9:30], normals(7, "noise", 14, 21, width))


@pytest.mark.parametrize("draw", [uniforms, normals])
@pytest.mark.parametrize(("count", "width"), [(0, 3), (3, 0), (0, 0)])
def test_no_numbers_can_be_asked_for(draw: Callable[..., NDArray[Any]], count: int, width: int) -> None:
    assert draw(1, "noise", 2, count, width).shape == (count, width)


def test_streams_and_seeds_do_not_share_numbers() -> None:
    blocks = [
        uniforms(seed, stream, 0, 200, 5).ravel() for seed in (0, 1, MAX_SEED) for stream in ("noise", "conditions", "")
    ]
    numbers = np.concatenate(blocks)
    assert len(np.unique(numbers)) == len(numbers)


def test_numbers_never_change_between_releases() -> None:
    expected = [0.811156290799495, 0.30410271308991066, 0.0604805341556246, 0.5360611925441937, 0.6177751748715009]
    assert uniforms(2026, "conditions", 5, 1, 5)[0].tolist() == expected


def test_uniforms_are_uniform_and_rows_uncorrelated() -> None:
    numbers = uniforms(3, "noise", 0, 20_000, 6)
    assert numbers.min() > 0
    assert numbers.max() < 1
    for column in numbers.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
        assert abs(np.corrcoef(column[1:], column[:-1])[0, 1]) < 5 / np.sqrt(20_000)
    assert np.abs(np.corrcoef(numbers.T) - np.eye(6)).max() < 5 / np.sqrt(20_000)


def test_normals_are_normal() -> None:
    numbers = normals(3, "noise", 0, 20_000, 3)
    assert numbers.dtype == np.float32
    assert stats.kstest(numbers.ravel(), "norm").pvalue > 1e-4
    moments = np.mean(numbers.astype(np.float64)[..., None] ** np.arange(1, 5), axis=(0, 1))
    errors = np.sqrt(np.array([1, 2, 15, 96]) / numbers.size)
    assert (np.abs(moments - [0, 1, 0, 3]) < 5 * errors).all()


def shares() -> NDArray[np.float64]:
    """Numbers that :func:`uniforms` can give, below 1/2: from the smallest on, and close to 1/2."""
    steps = np.geomspace(1, 2**51, 100_000).astype(np.int64) - 1
    return (np.concatenate([steps, 2**51 - 1 - steps]) + 0.5) * 2.0**-52


def test_the_inverse_normal_distribution_is_that_of_scipy_far_into_the_tails() -> None:
    u = np.concatenate([shares(), 1 - shares()])
    assert (u.min(), u.max()) == (2.0**-53, 1 - 2.0**-53)
    np.testing.assert_allclose(inverse_normal(u), ndtri(u), rtol=1.2e-9, atol=0)


def test_the_inverse_normal_distribution_is_exactly_odd() -> None:
    np.testing.assert_array_equal(inverse_normal(shares()), -inverse_normal(1 - shares()))


def test_the_inverse_normal_distribution_does_not_depend_on_the_place_in_an_array() -> None:
    u = uniforms(4, "noise", 0, 1, 128)[0]
    u[::9] = shares()[: len(u[::9])]
    alone = np.array([inverse_normal(u[i : i + 1])[0] for i in range(len(u))])
    for length in range(1, 65):
        for start in range(64):
            part = slice(start, start + length)
            np.testing.assert_array_equal(inverse_normal(u[part]), alone[part])


@settings(deadline=None)
@given(seed=SEEDS, epoch=st.integers(0, 1000), n=st.integers(0, 300))
def test_permutation_is_one(seed: int, epoch: int, n: int) -> None:
    assert sorted(permutation(seed, "training/batches", epoch, n).tolist()) == list(range(n))


def test_every_epoch_has_its_own_permutation() -> None:
    assert permutation(1, "a", 0, 50).tolist() != permutation(1, "a", 1, 50).tolist()
    assert permutation(1, "a", 0, 50).tolist() != permutation(1, "b", 0, 50).tolist()


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 1.5, "7"])
def test_a_bad_seed_is_refused(seed: object) -> None:
    with pytest.raises(RequestError, match="seed must be an integer"):
        uniforms(seed, "noise", 0, 1, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("draw", [uniforms, normals])
@pytest.mark.parametrize("numbers", [(-1, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_negative_counts_are_refused(draw: Callable[..., NDArray[Any]], numbers: tuple[int, int, int]) -> None:
    with pytest.raises(RequestError, match="must not be negative"):
        draw(1, "noise", *numbers)
