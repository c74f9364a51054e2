"""The verb train: the bundle, the learning curves beside it, and nothing overwritten unasked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from caloforge.cli import main
from caloforge.models.bundle import read_bundle
from caloforge.showers import Showers, save

SETTINGS = """\
model: wgan-gp
epochs: 1
batch_size: 50
critic_steps: 1
pretraining_steps: 2
validation_events: 100
network: {latent: 2, maps: 1, channels: 2, critic_channels: 2, hidden: 4}
"""


def test_a_model_and_its_learning_curves(
    tmp_path: Path, make_showers: Callable[..., Showers], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    save(tmp_path / "full.h5", make_showers(200), source="geant4", provenance={})
    (tmp_path / "train.yaml").write_text(SETTINGS)
    model, picture = tmp_path / "model.caloforge", tmp_path / "model-learning.png"
    command = ["train", "lhcb-ecal", "--data", str(tmp_path / "full.h5"), "--config", str(tmp_path / "train.yaml")]
    picture.write_text("somebody's own")
    assert main([*command, "-o", str(model)]) == 2  # refused before the training, not after it
    assert (picture.read_text(), model.exists()) == ("somebody's own", False)
    picture.unlink()
    capsys.readouterr()
    assert main([*command, "-o", str(model), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["learning_curves"] == str(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert read_bundle(model).metrics["best_epoch"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "full.h5",
        "model-learning.png",
        "model.caloforge",
        "train.yaml",
    ]
