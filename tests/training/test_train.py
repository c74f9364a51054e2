"""Training end to end on small networks: staging, interruption and resume, validation, neighbour."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caloforge.detector import Conditions, Detector, draw_conditions, load_detector
from caloforge.errors import FormatError, RequestError
from caloforge.models.bundle import Domain, read_bundle
from caloforge.showers import ShowerFile, Showers, save
from caloforge.showers.convert import convert
from caloforge.training import train
from caloforge.training.data import Sample, stage
from caloforge.training.validation import binned_distances, score

SETTINGS = """\
model: wgan-gp
epochs: 2
batch_size: 20
critic_steps: 2
penalty_events: 5
pretraining_steps: 3
validation_events: 100
network: {latent: 3, maps: 1, channels: 2, critic_channels: 2, hidden: 8}
"""

PRIORITIES = "priorities: {sparsity_1: 0.5, width_along: 1.0}"

OTHERS = {
    "flow": "{factors: 3, transforms: 1, bins: 3, width: 4, hidden: 4}",
    "vae": "{latent: 3, hidden: 4}",
    "flow-matching": "{steps: 1, maps: 1, channels: 2, hidden: 4}",
    "student": "{maps: 1, channels: 2, hidden: 4}",
}


BASELINE = """\
model: conditional-wgan
epochs: 2
batch_size: 20
critic_steps: 2
penalty_events: 5
pretraining_steps: 3
validation_events: 100
network: {latent: 3, maps: 2, channels: 1, critic_channels: 2, hidden: 8}
"""

STREAMS = """\
model: stream-gan
epochs: 2
batch_size: 20
penalty_events: 5
validation_events: 100
network: {latent: 3, maps: 1, channels: 2, local: 1, critic_channels: 2, hidden: 8}
"""

VARIATIONAL = """\
model: vae
epochs: 1
batch_size: 20
pretraining_steps: 3
validation_events: 100
network: {latent: 3, hidden: 4}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_showers: Callable[..., Showers]) -> Path:
    path = tmp_path_factory.mktemp("data") / "full.h5"
    save(path, make_showers(300, 4), source="geant4", provenance={})
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "train.yaml"
    path.write_text(SETTINGS)
    return path


