"""Parts and cells of the conditions, the classifier in them, and the order of generators, against known answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caloforge.evaluation import Evaluation, Measured, evaluate
from caloforge.evaluation.classifier import LEAST_SCORED, Turn, part_auc, scored
from caloforge.evaluation.grid import shares
from caloforge.evaluation.ranking import best, expected_worst, ranking
from caloforge.evaluation.roc import auc_with_error
from caloforge.showers import Showers, save


def turn(scores: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> Turn:
    return Turn(scores, labels, rows, 0.5, np.zeros(1))


def test_the_auc_of_a_part_is_that_of_its_showers_and_few_have_none() -> None:
    rng = np.random.default_rng(1)
    n = 200
    labels = np.repeat([0, 1], n)
    rows = np.tile(np.arange(n), 2)
    first, second = np.arange(n) < 90, np.arange(n) >= 150
    scores = rng.normal(size=2 * n) + labels * np.tile(np.arange(n) >= 150, 2)
    found = part_auc([turn(scores, labels, rows)], first, second)
    own = np.concatenate([scores[:90], scores[n + 150 :]])
    assert found == auc_with_error(own, np.repeat([0, 1], [90, 50]))
    few = np.arange(n) < LEAST_SCORED - 1
    assert part_auc([turn(scores, labels, rows)], few, second) is None


def test_a_classifier_is_right_only_where_the_samples_differ() -> None:
    """They differ by one sigma in one half of a condition; the floor is 1/2 everywhere, with rows of the reference."""
    rng = np.random.default_rng(2)
    condition = rng.random((2, 3000))
    x = rng.normal(size=(2, 3000))
    x[1] += condition[1] > 0.5
    sample, reference = (np.column_stack([x[i], condition[i]]) for i in (1, 0))
    test = scored(sample, reference, ["x", "c"], paired=False, seed=1, rotations=2)
    low, high = (part_auc(test.turns, *masks) for masks in (condition < 0.5, condition >= 0.5))
    assert low is not None
    assert high is not None
    assert abs(low.value - 0.5) < 4 * low.error
    assert abs(high.value - 0.760) < 4 * high.error  # Phi(1 / sqrt 2), two normals one sigma apart
    for part in test.floor:
        assert len(part.rows) == len(np.unique(part.rows))  # each reference event once, on one side
    mask = condition[0] < 0.5
    floor = part_auc(test.floor, mask, mask)
    assert floor is not None
    assert abs(floor.value - 0.5) < 4 * floor.error


def test_cells_hold_equal_shares_or_single_values() -> None:
    values = np.random.default_rng(3).random(10_000)
    edges = shares(values, 5)
    np.testing.assert_allclose(edges, np.linspace(0, 1, 6), atol=0.02)
    np.testing.assert_array_equal(np.histogram(values, edges)[0], 2000)
    np.testing.assert_array_equal(shares(np.array([5.0, 5.0, 7.0, 7.0]), 6), [5, 6, 7])
    np.testing.assert_array_equal(shares(np.array([5.0, 5.0]), 6), [5, 5])


@pytest.fixture(scope="module")
def bent(tmp_path_factory: pytest.TempPathFactory, make_showers: Callable[..., Showers]) -> Evaluation:
    """A sample with 10 % too much energy above the median energy, one that is perfect, both at other conditions."""
    folder = tmp_path_factory.mktemp("bent")
    save(folder / "full.h5", make_showers(1300, seed=1), source="geant4", provenance={"seconds_per_event_core": 0.1})
    good, bad = make_showers(1300, seed=2), make_showers(1300, seed=3)
    energy = bad.conditions.column("energy")
    energies = bad.energies * np.where(energy > np.median(energy), 1.1, 1.0)[:, None].astype(np.float32)
    save(folder / "bad.h5", dataclasses.replace(bad, energies=energies), source="model", provenance={})
    save(folder / "good.h5", good, source="model", provenance={"seconds_per_shower_core": 0.001})
    return evaluate([folder / "bad.h5", folder / "good.h5"], folder / "full.h5", quick=True)


def test_the_cells_say_where_a_sample_is_wrong(bent: Evaluation) -> None:
    bad = bent.samples[0]
    (grid,) = bad.grids
    assert (grid.along.variable, grid.across and grid.across.variable) == ("energy", "angle")
    assert sum(cell.events_reference for cell in grid.cells) == 1300
    assert sum(cell.events for cell in grid.cells) >= 1290  # but for those beyond the reference's ends
    middle = (len(grid.along.edges) - 1) / 2
    for cell in grid.cells:
        assert cell.response is not None
        assert cell.excess is not None
        if cell.column + 1 <= middle:
            assert abs(cell.response.value - 1.0) < 4 * cell.response.error
        elif cell.column >= middle:
            assert cell.response.value == pytest.approx(1.1, abs=4 * cell.response.error)
    worst = max(grid.cells, key=lambda cell: cell.excess or 0.0)
    assert worst.column >= middle - 0.5
    thirds = [part for part in bad.regions if part.variable == "energy"]
    for part, expected in ((thirds[0], 1.0), (thirds[2], 1.1)):
        assert part.response is not None
        assert part.response.value == pytest.approx(expected, abs=4 * part.response.error)
        assert part.auc is not None
        assert part.auc_floor is not None


def test_cells_with_too_few_showers_say_so(tmp_path: Path, make_showers: Callable[..., Showers]) -> None:
    save(tmp_path / "full.h5", make_showers(500, seed=1), source="geant4", provenance={})
    showers = make_showers(900, seed=2)
    low = showers[showers.conditions.column("energy") < 9000]
    save(tmp_path / "low.h5", low, source="model", provenance={})
    sample = evaluate(tmp_path / "low.h5", tmp_path / "full.h5", quick=True).samples[0]
    empty = [cell for grid in sample.grids for cell in grid.cells if cell.auc is None]
    assert empty
    assert all("too few" in cell.note or "fewer than" in cell.note for cell in empty)


def test_the_parts_of_a_histogram_are_the_showers_of_the_regions(bent: Evaluation) -> None:
    for histogram in bent.histograms:
        for number, part in enumerate(histogram.parts):
            assert part.errors is None
            for counts, sample in zip(part.samples, bent.samples, strict=True):
                region = sample.regions[number]
                assert (part.variable, part.low, part.high) == (region.variable, region.low, region.high)
                assert sum(counts) == region.events
                assert sum(part.reference) == region.events_reference
    thirds = [part for part in bent.histograms[0].parts if part.variable == "energy"]
    together = np.sum([part.reference for part in thirds], axis=0)
    assert np.abs(together - bent.histograms[0].reference).sum() <= 2  # events at the edges of two thirds count in both


def test_generators_are_in_order_and_the_floor_is_that_of_a_perfect_one(bent: Evaluation) -> None:
    assert [rank.label for rank in bent.ranking] == ["good", "bad"]
    good, bad = (rank.figures for rank in bent.ranking)
    assert bent.floor.figures["seconds"].value == 0.1
    assert good["seconds"].value == 0.001
    assert "seconds" not in bad
    assert best("classifier_auc", bent.ranking) == good["classifier_auc"].value
    assert best("within_floor", bent.ranking) == good["within_floor"].value
    assert best("seconds", bent.ranking) is None
    distances = [item.wasserstein.value.value for item in bent.samples[1].distances]
    assert good["wasserstein_mean"].value == pytest.approx(np.mean(distances))
    assert good["wasserstein_worst"].value == max(distances)
    floor = bent.floor.figures["response_worst"]
    assert good["response_worst"].value < floor.value + 4 * floor.error < bad["response_worst"].value
    again, _ = ranking(bent.reference, bent.samples[::-1])
    assert again == bent.ranking


def test_the_worst_of_several_deviations_by_chance() -> None:
    draws = np.abs(np.random.default_rng(4).normal(size=(200_000, 3)) * [0.01, 0.02, 0.005]).max(axis=1)
    found = expected_worst(np.array([0.01, 0.02, 0.005]))
    assert found.value == pytest.approx(draws.mean(), rel=0.01)
    assert found.error == pytest.approx(draws.std(), rel=0.01)
    assert expected_worst(np.zeros(2)) == Measured(0.0, 0.0)
