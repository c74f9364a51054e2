"""The files that come with the package are what the documentation promises; nothing here is skipped or replaced."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from caloforge.generation import generate
from caloforge.models.bundle import Bundle, read_bundle, reference_sample, shipped_bundle
from caloforge.showers import ShowerFile, Showers, load

DETECTOR = "lhcb-ecal"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(shipped_bundle(DETECTOR))


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
