"""Sizes of the networks: what a bundle must remember to rebuild them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class NetworkSettings(BaseModel):
    """The representation of showers that all families share; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: float = Field(default=0.3, gt=0, description="energy below which the log representation is linear, MeV")
    hidden: int = Field(default=128, ge=1, description="width of the dense layers")


class ConvolutionalSettings(NetworkSettings):
    """Generator and critic of ``wgan-gp``."""

    latent: int = Field(default=32, ge=1, description="latent normal numbers a shower, beside one a cell")
    maps: int = Field(default=3, ge=1, description="images that the latent numbers are mapped to")
    channels: int = Field(default=16, ge=1, description="channels of the generator's convolutions")
    critic_channels: int = Field(default=32, ge=1, description="channels of the critic's first convolution")


class ImageSettings(NetworkSettings):
    """Generator and discriminator of the published baselines."""

    latent: int = Field(default=32, ge=1, description="latent normal numbers a shower, beside one a cell")
    maps: int = Field(default=4, ge=2, description="images that the latent numbers are mapped to")
    channels: int = Field(default=8, ge=1, description="channels of the generator's convolutions")
    critic_channels: int = Field(default=32, ge=2, description="channels of the discriminator's first convolution")


class StreamSettings(NetworkSettings):
    """Generator and discriminator of ``stream-gan``."""

    latent: int = Field(default=1024, ge=1, description="latent normal numbers a shower, scaled by the energy")
    maps: int = Field(default=4, ge=1, description="images that they are mapped to in each layer")
    channels: int = Field(default=16, ge=1, description="channels of the convolutions")
    local: int = Field(default=6, ge=1, description="channels of the first locally connected layers")
    critic_channels: int = Field(default=16, ge=1, description="channels of the discriminator's first convolutions")


class VariationalSettings(NetworkSettings):
    """Decoder and encoder of ``vae``."""

    latent: int = Field(default=24, ge=1, description="latent normal numbers a shower, beside one a cell")


class FactorSettings(NetworkSettings):
    """Factors and their flow, of ``flow``."""

    factors: int = Field(default=24, ge=2, description="what cells have in common, numbers a shower")
    transforms: int = Field(default=3, ge=1, description="coupling layers of the flow")
    bins: int = Field(default=8, ge=2, description="pieces of its splines")
    width: int = Field(default=64, ge=1, description="width of its dense layers")


class FieldSettings(NetworkSettings):
    """A map of images to images: the generator of ``student``."""

    maps: int = Field(default=2, ge=1, description="images that the dense layers make")
    channels: int = Field(default=8, ge=1, description="channels of the convolutions")


class MatchingSettings(FieldSettings):
    """Velocity of ``flow-matching`` and how it is integrated."""

    steps: int = Field(default=3, ge=1, description="steps of Heun's method a shower, two velocities each")
