"""The training file: defaults, and every misspelling refused with a hint."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from caloforge.errors import FormatError, RequestError
from caloforge.training.config import WganGpConfig, load_config, make_config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "wgan-pg"}, "unknown model 'wgan-pg'; did you mean 'wgan-gp'"),
        ({}, "unknown model"),
        ({"model": ["wgan-gp"]}, "unknown model"),
        ({"model": "wgan-gp", "seed": 2**64}, "seed = 18446744073709551616"),
        ({"model": "wgan-gp", "epocs": 3}, "unknown key 'epocs'; did you mean 'epochs'"),
        ({"model": "wgan-gp", "network": {"latnet": 3}}, "unknown key 'network.latnet'; did you mean 'latent'"),
        ({"model": "wgan-gp", "epochs": 0}, "epochs = 0"),
        ({"model": "wgan-gp", "gradient_penalty": -1}, "gradient_penalty = -1"),
        ({"model": "wgan-gp", "priorities": {"width_along": 0}}, "priorities.width_along = 0"),
        ({"model": "wgan-gp", "priorities": {"width_along": math.inf}}, "priorities.width_along = inf"),
        ({"model": "wgan-gp", "priorities": ["width_along"]}, "priorities = "),
        ({"model": "neighbour", "epochs": 3}, "unknown key 'epochs'"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make_config(values)


def test_a_file_gives_the_same_as_its_values(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("model: wgan-gp\nepochs: 3\nnetwork:\n  latent: 7\n")
    config = load_config(path)
    assert isinstance(config, WganGpConfig)
    assert (config.epochs, config.network.latent, config.critic_steps, config.gradient_penalty) == (3, 7, 5, 10.0)


@pytest.mark.parametrize("text", ["- 1", "model: [", "a: !!python/object/apply:os.system ['true']"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train.yaml"
    path.write_text(text)
    with pytest.raises(FormatError, match="training file"):
        load_config(path)
