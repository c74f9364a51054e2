"""The closed table of families of networks: what each makes pulls with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from caloforge.models.base import UNCONDITIONAL
from caloforge.models.networks.base import Generator
from caloforge.models.networks.factors import FactorPulls
from caloforge.models.networks.fields import DistilledPulls, IntegratedPulls
from caloforge.models.networks.generator import ConvolutionalPulls, Layout, PullNetwork, ShowerGenerator
from caloforge.models.networks.images import ImageGenerator
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
from caloforge.models.networks.streams import StreamGenerator
from caloforge.models.networks.variational import VariationalPulls

if TYPE_CHECKING:
    from caloforge.detector import Detector


@dataclass(frozen=True)
class Family:
    """Its settings, and its pull network: of the width of the context, the layout of the cells and the settings."""

    settings: type[NetworkSettings]
    pulls: Callable[[int, Layout, Any], PullNetwork]


FAMILIES = {
    "wgan-gp": Family(ConvolutionalSettings, ConvolutionalPulls),
    "flow": Family(FactorSettings, FactorPulls),
    "vae": Family(VariationalSettings, VariationalPulls),
    "flow-matching": Family(MatchingSettings, IntegratedPulls),
    "student": Family(FieldSettings, DistilledPulls),
}


IMAGE_FAMILIES = {
    name: partial(ImageGenerator, conditional=name not in UNCONDITIONAL)
    for name in ("conditional-wgan", "conditional-gan", "wgan", "gan")
}
"""The published baselines, which make whole images without the representation of the others."""


STREAM_FAMILY = "stream-gan"
"""The published baseline for several layers of cells."""


def make_generator(family: str, detector: Detector, particles: tuple[int, ...], values: Mapping[str, Any]) -> Generator:
    """A generator with new weights, of the settings that a bundle remembers."""
    if family in IMAGE_FAMILIES:
        return IMAGE_FAMILIES[family](detector, particles, ImageSettings(**values))
    if family == STREAM_FAMILY:
        return StreamGenerator(detector, particles, StreamSettings(**values))
    return shower_generator(family, detector, particles, FAMILIES[family].settings(**values))


def shower_generator(
    family: str, detector: Detector, particles: tuple[int, ...], settings: NetworkSettings
) -> ShowerGenerator:
    """A generator with new weights, for the particles of these PDG codes."""
    return ShowerGenerator(detector, particles, settings, FAMILIES[family].pulls)
