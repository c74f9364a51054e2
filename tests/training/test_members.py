"""Members of an ensemble trained at once: what masks are, what repels, and that each bundle is a member alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from lightning_fabric import Fabric  # noqa: E402
from torch import Tensor  # noqa: E402

from caloforge.detector import Detector, detector_from_toml  # noqa: E402
from caloforge.errors import RequestError  # noqa: E402
from caloforge.models.bundle import read_bundle  # noqa: E402
from caloforge.models.networks.families import shower_generator  # noqa: E402
from caloforge.models.networks.sampler import load_generator  # noqa: E402
from caloforge.random import normals  # noqa: E402
from caloforge.showers import Showers, save  # noqa: E402
from caloforge.training import loop, train  # noqa: E402
from caloforge.training.config import MemberTraining, make_config  # noqa: E402
from caloforge.training.data import Sample  # noqa: E402
from caloforge.training.members import (  # noqa: E402
    ENSEMBLES,
    STRENGTH,
    FixedMasks,
    choose_member,
    give_masks,
    masked_layers,
    member_of,
    repulsion,
)
from caloforge.training.pulls import PullTrainer  # noqa: E402


@pytest.fixture(scope="module")
def small(lhcb: Detector) -> Detector:
    """The detector with 4 x 4 cells."""
    return detector_from_toml(lhcb.toml.replace("shape = [30, 30]", "shape = [4, 4]"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_showers: Callable[..., Showers], small: Detector) -> Path:
    path = tmp_path_factory.mktemp("members") / "full.h5"
    save(path, make_showers(300, 4, small), source="geant4", provenance={})
    return path


@pytest.fixture
def detector(small: Detector, tmp_path: Path) -> str:
    path = tmp_path / "small.toml"
    path.write_text(small.toml)
    return str(path)


@pytest.fixture(autouse=True)
def no_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs of all families are the business of tests/models/test_networks.py."""
    monkeypatch.setattr(loop, "export_onnx", lambda generator, detector: b"")


def settings(folder: Path, name: str, *more: str) -> Path:
    lines = ["model: vae", "epochs: 2", "batch_size: 20", "pretraining_steps: 4", "validation_events: 100"]
    path = folder / f"{name}.yaml"
    path.write_text("\n".join([*lines, "network: {latent: 3, hidden: 8}", *more]))
    return path


def test_masks_leave_out_a_fixed_share_and_differ_between_members() -> None:
    masks = FixedMasks(4, 10, torch.Generator().manual_seed(1))
    kept = masks.masks > 0
    assert kept.sum(1).tolist() == [8] * 4
    torch.testing.assert_close(masks.masks.sum(1), torch.full((4,), 10.0))
    assert len({tuple(row) for row in kept.tolist()}) > 1


def test_a_member_alone_is_the_network_with_its_mask_and_needs_no_masks(small: Detector) -> None:
    config = make_config({"model": "vae", "network": {"hidden": 16}})
    assert isinstance(config, MemberTraining)
    generator = shower_generator("vae", small, (11,), config.network)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    plain = shower_generator("vae", small, (11,), config.network)
    give_masks(generator, 3, torch.Generator().manual_seed(1))
    assert len(masked_layers(generator)) == 6  # two hidden layers of cells, response and decoder
    conditions = torch.tensor([[5e3, 1.0, 2.0, 0.1, 0.05, 11.0], [5e4, 1.0, -2.0, 0.1, -0.05, 11.0]])
    noise = torch.from_numpy(normals(1, "test", 0, 2, generator.noise_width))
    found = []
    for number in range(3):
        choose_member(generator, number)
        alone = member_of(generator, plain, number)
        with torch.no_grad():
            found.append(generator(conditions, noise))
            assert torch.equal(alone(conditions, noise), found[-1])
    assert not torch.allclose(found[0], found[1])


