"""Networks that tell samples apart, at tiny sizes: chance for equal samples, far above it for shifted ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from caloforge.detector import load_detector
from caloforge.errors import RequestError
from caloforge.evaluation import networks
from caloforge.evaluation.network_inputs import (
    NetworkPlan,
    Training,
    images,
    low_level,
    normalised_low_level,
    scaled_conditions,
)
from caloforge.evaluation.network_scores import KeptScores, NetworkScore
from caloforge.evaluation.networks import Convolution3x3, DenseClassifier, ResNet18, score_network
from caloforge.evaluation.results import Measured
from caloforge.showers import Showers

SHORT = Training(epochs=8, batch=50, rate=2e-3)


def dense(shift: float, seed: int = 0, events: int = 400) -> NetworkScore:
    rng = np.random.default_rng(1)
    sample, reference = (rng.normal(mean, 1.0, (events, 6)).astype(np.float32) for mean in (shift, 0.0))
    return score_network(lambda: DenseClassifier(6, 2, 32), sample, reference, SHORT, paired=False, seed=seed)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (2, 3), (4, 1), (5, 4)])
def test_a_convolution_without_what_meets_the_padding_is_the_whole_one(shape: tuple[int, int], stride: int) -> None:
    torch.manual_seed(1)
    short, x = Convolution3x3(3, 5, stride), torch.randn(2, 3, *shape, requires_grad=True)
    outputs = [short(x), torch.nn.functional.conv2d(x, short.weight, None, stride, 1)]
    torch.testing.assert_close(*outputs)
    gradients = [torch.autograd.grad(output.square().sum(), [x, short.weight]) for output in outputs]
    torch.testing.assert_close(*gradients)


def test_a_shifted_sample_is_told_apart_and_an_equal_one_is_not() -> None:
    shifted, equal = dense(1.0), dense(0.0)
    assert shifted.auc.value > 0.9
    assert shifted.error_rate.value < 0.2
    assert abs(equal.auc.value - 0.5) < 3 * equal.auc.error
    assert abs(equal.error_rate.value - 0.5) < 4 * equal.error_rate.error
    assert 1 <= shifted.epoch <= SHORT.epochs


def test_the_same_seed_gives_the_same_figures_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    assert dense(0.3) == dense(0.3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert dense(0.3) != dense(0.3, seed=1)


def test_an_interrupted_training_goes_on_to_the_same_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_SAVE_SECONDS", 0.0)
    rng = np.random.default_rng(1)
    sample, reference = (rng.gamma(shape, 1.0, (200, 1, 12, 12)).astype(np.float32) for shape in (1.1, 1.0))
    training = Training(epochs=8, batch=50, rate=2e-3, patience=3)

    def train(stop: int | None, checkpoint: Path | None) -> tuple[NetworkScore, list[int]]:
        epochs: list[int] = []

        def report(done: int, total: int) -> None:
            if done - 1 == stop:  # told before the epoch is saved
                raise KeyboardInterrupt
            epochs.append(done)

        found = score_network(
            lambda: ResNet18(4), sample, reference, training, paired=False, seed=0, report=report, checkpoint=checkpoint
        )
        return found, epochs

    whole, epochs = train(None, None)
    assert len(epochs) > 3
    for stop in epochs[:-2]:
        with pytest.raises(KeyboardInterrupt):
            train(stop, tmp_path / f"{stop}.safetensors")
        again, rest = train(None, tmp_path / f"{stop}.safetensors")
        assert again == whole
        assert rest == epochs[stop:]


def test_no_event_that_is_scored_trains_or_chooses() -> None:
    """With labels that only a memory of the events could tell, the test part stays at chance, the training does not."""
    found = dense(0.0, events=200)
    assert found.events == 200
    assert abs(found.auc.value - 0.5) < 3 * found.auc.error
    assert found.chosen_error_rate <= 0.5  # the best of eight epochs is below chance by its choice alone


def test_resnet18_has_the_published_shape_and_sees_a_shifted_image() -> None:
    network = ResNet18()
    published = 11_689_512 - (512 * 1000 + 1000) - 2 * 64 * 49  # torchvision's, less its 1,000 classes and two colours
    assert sum(item.numel() for item in network.parameters()) == published + 512 + 1
    assert network(torch.zeros(2, 1, 30, 30)).shape == (2, 1)
    rng = np.random.default_rng(2)
    x, y = np.arange(12)[:, None], np.arange(12)[None, :]

    def showers(middle: float) -> np.ndarray:
        blob = np.exp(-((x - middle) ** 2 + (y - 6) ** 2) / 8.0)
        images: np.ndarray = (blob * rng.exponential(size=(400, 12, 12)))[:, None].astype(np.float32)
        return images

    training = Training(epochs=5, batch=20, rate=2e-3)
    shifted = score_network(lambda: ResNet18(4), showers(5.0), showers(7.0), training, paired=False, seed=1)
    assert shifted.auc.value > 0.8


def test_the_training_ends_when_nothing_becomes_better() -> None:
    """A network that is right from the start has no fewer errors later; one that guesses goes on at most to the end."""
    rng = np.random.default_rng(4)
    sample, reference = (rng.normal(mean, 0.1, size=(200, 3)).astype(np.float32) for mean in (-5.0, 5.0))
    reported: list[tuple[int, int]] = []
    found = score_network(
        lambda: DenseClassifier(3, layers=1, hidden=8),
        sample,
        reference,
        Training(epochs=50, batch=20, rate=1e-2, patience=2),
        paired=False,
        seed=1,
        report=lambda done, total: reported.append((done, total)),
    )
    assert found.auc.value == 1.0
    assert reported[-2:] == [(found.epoch + 2, 50), (50, 50)]


def test_inputs_are_the_published_ones(make_showers: Callable[..., Showers]) -> None:
    showers = make_showers(5)
    cells, given, detector = showers.energies, showers.conditions.matrix, showers.detector
    conditions = scaled_conditions(given, detector)
    np.testing.assert_allclose(conditions[:, 0], np.log10(given[:, 0]), rtol=1e-6)
    assert np.abs(conditions[:, 1:]).max() <= 1.0
    low = low_level(cells, given, detector)
    np.testing.assert_allclose(low[:, -900:] * given[:, :1], cells, rtol=1e-5)
    normalised = normalised_low_level(cells, given, detector)
    np.testing.assert_allclose(normalised[:, 5:-1].sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(normalised[:, -1], np.log10(cells.sum(axis=1)), rtol=1e-5)
    assert images(cells, detector).shape == (5, 1, 30, 30)
    layered = load_detector("calogan")
    assert np.isfinite(
        normalised_low_level(np.zeros((2, 504), np.float32), np.ones((2, len(layered.conditions))), layered)
    ).all()
    with pytest.raises(RequestError, match="one rectangular grid"):
        images(np.zeros((2, 504), np.float32), layered)


def test_the_plan_is_the_published_one() -> None:
    plan = NetworkPlan()
    assert (plan.layers, plan.hidden, plan.dense) == (3, 2048, Training(epochs=50, batch=1000, rate=2e-4))
    assert plan.resnet.epochs == 100
    network = DenseClassifier(10, plan.layers, plan.hidden)
    assert [item.out_features for item in network if isinstance(item, torch.nn.Linear)] == [2048, 2048, 2048, 1]


def test_bad_inputs_are_refused() -> None:
    good = np.zeros((100, 3), np.float32)
    for bad, message in ((good[:20], "at least 50"), (np.where(good == 0, np.nan, good), "NaN")):
        with pytest.raises(RequestError, match=message):
            score_network(lambda: DenseClassifier(3, 1, 4), bad, good, SHORT, paired=False, seed=1)
    assert dataclasses.replace(SHORT, epochs=1).epochs == 1


def test_a_score_that_is_kept_is_not_computed_again_unless_something_differs(tmp_path: Path) -> None:
    x, y = (np.random.default_rng(number).normal(size=(60, 3)).astype(np.float32) for number in (1, 2))
    trained: list[str] = []

    def score(scores: KeptScores, name: str, sample: np.ndarray, seed: int = 0) -> NetworkScore:
        def train(checkpoint: Path | None) -> NetworkScore:
            assert checkpoint is not None
            checkpoint.write_text("half-way")
            trained.append(name)
            return NetworkScore(Measured(0.5 + len(trained) / 100, 0.01), Measured(0.5, 0.02), 0.6, 0.4, 3, 60)

        return scores.score(sample, y, {"seed": seed}, train)

    folder = tmp_path / "kept"
    first = score(KeptScores(folder), "first", x)
    again = KeptScores(folder)
    assert score(again, "the same", x) == first
    assert score(again, "another seed", x, seed=1) != first
    moved = x.copy()
    moved[7, 2] = np.nextafter(moved[7, 2], np.float32(9))
    assert score(again, "one bit", moved) != first
    assert trained == ["first", "another seed", "one bit"]

    for path in folder.iterdir():
        assert path.suffix == ".json"
        path.write_text("{")
    score(KeptScores(folder), "damaged", x)
    assert trained[-1] == "damaged"

    (folder / "notes.txt").touch()  # of the user
    (folder / f"{64 * 'a'}.safetensors").touch()
    KeptScores(folder).remove()
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
