"""The files that come with the package are what the documentation promises; nothing here is skipped or replaced."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from caloforge.errors import DomainError
from caloforge.generation import generate
from caloforge.models.bundle import Bundle, read_bundle, reference_sample, shipped_bundle
from caloforge.showers import ShowerFile, Showers, load

DETECTOR = "lhcb-ecal"


@pytest.fixture(scope="module", params=["wgan-gp", "flow"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return read_bundle(shipped_bundle(DETECTOR, request.param))


@pytest.fixture(scope="module")
def reference() -> Showers:
    return load(reference_sample(DETECTOR))


@pytest.fixture(scope="module")
def generated() -> Showers:
    """2,000 showers of the shipped model at the conditions of the reference, in batches of 10,000."""
    made = generate(DETECTOR, like=reference_sample(DETECTOR), seed=1, batch=10_000, threads=1)
    assert isinstance(made, Showers)
    return made


def test_the_model_is_small_and_of_the_detector(bundle: Bundle) -> None:
    assert bundle.path.stat().st_size <= 10_000_000
    assert bundle.detector.name == DETECTOR
    assert {"sampler.onnx", "detector.toml"} <= set(bundle.parts)
    assert bundle.domain.low == tuple(bundle.detector.low)
    assert bundle.domain.high == tuple(bundle.detector.high)


def test_the_reference_is_small_and_the_model_has_not_learnt_from_it() -> None:
    path = reference_sample(DETECTOR)
    assert path.stat().st_size <= 4_000_000
    with ShowerFile(path) as file:
        assert (len(file), file.source) == (2000, "geant4")
        assert file.provenance["events"] == [45_000, 47_000]
        assert file.provenance["seconds_per_event_core"] > 0


def test_the_response_is_that_of_full_simulation(generated: Showers, reference: Showers) -> None:
    energy = reference.conditions.column("energy")
    np.testing.assert_allclose(generated.conditions.column("energy"), energy)
    ours, theirs = (showers.energies.sum(axis=1) / energy for showers in (generated, reference))
    assert abs(ours.mean() / theirs.mean() - 1) < 0.01
    energy_range = reference.detector.conditions[reference.detector.column("energy")]
    inner = np.geomspace(energy_range.low, energy_range.high, 4)[1:-1]
    number = np.digitize(energy, inner)
    for index in range(3):
        inside = number == index
        assert inside.sum() > 300
        assert abs(ours[inside].mean() / theirs[inside].mean() - 1) < 0.02


def test_the_default_model_is_the_most_faithful_one() -> None:
    assert shipped_bundle(DETECTOR) == shipped_bundle(DETECTOR, "wgan-gp")


def test_photons_and_electrons_of_one_model_start_at_different_depths() -> None:
    """Photons convert later, so their showers lean further in the direction of flight; both leave the same energy."""
    made = {}
    for particle in (11, 22):
        showers = generate(DETECTOR, 4000, model="flow", particle=particle, energy=(8e3, 12e3), seed=1)
        assert isinstance(showers, Showers)
        assert set(showers.conditions.pdg) == {particle}
        energies, angle = showers.energies, np.tan(showers.conditions.column("angle_xz"))
        x = energies @ showers.detector.cell_centres[:, 0] / energies.sum(1) - showers.conditions.column("x")
        depth = (x * angle).sum() / np.square(angle).sum()  # slope of the barycentre against the angle, mm
        made[particle] = depth, (energies.sum(1) / showers.conditions.column("energy")).mean()
    assert 3 < made[22][0] - made[11][0] < 20
    assert made[22][1] == pytest.approx(made[11][1], rel=0.01)


def test_a_particle_that_another_shipped_model_makes_is_pointed_out() -> None:
    with pytest.raises(DomainError, match=r"PDG code 22 is not among .*\(11,\); a model .*: --model flow"):
        generate(DETECTOR, 10, particle=22)
    with pytest.raises(DomainError, match=r"PDG code 2212 is not among .*\(11,\)$"):
        generate(DETECTOR, 10, particle=2212)


def test_the_batch_does_not_change_a_bit(generated: Showers) -> None:
    made = generate(DETECTOR, like=reference_sample(DETECTOR), seed=1, batch=10, threads=1)
    assert isinstance(made, Showers)
    np.testing.assert_array_equal(made.energies, generated.energies)


def test_every_engine_gives_the_same_showers(generated: Showers) -> None:
    engines = ["onnxruntime"]
    if importlib.util.find_spec("torch") is not None:
        engines.append("torch")
    for engine in engines:
        made = generate(DETECTOR, 200, like=reference_sample(DETECTOR), seed=1, engine=engine, threads=1)
        assert isinstance(made, Showers)
        hottest = generated.energies[:200].max(axis=1, keepdims=True)
        assert (np.abs(made.energies - generated.energies[:200]) / hottest).max() < 1e-5