def test_staging_folds_the_showers_and_keeps_the_last_for_validation(
    data: Path, tmp_path: Path, make_showers: Callable[..., Showers]
) -> None:
    original = make_showers(300, 4)
    with ShowerFile(data) as file:
        split = stage(file, tmp_path, 100)
    assert (len(split.training), len(split.validation)) == (200, 100)
    conditions = split.validation.conditions
    assert (conditions.column("angle_xz") >= 0).all()
    assert (conditions.column("angle_yz") >= 0).all()
    np.testing.assert_allclose(
        np.abs(conditions.matrix), np.abs(original.conditions.matrix[200:]), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(split.validation.energies.sum(1), original.energies[200:].sum(1), rtol=1e-6)


def test_staging_keeps_the_showers_as_they_are_where_the_model_does_not_fold(
    data: Path, tmp_path: Path, make_showers: Callable[..., Showers]
) -> None:
    original = make_showers(300, 4)
    with ShowerFile(data) as file:
        split = stage(file, tmp_path, 100, folded=False)
    np.testing.assert_array_equal(split.training.energies, original.energies[:200])
    np.testing.assert_allclose(split.training.conditions.matrix, original.conditions.matrix[:200], rtol=1e-6)


@pytest.mark.parametrize("model", ["wgan-gp", "neighbour"])
def test_a_file_too_small_to_split_is_refused(data: Path, tmp_path: Path, model: str) -> None:
    with pytest.raises(RequestError, match="validation_events = 5000 at least 10000 are needed"):
        train("lhcb-ecal", data, tmp_path / "model.caloforge", model=model)
    assert not list(tmp_path.iterdir())


def central_showers(n: int) -> Showers:
    """Photons in the middle of several layers."""
    detector = load_detector("calogan")
    conditions = draw_conditions(detector, 4, 0, n, 22)
    mean = np.exp(-np.hypot(*detector.cell_centres.T) / 30)
    energies = np.random.default_rng(4).exponential(mean, (n, detector.n_cells))
    energies *= 0.2 * conditions.column("energy")[:, None] / energies.sum(axis=1, keepdims=True)
    return Showers(detector, conditions, energies.astype(np.float32))


def test_data_in_another_format_train_the_same_model(tmp_path: Path, settings: Path) -> None:
    pytest.importorskip("torch")
    settings.write_text(VARIATIONAL)
    save(tmp_path / "full.h5", central_showers(220), source="geant4", provenance={})
    convert(tmp_path / "full.h5", tmp_path / "theirs.hdf5", "calogan")
    convert(tmp_path / "theirs.hdf5", tmp_path / "ours.h5", "caloforge", detector="calogan", particle=22)
    ours, theirs = (tmp_path / name / "model.caloforge" for name in ("ours", "theirs"))
    for output in (ours, theirs):
        output.parent.mkdir()
    train("calogan", tmp_path / "ours.h5", ours, config=settings)
    train("calogan", tmp_path / "theirs.hdf5", theirs, config=settings, particle=22)
    bundles = [read_bundle(path) for path in (ours, theirs)]
    assert bundles[0].part("weights.safetensors") == bundles[1].part("weights.safetensors")
    assert bundles[1].domain.particles == (22,)
    assert [bundle.provenance["data"] for bundle in bundles] == ["ours.h5", "theirs.hdf5"]
    assert [path.name for path in theirs.parent.iterdir()] == ["model.caloforge"]


def test_a_refused_file_in_another_format_leaves_nothing_behind(tmp_path: Path, data: Path) -> None:
    save(tmp_path / "full.h5", central_showers(30), source="geant4", provenance={})
    convert(tmp_path / "full.h5", tmp_path / "theirs.hdf5", "calogan")
    (tmp_path / "out").mkdir()
    with pytest.raises(RequestError, match="validation_events = 5000 at least 10000 are needed"):
        train("calogan", tmp_path / "theirs.hdf5", tmp_path / "out" / "model.caloforge", model="vae")
    with pytest.raises(RequestError, match="theirs.hdf5 is in the format calogan, for which no binning can be given"):
        train(
            "calogan", tmp_path / "theirs.hdf5", tmp_path / "out" / "model.caloforge", model="vae", binning="bins.xml"
        )
    with pytest.raises(RequestError, match="is in the format caloforge, for which no particle can be given"):
        train("lhcb-ecal", data, tmp_path / "out" / "model.caloforge", model="vae", particle=11)
    with pytest.raises(FormatError, match="none of the formats that can be read"):
        train("lhcb-ecal", Path(__file__), tmp_path / "out" / "model.caloforge", model="vae")
    assert not list((tmp_path / "out").iterdir())


def test_the_domain_is_what_the_training_events_cover(tmp_path: Path, lhcb: Detector) -> None:
    everywhere = draw_conditions(lhcb, 1, 0, 2000)
    assert Domain.covered(everywhere) == dataclasses.replace(Domain.of(lhcb), particles=(11,))
    narrow = Domain.covered(draw_conditions(lhcb, 1, 0, 2000, energy=(10e3, 20e3)))
    assert narrow.low[0] == pytest.approx(10e3, rel=0.01)
    assert narrow.high[0] == pytest.approx(20e3, rel=0.01)
    assert narrow.low[1:] == Domain.of(lhcb).low[1:]
    muons = Conditions(lhcb, everywhere.matrix, np.full(2000, 13))
    with pytest.raises(RequestError, match="PDG code 13"):
        Domain.covered(muons)


def test_a_mixture_of_particles_is_in_the_domain(lhcb: Detector) -> None:
    assert Domain.covered(draw_conditions(lhcb, 1, 0, 100, {211: 1, 11: 1})).particles == (11, 211)


def test_distances_of_a_sample_to_itself_are_zero_and_grow_with_a_shift(make_showers: Callable[..., Showers]) -> None:
    sample = make_showers(400, 9)
    same = binned_distances(sample.energies, sample.energies, sample.conditions)
    assert score(same) == 0.0
    hotter = binned_distances(sample.energies * 1.1, sample.energies, sample.conditions)
    assert hotter["response"] > 0.1
    assert hotter["asymmetry_along"] < 1e-4  # a common factor leaves the shape alone


@pytest.mark.parametrize(
    "text",
    [SETTINGS, SETTINGS + PRIORITIES, BASELINE, STREAMS],
    ids=["wgan-gp", "priorities", "conditional-wgan", "stream-gan"],
)
def test_a_training_that_is_interrupted_ends_with_the_weights_it_would_have_had(
    data: Path, settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    settings.write_text(text)
    pytest.importorskip("torch")
    from caloforge.training import loop
    from caloforge.training.adversarial import Adversaries

    whole, stopped = tmp_path / "whole.caloforge", tmp_path / "stopped.caloforge"
    metrics = train("lhcb-ecal", data, whole, config=settings)
    assert metrics["best_epoch"] in (1, 2)

    monkeypatch.setattr(loop, "CHECKPOINT_STEPS", 3)
    step = Adversaries.step

    def interrupted(self: Adversaries, sample: Sample, number: int, total: int) -> dict[str, float]:
        if number == 14:
            raise KeyboardInterrupt
        return step(self, sample, number, total)

    with monkeypatch.context() as patch:
        patch.setattr(Adversaries, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train("lhcb-ecal", data, stopped, config=settings)
    assert not stopped.exists()
    work = tmp_path / "stopped.caloforge.training"
    assert (work / "checkpoint.safetensors").exists()

    other = tmp_path / "other.yaml"
    other.write_text(text.replace("epochs: 2", "epochs: 3"))
    with pytest.raises(RequestError, match="other data or settings"):
        train("lhcb-ecal", data, stopped, config=other)

    train("lhcb-ecal", data, stopped, config=settings, overwrite=True)  # overwrite is about the output: still resumed
    assert not work.exists()
    for part in ("weights.safetensors", "history.json"):
        assert read_bundle(stopped).part(part) == read_bundle(whole).part(part)


@pytest.mark.parametrize("model", OTHERS)
def test_families_under_one_loss_resume_to_the_same_weights(
    model: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    from caloforge.training import loop
    from caloforge.training.pulls import PullTrainer

    def written(model: str, more: str = "") -> Path:
        path = tmp_path / f"{model}.yaml"
        path.write_text(
            f"{{model: {model}, epochs: 2, batch_size: 20, pretraining_steps: 3, validation_events: 100, "
            f"network: {OTHERS[model]}{more}}}"
        )
        return path

    monkeypatch.setattr(loop, "CHECKPOINT_STEPS", 3)
    monkeypatch.setattr(loop, "export_onnx", lambda generator, detector: b"")  # of tests/models/test_networks.py
    settings = written(model)
    if model == "student":
        teacher = tmp_path / "teacher.caloforge"
        train("lhcb-ecal", data, teacher, config=written("flow-matching"))
        settings = written(model, f", teacher: {teacher}")
    whole, stopped = tmp_path / "whole.caloforge", tmp_path / "stopped.caloforge"
    train("lhcb-ecal", data, whole, config=settings)
    step = PullTrainer.step

    def interrupted(self: PullTrainer, sample: Sample, number: int, total: int) -> dict[str, float]:
        if number == 14:
            raise KeyboardInterrupt
        return step(self, sample, number, total)

    with monkeypatch.context() as patch:
        patch.setattr(PullTrainer, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train("lhcb-ecal", data, stopped, config=settings)
    train("lhcb-ecal", data, stopped, config=settings)
    for part in ("weights.safetensors", "history.json"):
        assert read_bundle(stopped).part(part) == read_bundle(whole).part(part)


def test_a_student_whose_teacher_is_missing_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    settings = tmp_path / "train.yaml"
    settings.write_text(f"{{model: student, teacher: {tmp_path}/missing.caloforge, validation_events: 100}}")
    with pytest.raises(FormatError, match="no such file"):
        train("lhcb-ecal", data, tmp_path / "model.caloforge", config=settings)
    assert [path.name for path in tmp_path.iterdir()] == ["train.yaml"]


def test_a_cut_checkpoint_is_refused(data: Path, settings: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    work = tmp_path / "model.caloforge.training"
    work.mkdir()
    (work / "checkpoint.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    with pytest.raises(FormatError, match="not a whole checkpoint"):
        train("lhcb-ecal", data, tmp_path / "model.caloforge", config=settings)


@pytest.mark.parametrize("model", ["neighbour", "interpolation"])
def test_neighbours_are_training_events_only(data: Path, tmp_path: Path, model: str) -> None:
    settings = tmp_path / "neighbour.yaml"
    settings.write_text(f"model: {model}\nvalidation_events: 100\n")
    assert train("lhcb-ecal", data, tmp_path / "n.caloforge", config=settings) == {"events": 200}
    bundle = read_bundle(tmp_path / "n.caloforge")
    assert (bundle.family, bundle.provenance["events"]) == (model, [0, 200])


def test_bad_requests(data: Path, tmp_path: Path, lhcb: Detector) -> None:
    output = tmp_path / "model.caloforge"
    with pytest.raises(RequestError, match="either a model"):
        train("lhcb-ecal", data, output)
    with pytest.raises(FormatError, match="missing"):
        train("lhcb-ecal", tmp_path / "missing.h5", output, model="wgan-gp")
    toml = tmp_path / "other.toml"
    toml.write_text(lhcb.toml.replace('name = "lhcb-ecal"', 'name = "my-ecal"'))
    with pytest.raises(RequestError, match="differ in name: lhcb-ecal and my-ecal; give data of my-ecal, or"):
        train(str(toml), data, output, model="neighbour")
    with pytest.raises(RequestError, match="ends in .caloforge"):
        train("lhcb-ecal", data, tmp_path / "model.png", model="neighbour")
    output.touch()
    with pytest.raises(RequestError, match="exists"):
        train("lhcb-ecal", data, output, model="neighbour")
