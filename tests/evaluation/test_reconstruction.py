"""Reconstruction of sample and reference: known resolutions, known deviations, particles told apart, and reasons."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.detector import load_detector
from caloforge.errors import RequestError
from caloforge.evaluation.boosting import quarters
from caloforge.evaluation.collect import Sample, collect
from caloforge.evaluation.particles import separate
from caloforge.evaluation.performance import deviation_rows, deviations, performance, ratios
from caloforge.evaluation.reconstructed import Reconstructed, calibrate_with, reconstruct
from caloforge.evaluation.reconstruction import compare_reconstruction
from caloforge.evaluation.resampling import nominal
from caloforge.evaluation.resolution import resolution_terms
from caloforge.evaluation.rows import Draws
from caloforge.random import normals, uniforms
from caloforge.reconstruction import Clusters
from caloforge.showers import Showers, save

Make = Callable[..., Showers]
Floats = NDArray[np.float64]
FEW = Draws(errors=20, floors=20, permutations=100)
EDGES = np.geomspace(1e3, 1e5, 7)
STOCHASTIC, CONSTANT, PLACE = 0.1, 0.02, 3.0


def smeared(n: int, seed: int = 1, codes: tuple[int, ...] = (11,)) -> Reconstructed:
    """Showers with sigma/E = 10 %/sqrt(E) (+) 2 % and positions with 3 mm in x and 6 mm in y."""
    incident = 1e3 * 100 ** uniforms(seed, "test/energies", 0, n, 1)[:, 0]
    noise = normals(seed, "test/noise", 0, n, 3).astype(np.float64)
    energy = incident * (1 + np.hypot(STOCHASTIC / np.sqrt(incident / 1e3), CONSTANT) * noise[:, 0])
    shape = uniforms(seed, "test/shapes", 0, n, 4)
    clusters = Clusters(
        seed=0.1 * energy * shape[:, 0],
        square3=0.1 * energy,
        energy=0.14 * energy,
        position=np.zeros((n, 2)),
        width=10 + shape[:, 1:3],
        layers=np.ones((n, 1)),
    )
    pdg = np.array(codes, dtype=np.int32)[np.arange(n) % len(codes)]
    residual = noise[:, 1:] * [PLACE, 2 * PLACE]
    return Reconstructed("some", pdg, incident, 0.15 * energy, np.ones(n), clusters, energy, residual)


def test_a_known_resolution_is_found_in_every_bin_and_in_its_terms() -> None:
    found = performance(smeared(60_000), EDGES)
    assert sum(found.events) == 60_000
    for number, (low, high) in enumerate(pairwise(EDGES)):
        inverse = 1e3 * (1 / low - 1 / high) / np.log(high / low)  # mean of 1/E for a density 1/E
        expected = {
            "response": 1.0,
            "energy_resolution": np.sqrt(STOCHASTIC**2 * inverse + CONSTANT**2),
            "position_resolution_x": PLACE,
            "position_resolution_y": 2 * PLACE,
            "bias_x": 0.0,
            "bias_y": 0.0,
        }
        assert set(expected) == set(found.figures)
        for name, value in expected.items():
            figure = found.figures[name][number]
            assert abs(figure.value - value) < 4 * figure.error, name
            assert 0 < figure.error < 0.15 * max(value, 1.0)
    assert found.terms is not None
    for term, value in ((found.terms.stochastic, STOCHASTIC), (found.terms.constant, CONSTANT)):
        assert abs(term.value - value) < 4 * term.error
        assert term.error < 0.03 * value
    assert found.terms.chi2 < 20  # 4 degrees of freedom


def test_errors_of_the_terms_are_their_spread() -> None:
    terms = [performance(smeared(3000, seed), EDGES).terms for seed in range(40)]
    for name, value in (("stochastic", STOCHASTIC), ("constant", CONSTANT)):
        figures = [getattr(item, name) for item in terms]
        pulls = np.array([(figure.value - value) / figure.error for figure in figures])
        assert abs(pulls.mean()) < 0.6
        assert 0.7 < pulls.std() < 1.35


def test_terms_are_never_imaginary_and_need_three_bins() -> None:
    inverse = np.array([1.0, 0.1, 0.01])
    steep = 0.1 * inverse**0.7  # falls faster than 1/sqrt(E)
    found = resolution_terms(inverse, steep, [1e-3] * 3)
    assert found is not None
    assert found.constant.value == 0.0
    assert found.constant.error > 0
    assert found.stochastic.value**2 == pytest.approx((inverse @ np.ones(3)) / (inverse**2 @ steep**-2))
    assert resolution_terms(inverse[:2], [0.1, 0.05], [1e-3] * 2) is None
    assert resolution_terms([0.1] * 3, [0.1, 0.11, 0.12], [1e-3] * 3) is None


def test_showers_with_weights_are_those_showers_so_many_times() -> None:
    once = smeared(3000)
    times = np.arange(3000) % 4
    weighted = performance(dataclasses.replace(once, weights=times.astype(np.float64)), EDGES)
    repeated = performance(once[np.repeat(np.arange(3000), times)], EDGES)
    for name, figures in weighted.figures.items():
        for figure, other in zip(figures, repeated.figures[name], strict=True):
            # The spread has n - 1 with the effective number of showers, which is smaller than that of repetitions.
            assert figure.value == pytest.approx(other.value, rel=2e-3, abs=1e-9)
            assert figure.error >= other.error


def test_the_same_showers_do_not_deviate_and_known_changes_have_known_sizes() -> None:
    truth = smeared(4000)

    def deviation(sample: Reconstructed) -> dict[str, float]:
        return deviations(sample, truth, EDGES)(nominal(len(sample), len(truth)))

    assert deviation(truth) == pytest.approx(dict.fromkeys(deviation(truth), 0.0), abs=1e-9)
    scaled = deviation(dataclasses.replace(truth, energy=1.01 * truth.energy))
    assert scaled["response"] == pytest.approx(0.01)
    assert scaled["energy_resolution"] == pytest.approx(0.0, abs=1e-9)
    moved = deviation(dataclasses.replace(truth, residual=truth.residual + np.array([0.6, 0.0])))
    assert moved["bias_x"] == pytest.approx(0.6 / PLACE, rel=0.05)
    assert moved["position_resolution_x"] == pytest.approx(0.0, abs=1e-9)
    assert moved["bias_y"] == pytest.approx(0.0, abs=1e-9)
    blurred = deviation(dataclasses.replace(truth, residual=truth.residual * [1.0, 1.2]))
    assert blurred["position_resolution_y"] == pytest.approx(0.2)
    assert blurred["position_resolution_x"] == pytest.approx(0.0, abs=1e-9)
    found = ratios(
        performance(dataclasses.replace(truth, energy=1.01 * truth.energy), EDGES), performance(truth, EDGES)
    )
    assert [item.value for item in found["response"]] == pytest.approx([1.01] * 6)
    assert [item.value for item in found["position_resolution_y"]] == pytest.approx([1.0] * 6)


def test_perfect_samples_are_within_the_floor_and_shifts_are_seen() -> None:
    truth, other = smeared(3000, 1), smeared(3000, 2)
    rows = {row.name: row for row in deviation_rows(other, truth, EDGES, paired=False, seed=0, draws=FEW)}
    for row in rows.values():
        assert row.value is not None
        assert row.floor is not None
        assert row.p_value is not None
        assert row.p_value > 0.01
        assert abs(row.value.value - row.floor.value) < 4 * row.floor.error
    shifted = dataclasses.replace(other, energy=1.01 * other.energy, residual=other.residual + np.array([0.5, 0.0]))
    rows = {row.name: row for row in deviation_rows(shifted, truth, EDGES, paired=False, seed=0, draws=FEW)}
    assert {name for name, row in rows.items() if row.differs} == {"response", "bias_x"}


def test_a_reference_without_spread_has_no_ratio() -> None:
    truth = smeared(600)
    frozen = dataclasses.replace(truth, residual=np.ones((600, 2)))
    with pytest.raises(RequestError, match="position resolution x of 0"):
        ratios(performance(truth, EDGES), performance(frozen, EDGES))
    with pytest.raises(RequestError, match="no spread"):
        deviation_rows(truth, frozen, EDGES, paired=False, seed=0, draws=FEW)


def test_identical_particles_cannot_be_told_apart() -> None:
    truth, sample = smeared(4000, 1, (11, 22)), smeared(3000, 2, (11, 22))
    found = separate("e/gamma", sample, truth, paired=False, seed=0)
    assert found.events == [2000, 2000, 1500, 1500]
    for auc in (found.reference, found.sample):
        assert auc is not None
        assert abs(auc.value - 0.5) < 3 * auc.error
        assert auc.error < 0.012
    assert found.p_value is not None
    assert found.p_value > 0.01


def narrowed(item: Reconstructed, code: int, factor: float) -> Reconstructed:
    """The particles of this code with showers so much narrower."""
    factors = np.where(item.pdg == code, factor, 1.0)[:, None]
    return dataclasses.replace(item, clusters=dataclasses.replace(item.clusters, width=item.clusters.width * factors))


def test_a_separation_that_the_sample_lacks_is_seen() -> None:
    truth = narrowed(smeared(4000, 1, (11, 22)), 22, 0.96)
    good, bad = narrowed(smeared(3000, 2, (11, 22)), 22, 0.96), smeared(3000, 3, (11, 22))
    same, lost = (separate("e/gamma", item, truth, paired=False, seed=0) for item in (good, bad))
    assert same.reference is not None
    assert same.reference.value > 0.7
    assert not same.differs
    assert lost.differs
    assert lost.difference is not None
    assert lost.difference.value < -0.15


def test_particles_without_overlap_have_an_auc_near_one() -> None:
    truth, sample = (narrowed(smeared(800, seed, (-11, 211)), 211, 0.1) for seed in (1, 2))
    found = separate("e/pi", sample, truth, paired=False, seed=0)
    assert found.reference is not None
    assert found.sample is not None
    assert min(found.reference.value, found.sample.value) > 0.99
    assert not found.differs
    assert "E_rec/E" in found.note


@pytest.mark.parametrize(
    ("codes", "name", "reason"),
    [
        ((11,), "e/gamma", "one particle only in some (11)"),
        ((11, 22), "e/pi", "0 showers of pi in some; it takes 100"),
        ((11, *[22] * 19), "e/gamma", "50 showers of e in some"),
    ],
)
def test_without_enough_of_both_particles_the_reason_is_given(codes: tuple[int, ...], name: str, reason: str) -> None:
    item = smeared(1000, 1, codes)
    found = separate(name, item, item, paired=True, seed=0)
    assert found.difference is None
    assert reason in found.note


def test_no_shower_is_scored_by_trees_it_trained() -> None:
    """With random labels a shower scored by its own trees would be told apart; the AUC of held-out ones is 0.5."""
    truth = smeared(400, 1, (11, 22))
    found = separate("e/gamma", truth, truth, paired=True, seed=0)
    assert found.reference is not None
    assert abs(found.reference.value - 0.5) < 4 * found.reference.error
    assert sorted(np.bincount(quarters(400, 0, "particles/reference"))) == [100] * 4


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, make_showers: Make) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("reconstruction")
    showers = {"full": make_showers(900, seed=1), "other": make_showers(700, seed=2)}
    full = showers["full"]
    showers["scaled"] = dataclasses.replace(full, energies=full.energies * np.float32(1.02))
    weights = (1.0 + np.arange(700) % 2).astype(np.float64)
    showers["weighted"] = dataclasses.replace(showers["other"], weights=weights)
    mixed = make_showers(900, seed=3)
    codes = np.where(np.arange(900) % 3 == 0, 22, np.where(np.arange(900) < 860, 11, 211)).astype(np.int32)
    conditions = dataclasses.replace(mixed.conditions, pdg=codes)
    showers["mixed"] = dataclasses.replace(mixed, conditions=conditions)
    found = {}
    for name, item in showers.items():
        save(folder / f"{name}.h5", item, source="model", provenance={})
        found[name] = collect(folder / f"{name}.h5", name, progress=lambda *_: None)
    return found


def test_a_file_against_a_file(samples: dict[str, Sample]) -> None:
    good, scaled = compare_reconstruction(
        [samples["other"], samples["scaled"]], samples["full"], seed=0, draws=FEW, report=lambda *_: None
    )
    assert good.calibrated_with == [11]
    assert good.calibration_events == 225
    (electrons,) = good.particles
    assert electrons.particle == 11
    assert sum(electrons.reference.events) == 675
    assert sum(electrons.sample.events) == 700
    assert not any(row.differs for row in electrons.rows)
    (electrons,) = scaled.particles
    assert sum(electrons.sample.events) == 675  # the partners of what calibrates are left out
    assert [item.value for item in electrons.ratio["response"]] == pytest.approx([1.02] * 6, rel=2e-3)
    assert [item.value for item in electrons.ratio["position_resolution_x"]] == pytest.approx([1.0] * 6, abs=0.02)
    assert {row.name for row in electrons.rows if row.differs} >= {"response"}
    assert [item.note for item in good.separations] == ["one particle only in full (11)"] * 2


def test_weights_change_the_curves(samples: dict[str, Sample]) -> None:
    plain, weighted = compare_reconstruction(
        [samples["other"], samples["weighted"]], samples["full"], seed=0, draws=FEW, report=lambda *_: None
    )
    first, second = plain.particles[0].sample, weighted.particles[0].sample
    assert first.events == second.events
    assert first.figures["response"] != second.figures["response"]
    assert weighted.particles[0].rows[0].events < 600  # of weights 1 and 2, three quarters


def test_every_particle_has_figures_or_a_reason(samples: dict[str, Sample]) -> None:
    (found,) = compare_reconstruction([samples["mixed"]], samples["mixed"], seed=0, draws=FEW, report=lambda *_: None)
    assert found.calibrated_with == [11, 22]
    assert [item.particle for item in found.particles] == [11, 22]
    assert "showers of mixed; it takes 100" in found.not_computable["particle 211"]
    photons, pions = found.separations
    assert photons.difference is not None
    assert photons.difference.value == 0.0
    assert pions.difference is None


def test_a_particle_that_the_sample_lacks_is_named(samples: dict[str, Sample]) -> None:
    (found,) = compare_reconstruction([samples["full"]], samples["mixed"], seed=0, draws=FEW, report=lambda *_: None)
    assert [item.particle for item in found.particles] == [11]
    assert found.not_computable["particle 22"] == "0 showers of full; it takes 100"


def test_the_calibration_makes_the_reference_linear(samples: dict[str, Sample]) -> None:
    calibrated = calibrate_with(samples["full"], seed=0)
    assert not set(calibrated.fitted) & set(calibrated.left)
    found = reconstruct(samples["full"], calibrated.calibration)[calibrated.left]
    ratio = found.energy / found.incident
    assert abs(ratio.mean() - 1) < 4 * ratio.std() * (1 / 225 + 1 / 675) ** 0.5


def test_round_cells_have_no_clusters_and_that_is_said(samples: dict[str, Sample]) -> None:
    round_cells = dataclasses.replace(samples["full"], detector=load_detector("calochallenge-2"), clusters=None)
    (found,) = compare_reconstruction([round_cells], round_cells, seed=0, draws=FEW, report=lambda *_: None)
    assert "rings" in found.not_computable["clusters"]
    assert all("rings" in item.note for item in found.separations)
    assert not found.particles
