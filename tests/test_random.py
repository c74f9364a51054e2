"""Streams: a row belongs to its event, whatever was asked for around it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from caloforge.errors import RequestError
from caloforge.random import MAX_SEED, normals, permutation, uniforms

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


def test_negative_counts_are_refused() -> None:
    with pytest.raises(RequestError, match="must not be negative"):
        uniforms(1, "noise", -1, 1, 1)
