"""The training file: everything that decides the result, checked once, then frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from caloforge.errors import FormatError, RequestError, nearest_name, unknown_name
from caloforge.models.networks.settings import (
    ConvolutionalSettings,
    FactorSettings,
    FieldSettings,
    ImageSettings,
    MatchingSettings,
    NetworkSettings,
    StreamSettings,
    VariationalSettings,
)
from caloforge.random import MAX_SEED

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TrainingConfig(BaseModel):
    """What every family has to be told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="seed of batches, noise and initial weights")
    validation_events: int = Field(
        default=5000, ge=100, description="events at the end of the file kept for validation"
    )


class NeighbourConfig(TrainingConfig):
    """How to fit ``neighbour``."""

    model: Literal["neighbour"] = "neighbour"


class InterpolationConfig(TrainingConfig):
    """How to fit ``interpolation``."""

    model: Literal["interpolation"] = "interpolation"


class NetworkTraining(TrainingConfig):
    """What every family of networks has to be told."""

    network: NetworkSettings
    pretraining_steps: int = Field(default=3000, ge=1, description="steps for each part that is fitted beforehand")
    epochs: int = Field(default=16, ge=1)
    batch_size: int = Field(default=128, ge=2)
    averaging: float = Field(default=0.999, ge=0, lt=1, description="decay of the average of the generator's weights")


class AdversarialConfig(NetworkTraining):
    """How to train a generator against a critic."""

    game: ClassVar[Literal["minimax", "wasserstein"]] = "wasserstein"
    critic_steps: int = Field(default=5, ge=1, description="critic steps a generator step")
    gradient_penalty: float = Field(default=10.0, ge=0, description="weight of the penalty; 0 is none")
    penalty_events: int = Field(default=32, ge=1, description="events of each batch that the penalty is taken on")
    generator_learning_rate: float = Field(default=5e-4, gt=0)
    critic_learning_rate: float = Field(default=1e-3, gt=0)


class WganGpConfig(AdversarialConfig):
    """How to train ``wgan-gp``; the defaults are the shipped model's."""

    model: Literal["wgan-gp"] = "wgan-gp"
    network: ConvolutionalSettings = ConvolutionalSettings()
    priorities: dict[str, Weight] = Field(
        default={}, description="observables that the generator is held to beside the critic, with weights"
    )


class PublishedConfig(AdversarialConfig):
    """What the published baselines have in common, arXiv:1812.01319."""

    network: ImageSettings = ImageSettings()
    pretraining_steps: int = Field(default=1500, ge=1, description="steps for each part that is fitted beforehand")
    epochs: int = Field(default=3, ge=1)
    batch_size: int = Field(default=64, ge=2)
    critic_steps: int = Field(default=3, ge=1, description="critic steps a generator step")


class PublishedGanConfig(PublishedConfig):
    """How to train ``gan`` and ``conditional-gan``; with the penalty of the WGANs, as in arXiv:1710.08446."""

    game: ClassVar[Literal["minimax", "wasserstein"]] = "minimax"
    model: Literal["gan", "conditional-gan"]
    critic_steps: int = Field(default=1, ge=1, description="critic steps a generator step")


class PublishedWganConfig(PublishedConfig):
    """How to train ``wgan``."""

    model: Literal["wgan"]
    epochs: int = Field(default=2, ge=1)


class ConditionalWganConfig(PublishedConfig):
    """How to train ``conditional-wgan``, the best of the published ones, and so at more length."""

    model: Literal["conditional-wgan"]
    epochs: int = Field(default=12, ge=1)


class StreamGanConfig(AdversarialConfig):
    """How to train ``stream-gan``, the published baseline for several layers, arXiv:1705.02355."""

    game: ClassVar[Literal["minimax", "wasserstein"]] = "minimax"
    model: Literal["stream-gan"] = "stream-gan"
    network: StreamSettings = StreamSettings()
    critic_steps: int = Field(default=1, ge=1, description="critic steps a generator step")
    energy_weight: float = Field(default=0.05, ge=0, description="weight of |E - E'|, asked for and found, in GeV")


