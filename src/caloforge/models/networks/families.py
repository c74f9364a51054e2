"""The closed table of families of networks: what each makes pulls with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caloforge.models.networks.generator import ConvolutionalPulls, PullNetwork, ShowerGenerator
from caloforge.models.networks.settings import ConvolutionalSettings, NetworkSettings

if TYPE_CHECKING:
    from caloforge.detector import Detector


@dataclass(frozen=True)
class Family:
    """Its settings, and its pull network made of the number of features, the shape of the cells and those settings."""

    settings: type[NetworkSettings]
    pulls: Callable[[int, tuple[int, int], Any], PullNetwork]


FAMILIES = {
    "wgan-gp": Family(ConvolutionalSettings, ConvolutionalPulls),
}


def shower_generator(family: str, detector: Detector, settings: NetworkSettings) -> ShowerGenerator:
    """A generator with new weights."""
    pulls = FAMILIES[family].pulls(len(detector.conditions), detector.cells.shape, settings)
    return ShowerGenerator(detector, settings, pulls)


def settings_of(family: str, values: Mapping[str, Any]) -> NetworkSettings:
    """The settings that a bundle remembers."""
    return FAMILIES[family].settings(**values)