def test_repulsion_is_one_where_members_agree_falls_with_the_distance_and_pushes_apart() -> None:
    points = [torch.tensor(place, requires_grad=True) for place in ([0.0, 0.0], [0.3, 0.4], [50.0, 0.0])]
    found = repulsion(points, reach=0.5)
    near = math.exp(-0.125 / 0.25)  # mean square 0.25 / 2
    assert [value.item() for value in found] == pytest.approx([near / 2, near / 2, 0.0])
    torch.autograd.backward(found[0])
    assert points[0].grad is not None
    assert (points[0].grad > 0).all()  # descent leads away from the second point
    assert points[1].grad is None
    assert [value.item() for value in repulsion([torch.zeros(3)] * 2, reach=0.1)] == [1.0, 1.0]


def test_repulsion_is_annealed_away(small: Detector, make_showers: Callable[..., Showers]) -> None:
    ensemble = {"kind": "repulsion", "members": 3}
    config = make_config({"model": "vae", "network": {"hidden": 8}, "batch_size": 4, "ensemble": ensemble})
    assert isinstance(config, MemberTraining)
    members = ENSEMBLES["repulsion"](
        partial(loop.TRAINERS["vae"], small, (11,)), config, Fabric(accelerator="cpu", devices=1)
    )
    members.start()
    showers = make_showers(50, 1, small)
    sample = Sample(showers.energies, showers.conditions)
    found = [members.step(sample, step, 100)["repulsion"] for step in (0, 50, 100)]
    # Untrained members make the same pulls, and one step hardly parts them.
    assert found == pytest.approx([STRENGTH, STRENGTH / 2, 0.0], rel=0.05)


def test_members_by_seeds_are_trainings_of_their_own(data: Path, detector: str, tmp_path: Path) -> None:
    both = settings(tmp_path, "both", "seed: 5", "epochs: 1", "ensemble: {kind: seeds, members: 2}")
    both.write_text(both.read_text().replace("epochs: 2\n", ""))
    alone = settings(tmp_path, "alone", "seed: 6", "epochs: 1")
    alone.write_text(alone.read_text().replace("epochs: 2\n", ""))
    metrics = train(detector, data, tmp_path / "both.caloforge", config=both)
    train(detector, data, tmp_path / "alone.caloforge", config=alone)
    assert metrics["members"] == 2
    assert not (tmp_path / "both.caloforge").exists()
    second = read_bundle(tmp_path / "both.member-2.caloforge")
    assert second.part("weights.safetensors") == read_bundle(tmp_path / "alone.caloforge").part("weights.safetensors")
    load_generator(second)
    with pytest.raises(RequestError, match=r"both\.member-1\.caloforge exists"):
        train(detector, data, tmp_path / "both.caloforge", config=both)


@pytest.mark.parametrize("kind", ENSEMBLES)
def test_ensembles_resume_to_the_same_weights(
    kind: str, data: Path, detector: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_STEPS", 3)
    config = settings(tmp_path, kind, f"ensemble: {{kind: {kind}, members: 2}}")
    whole, stopped = tmp_path / "whole.caloforge", tmp_path / "stopped.caloforge"
    train(detector, data, whole, config=config)
    descend = PullTrainer.descend

    def interrupted(self: PullTrainer, losses: dict[str, Tensor], step: int, total: int) -> dict[str, float]:
        if step == 14:
            raise KeyboardInterrupt
        return descend(self, losses, step, total)

    with monkeypatch.context() as patch:
        patch.setattr(PullTrainer, "descend", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(detector, data, stopped, config=config)
    train(detector, data, stopped, config=config)
    weights = []
    for number in (1, 2):
        pair = [read_bundle(path.with_name(f"{path.stem}.member-{number}.caloforge")) for path in (whole, stopped)]
        assert pair[0].part("weights.safetensors") == pair[1].part("weights.safetensors")
        weights.append(pair[0].part("weights.safetensors"))
    assert weights[0] != weights[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{kind: bagging}", "ensemble.kind = 'bagging'.*'seeds', 'repulsion' or 'dropout'"),
        ("{kind: seeds, members: 1}", "ensemble.members = 1.*greater than or equal to 2"),
        ("{kind: seeds, member: 3}", "unknown key 'ensemble.member'"),
    ],
)
def test_wrong_ensembles_are_refused(data: Path, detector: str, tmp_path: Path, text: str, message: str) -> None:
    config = settings(tmp_path, "wrong", f"ensemble: {text}")
    with pytest.raises(RequestError, match=message):
        train(detector, data, tmp_path / "wrong.caloforge", config=config)