class PullTraining(NetworkTraining):
    """What families with one network under one loss have to be told."""

    learning_rate: float = Field(default=1e-3, gt=0)


class EnsembleConfig(BaseModel):
    """The members of an ensemble, each of which becomes a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["seeds", "repulsion", "dropout"]
    members: int = Field(default=5, ge=2)


class MemberTraining(PullTraining):
    """What families have to be told whose members of an ensemble are trained together."""

    ensemble: EnsembleConfig | None = None


class FlowConfig(MemberTraining):
    """How to train ``flow``."""

    model: Literal["flow"] = "flow"
    network: FactorSettings = FactorSettings()


class VaeConfig(MemberTraining):
    """How to train ``vae``."""

    model: Literal["vae"] = "vae"
    network: VariationalSettings = VariationalSettings()
    beta: float = Field(default=1.0, ge=0, description="weight of the divergence of the latent numbers; 1: a bound")


class MatchingConfig(MemberTraining):
    """How to train ``flow-matching``."""

    model: Literal["flow-matching"] = "flow-matching"
    network: MatchingSettings = MatchingSettings()


class StudentConfig(PullTraining):
    """How to train ``student``."""

    model: Literal["student"] = "student"
    network: FieldSettings = FieldSettings()
    teacher: str = Field(description="bundle of the family flow-matching, for the same detector")


CONFIGS: dict[str, type[TrainingConfig]] = {
    "wgan-gp": WganGpConfig,
    "flow": FlowConfig,
    "vae": VaeConfig,
    "flow-matching": MatchingConfig,
    "student": StudentConfig,
    "neighbour": NeighbourConfig,
    "interpolation": InterpolationConfig,
    "conditional-wgan": ConditionalWganConfig,
    "conditional-gan": PublishedGanConfig,
    "stream-gan": StreamGanConfig,
    "wgan": PublishedWganConfig,
    "gan": PublishedGanConfig,
}
"""The settings of every family that can be trained."""


def make_config(values: dict[str, Any]) -> TrainingConfig:
    """A checked configuration from plain values; ``model`` is required.

    Raises:
        RequestError: an unknown model, key or value; the message names it and what is right.

    >>> make_config({"model": "wgan-gp", "epochs": 2}).epochs
    2
    >>> make_config({"model": "wgan-gp", "epocs": 2})
    Traceback (most recent call last):
    caloforge.errors.RequestError: training file: unknown key 'epocs'; did you mean 'epochs'?
    """
    name = values.get("model")
    if not isinstance(name, str) or name not in CONFIGS:
        raise unknown_name("model", str(name), CONFIGS)
    try:
        return CONFIGS[name].model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = CONFIGS[name].model_fields
            nearest = nearest_name(str(first["loc"][-1]), [*known, *_network_fields(CONFIGS[name])])
            hint = f"; did you mean {nearest!r}?" if nearest else f"; known: {', '.join(known)}"
            raise RequestError(f"training file: unknown key {place!r}{hint}") from None
        if first["type"] == "missing":
            what = CONFIGS[name].model_fields[place].description
            raise RequestError(f"the model {name} needs the key {place!r} in its training file: {what}") from None
        raise RequestError(f"training file: {place} = {first['input']!r}: {first['msg']}") from None


def _network_fields(config: type[TrainingConfig]) -> list[str]:
    settings = config.model_fields.get("network")
    return [] if settings is None or settings.annotation is None else list(settings.annotation.model_fields)


def load_config(path: str | Path) -> TrainingConfig:
    """Read a training file (YAML).

    Raises:
        FormatError: the file is missing or not a YAML mapping. RequestError: see :func:`make_config`.
    """
    try:
        values = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FormatError(f"cannot read the training file {path}: {error}") from error
    if not isinstance(values, dict):
        raise FormatError(f"the training file {path} must hold keys and values, such as 'model: wgan-gp'")
    return make_config(values)
