"""The neighbour model: returns what it was given, respects the symmetries, scales with the energy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.detector import Conditions, draw_conditions, load_detector, mirror_cells
from caloforge.errors import FormatError, RequestError
from caloforge.generation import generate
from caloforge.models.bundle import read_bundle
from caloforge.models.neighbour import NeighbourSampler, fit_neighbour, load_neighbour, pack
from caloforge.showers import Showers, load, save

DETECTOR = load_detector("lhcb-ecal")
THRESHOLD = 0.02


def made_up_showers(n: int) -> Showers:
    """Sparse cells with a sum proportional to the energy: a shower's bookkeeping without its physics."""
    conditions = draw_conditions(DETECTOR, seed=5, start=0, count=n)
    rng = np.random.default_rng(5)
    energies = rng.gamma(0.2, 1.0, (n, DETECTOR.n_cells)) * (rng.random((n, DETECTOR.n_cells)) < 0.15)
    energies *= 0.145 * conditions.matrix[:, :1] / energies.sum(axis=1, keepdims=True)
    return Showers(DETECTOR, conditions, energies.astype(np.float32))


def no_noise(n: int) -> NDArray[np.float32]:
    return np.empty((n, 0), dtype=np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("neighbour") / "full.h5"
    save(path, made_up_showers(400), source="import", provenance={"made": "up"})
    return path


@pytest.fixture(scope="module")
def sampler(data: Path) -> NeighbourSampler:
    return load_neighbour(read_bundle(fit_neighbour(data, data.with_name("a.caloforge"))))


def test_training_conditions_give_training_showers(data: Path, sampler: NeighbourSampler) -> None:
    showers = load(data, 0, 360)
    conditions = showers.conditions.inputs
    kept = np.where(showers.energies > THRESHOLD, showers.energies, 0)
    np.testing.assert_allclose(sampler.sample(conditions, no_noise(360)), kept, rtol=2**-11 + 1e-6)


def test_the_last_tenth_is_not_learnt(data: Path, sampler: NeighbourSampler) -> None:
    assert len(sampler) == 360
    assert read_bundle(data.with_name("a.caloforge")).provenance["events"] == [0, 360]
    rest = load(data, 360)
    made = sampler.sample(rest.conditions.inputs, no_noise(40))
    assert not np.isclose(made, rest.energies, rtol=0.01, atol=THRESHOLD).all(axis=1).any()


@pytest.mark.parametrize("flip", [(True, False), (False, True), (True, True)])
def test_mirrored_conditions_give_the_mirrored_shower(sampler: NeighbourSampler, flip: tuple[bool, bool]) -> None:
    conditions = draw_conditions(DETECTOR, seed=9, start=0, count=100)
    flips = np.full(100, flip[0]), np.full(100, flip[1])
    mirrored = conditions.mirrored(*flips).inputs
    here = sampler.sample(conditions.inputs, no_noise(100))
    there = sampler.sample(mirrored, no_noise(100))
    np.testing.assert_array_equal(there, mirror_cells(here, DETECTOR, *flips))
    assert not np.array_equal(there, here)


def test_energies_scale_with_the_incident_energy() -> None:
    one = made_up_showers(1)
    sampler = NeighbourSampler(DETECTOR, pack(one.conditions.inputs, one.energies))
    conditions = one.conditions.inputs.repeat(3, axis=0)
    conditions[:, 0] *= np.array([0.5, 1.0, 2.0], dtype=np.float32)
    half, same, double = sampler.sample(conditions, no_noise(3))
    np.testing.assert_allclose(half * 2, same, rtol=1e-6)
    np.testing.assert_allclose(double, same * 2, rtol=1e-6)


def test_the_nearest_is_of_the_particle_asked_for() -> None:
    electron = made_up_showers(1)
    photon = Conditions(DETECTOR, electron.conditions.matrix, np.array([22]))
    inputs = np.concatenate([electron.conditions.inputs, photon.inputs])
    energies = np.where(electron.energies > THRESHOLD, electron.energies, 0)  # twice what is left out may be kept
    sampler = NeighbourSampler(DETECTOR, pack(inputs, np.concatenate([energies, 2 * energies])))
    asked = inputs.copy()
    asked[:, 0] = 100e3  # far from both
    made = sampler.sample(asked, no_noise(2))
    np.testing.assert_allclose(made[1], 2 * made[0], rtol=1e-3)


def test_a_shower_does_not_depend_on_its_batch(sampler: NeighbourSampler) -> None:
    conditions = draw_conditions(DETECTOR, seed=2, start=0, count=50).inputs
    together = sampler.sample(conditions, no_noise(50))
    alone = np.concatenate([sampler.sample(row[None], no_noise(1)) for row in conditions])
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(("family", "neighbours"), [("neighbour", 1), ("interpolation", 4)])
def test_the_nearest_events_are_those_found_by_comparing_all(
    data: Path, tmp_path: Path, family: str, neighbours: int
) -> None:
    sampler = load_neighbour(read_bundle(fit_neighbour(data, tmp_path / "a.caloforge", family=family)))
    depth = DETECTOR.reference_depth

    def in_mm(conditions: Conditions) -> NDArray[np.float64]:
        energy, x, y, ax, ay = conditions.matrix.T
        return np.stack([np.log(energy) / 0.05, x, y, depth * np.tan(ax), depth * np.tan(ay)], axis=1)

    asked = draw_conditions(DETECTOR, seed=3, start=0, count=20)
    library = load(data, 0, 360)
    distances, images = [], []
    for flip_x in (False, True):
        for flip_y in (False, True):
            flips = np.full(360, flip_x), np.full(360, flip_y)
            image = in_mm(library.conditions.mirrored(*flips))
            distances.append(np.linalg.norm(in_mm(asked)[:, None] - image, axis=2))
            images.append(mirror_cells(library.energies, DETECTOR, *flips))
    everything = np.concatenate(distances, axis=1)
    nearest = everything.argsort(axis=1)[:, :neighbours]
    weights = 1 / np.take_along_axis(everything, nearest, axis=1)
    scale = asked.column("energy")[:, None] / library.conditions.column("energy")[nearest % 360]
    found = np.concatenate(images)[nearest]
    scaled = np.where(found > THRESHOLD, found, 0) * scale[:, :, None]
    expected = (weights[:, :, None] * scaled).sum(axis=1) / weights.sum(axis=1)[:, None]
    made = sampler.sample(asked.inputs, no_noise(20))
    np.testing.assert_allclose(made, expected, rtol=2**-11 + 2e-5)


def test_real_showers_keep_their_response(shared_data: Path, tmp_path: Path) -> None:
    data = shared_data / "lhcb-ecal-electron-train.h5"
    bundle = read_bundle(fit_neighbour(data, tmp_path / "a.caloforge", stop=5000))
    truth = load(data, 48_000)
    made = load_neighbour(bundle).sample(truth.conditions.inputs, no_noise(2000))
    energy = truth.conditions.column("energy")
    ours, theirs = made.sum(axis=1) / energy, truth.energies.sum(axis=1) / energy
    assert abs(ours.mean() / theirs.mean() - 1) < 4 * np.sqrt(2 / 2000) * theirs.std() / theirs.mean()
    assert abs(ours.std() / theirs.std() - 1) < 0.1
    assert (tmp_path / "a.caloforge").stat().st_size < 5000 * 450


@pytest.mark.parametrize("stop", [0, -1])
def test_nothing_to_learn_from_is_refused(data: Path, tmp_path: Path, stop: int) -> None:
    with pytest.raises(RequestError, match=f"has 400 showers; there are none before number {stop}"):
        fit_neighbour(data, tmp_path / "a.caloforge", stop=stop)
    assert not list(tmp_path.iterdir())


def test_values_that_the_library_cannot_hold_are_refused() -> None:
    conditions = np.ones((1, 6), dtype=np.float32)
    with pytest.raises(RequestError, match=r"70000 MeV.*65504"):
        pack(conditions, np.full((1, 900), 7e4, dtype=np.float32))


def test_a_library_that_does_not_fit_is_refused() -> None:
    one = made_up_showers(2)
    library = pack(one.conditions.inputs, one.energies)
    with pytest.raises(FormatError, match="do not fit"):
        NeighbourSampler(DETECTOR, library | {"energies": library["energies"][:-1]})
    with pytest.raises(FormatError, match="occupied"):
        NeighbourSampler(DETECTOR, {name: library[name] for name in ("conditions", "energies")})


def test_inputs_of_a_wrong_shape_are_refused(sampler: NeighbourSampler) -> None:
    with pytest.raises(RequestError, match="one column for each of energy, x, y"):
        sampler.sample(np.ones((3, 5), dtype=np.float32), no_noise(3))
    with pytest.raises(RequestError, match=r"expected \(3, 0\)"):
        sampler.sample(np.ones((3, 6), dtype=np.float32), no_noise(2))


def test_its_domain_is_what_its_events_cover(tmp_path: Path) -> None:
    narrow = draw_conditions(DETECTOR, seed=5, start=0, count=400, energy=(10e3, 20e3))
    showers = made_up_showers(400)
    save(tmp_path / "narrow.h5", Showers(DETECTOR, narrow, showers.energies), source="import", provenance={})
    domain = read_bundle(fit_neighbour(tmp_path / "narrow.h5", tmp_path / "narrow.caloforge")).domain
    assert (domain.low[0], domain.high[0]) == pytest.approx((10e3, 20e3), rel=0.02)


def test_a_mixture_is_learnt_and_generated_particle_by_particle(tmp_path: Path) -> None:
    conditions = draw_conditions(DETECTOR, 5, 0, 400, {11: 1, 22: 1})
    energies = made_up_showers(400).energies * np.where(conditions.pdg == 22, 3.0, 1.0)[:, None].astype(np.float32)
    save(tmp_path / "mixed.h5", Showers(DETECTOR, conditions, energies), source="import", provenance={})
    path = fit_neighbour(tmp_path / "mixed.h5", tmp_path / "mixed.caloforge")
    assert read_bundle(path).domain.particles == (11, 22)
    made = generate(DETECTOR, 40, model=path, particle={11: 1, 22: 3}, seed=2)
    assert isinstance(made, Showers)
    assert set(made.conditions.pdg.tolist()) == {11, 22}
    for code in (11, 22):
        alone = generate(DETECTOR, 40, model=path, particle=code, seed=2)
        assert isinstance(alone, Showers)
        same = made.conditions.pdg == code
        np.testing.assert_array_equal(made.energies[same], alone.energies[same])
