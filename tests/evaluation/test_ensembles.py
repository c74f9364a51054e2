"""Spread between members and its calibration: against the moments of the showers, and where the law is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from caloforge.detector import Detector
from caloforge.errors import FormatError, RequestError
from caloforge.evaluation import ensembles
from caloforge.evaluation.binned import moments
from caloforge.evaluation.ensembles import FIGURES, Figure, Summary, combine, coverage, pulls, spread, summarise
from caloforge.observables import compute
from caloforge.showers import Showers, save


def summary(mean: np.ndarray, error: float = 0.0) -> Summary:
    """Of one bin and as many observables as there are values."""
    values = np.atleast_2d(mean)
    figure = Figure(values, np.full_like(values, error))
    names = [str(number) for number in range(values.shape[1])]
    return Summary(names, [(1.0, 2.0)], np.array([100]), dict.fromkeys(FIGURES, figure))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, make_showers: Callable[..., Showers]) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    paths = [folder / f"{seed}.h5" for seed in range(3)]
    for seed, path in enumerate(paths):
        save(path, make_showers(400, seed), source="model", provenance={})
    return paths


def test_moments_are_those_of_the_showers_whatever_the_blocks(
    files: list[Path], make_showers: Callable[..., Showers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ensembles, "BLOCK", 90)
    edges = np.array([1e3, 8e3, 1e5])
    found = summarise(files[1], edges)
    made = make_showers(400, 1)
    energies = made.conditions.column("energy")
    observables = compute(made.energies.astype(np.float64), made.conditions.matrix, made.detector)
    assert found.bins == [(1e3, 1e5), (1e3, 8e3), (8e3, 1e5)]
    for number, (low, high) in enumerate(found.bins):
        inside = (energies >= low) & (energies <= high)
        for column, name in enumerate(found.names):
            expected = moments(observables[name][inside], np.ones(inside.sum()))
            values = [
                getattr(found.figures[figure], part)[number, column]
                for figure in FIGURES
                for part in ("value", "error")
            ]
            wanted = [expected.mean, expected.mean_error, expected.spread, expected.spread_error]
            # Conditions in files are rounded to float32.
            assert values == pytest.approx(wanted, rel=0.01, abs=1e-3 * expected.spread)


def test_identical_members_have_no_spread(files: list[Path]) -> None:
    found = spread([files[0]] * 3)
    assert all((found.figures[figure].error == 0).all() for figure in FIGURES)
    rows = found.to_json()
    assert len(rows) == len(found.members[0].bins) * len(found.members[0].names)
    assert {row["mean_spread"] for row in rows} == {0.0}


def test_members_with_other_showers_spread_by_their_statistical_errors(files: list[Path]) -> None:
    found = spread(files)
    ratios = found.figures["mean"].error / found.members[0].figures["mean"].error
    assert 0.6 < float(np.sqrt((ratios**2).mean())) < 1.4


def test_pulls_and_their_coverage_are_those_of_students_distribution() -> None:
    """Where the truth is one more member."""
    drawn = np.random.default_rng(1).normal(5.0, 2.0, (6, 40_000))
    found = pulls(combine([summary(row) for row in drawn[:5]]), summary(drawn[5]), "mean")
    assert stats.kstest(found[0], stats.t(4).cdf).pvalue > 1e-3
    assert coverage(found) == pytest.approx(stats.t(4).cdf(1) - stats.t(4).cdf(-1), abs=0.01)
    assert coverage(found, 1e9) == 1.0


def test_without_spread_the_statistical_error_counts() -> None:
    members = combine([summary(np.full(3, 2.0), 0.3)] * 2)
    found = pulls(members, summary(np.array([1.0, 2.0, 3.5]), 0.4), "deviation")
    np.testing.assert_allclose(found, [[2.0, 0.0, -3.0]])


def test_spread_can_be_left_out() -> None:
    members = combine([summary(np.array([1.0])), summary(np.array([3.0]))])  # spread sqrt(2)
    truth = summary(np.array([4.0]), 1.0)
    assert pulls(members, truth, "mean")[0] == pytest.approx(-1.0)  # 2 (1 + 1/2) + 1 = 4
    assert pulls(members, truth, "mean", with_spread=False)[0] == pytest.approx(-2.0)


def test_bad_requests(files: list[Path], tmp_path: Path, make_showers: Callable[..., Showers], lhcb: Detector) -> None:
    with pytest.raises(RequestError, match="two of them"):
        spread(files[:1])
    with pytest.raises(FormatError, match="missing"):
        spread([files[0], tmp_path / "missing.h5"])
    with pytest.raises(RequestError, match="different detectors"):
        combine([summary(np.zeros(2)), summary(np.zeros(3))])
    with pytest.raises(RequestError, match="showers in a bin"):
        summarise(files[0], np.array([1e3, 1001.0, 1e5]))
    weighted = dataclasses.replace(make_showers(100), weights=np.ones(100))
    save(tmp_path / "weighted.h5", weighted, source="model", provenance={})
    with pytest.raises(RequestError, match="weights"):
        spread([tmp_path / "weighted.h5"] * 2)
