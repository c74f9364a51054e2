"""The generator: conditions and noise in, cell energies out, physical units at both ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.models.networks.base import Generator
from caloforge.models.networks.conditions import ConditionFeatures, MirrorFold
from caloforge.models.networks.marginals import ConditionalMarginals, Marginals, dense
from caloforge.models.networks.settings import ConvolutionalSettings, NetworkSettings
from caloforge.transforms import energy_of_log, log_of_energy

if TYPE_CHECKING:
    from caloforge.detector import Detector

_LEAST_RESPONSE = 1e-3
_MAX_VALUE = 14.0  # ln(1 + e/epsilon) that no cell exceeds; keeps exp finite whatever the noise


class PullNetwork(nn.Module, ABC):
    """What a family is: pulls of all cells, standard normal as far as the marginals are right, from noise.

    Attributes:
        noise_width: normal numbers that one shower takes; the first also decides the visible energy.
    """

    noise_width: int

    @abstractmethod
    def forward(self, features: Tensor, noise: Tensor, cells: Marginals) -> Tensor:
        """Features (N, C), noise (N, noise_width), marginals of the cells -> pulls (N, n_cells)."""


class ConvolutionalPulls(PullNetwork):
    """Pulls (v - mean) / deviation of all cells from noise: a dense map of the latent numbers, then convolutions.

    The latent numbers make what cells have in common (how deep the shower starts, how it leans); the number of each
    cell makes what it has alone; the convolutions tie neighbours together.
    """

    def __init__(self, n_features: int, shape: tuple[int, int], settings: ConvolutionalSettings) -> None:
        super().__init__()
        self.shape = shape
        self.maps = settings.maps
        self.n_common = 1 + settings.latent
        n_cells = shape[0] * shape[1]
        self.noise_width = self.n_common + n_cells
        hidden, channels = settings.hidden, settings.channels
        self.latent = dense(n_features + self.n_common, hidden, hidden, n_cells * settings.maps)
        last = nn.Conv2d(channels, 1, 1)
        self.convolutions = nn.Sequential(
            nn.Conv2d(settings.maps + 3, channels, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(0.2),
            last,
        )
        self.own = nn.Parameter(torch.tensor(0.9))
        self.shared = nn.Parameter(torch.tensor(0.1))
        nn.init.normal_(last.weight, std=0.02)
        assert last.bias is not None
        nn.init.zeros_(last.bias)

    def forward(self, features: Tensor, noise: Tensor, cells: Marginals) -> Tensor:
        common, single = noise[:, : self.n_common], noise[:, self.n_common :]
        maps = self.latent(torch.cat([features, common], 1)).view(-1, self.maps, *self.shape)
        images = [single, cells.location / 3, cells.log_scale]
        stack = torch.cat([maps, *(image.view(-1, 1, *self.shape) for image in images)], 1)
        local: Tensor = self.convolutions(stack.contiguous(memory_format=torch.channels_last)).reshape(single.shape)
        pulls: Tensor = local + self.own * single + self.shared * maps[:, 0].reshape(single.shape)
        return pulls


class ShowerGenerator(Generator):
    """The whole sampler: (conditions (N, C + 1), noise (N, noise_width)) -> energies (N, n_cells), MeV.

    1. Reflect the conditions into one quadrant (``MirrorFold``).
    2. Draw E_vis / E from its distribution given the conditions; the first number of the noise is its pull.
    3. v = max(0, x): the distribution of each cell given the conditions turns the pulls, which the ``PullNetwork`` of
       the family makes, into x; a cell below zero is off, and none holds more than in any training shower. e = epsilon
       (exp(v) - 1).
    4. Scale the cells to the visible energy; reflect back.
    """

    ceiling: Tensor

    def __init__(
        self, detector: Detector, features: ConditionFeatures, settings: NetworkSettings, pulls: PullNetwork
    ) -> None:
        super().__init__()
        self.particles = features.particles
        self.energy_column = detector.column("energy")
        self.epsilon = settings.epsilon
        self.noise_width = pulls.noise_width
        self.fold = MirrorFold(detector)
        self.features = features
        self.cells = ConditionalMarginals(features.width, detector.n_cells, settings.hidden)
        self.response = ConditionalMarginals(features.width, 1, settings.hidden // 2)
        self.pulls = pulls
        self.register_buffer("ceiling", torch.full((detector.n_cells,), _MAX_VALUE))

    @property
    def trained(self) -> nn.Module:
        return self.pulls

    def to_values(self, energies: Tensor) -> Tensor:
        """v = ln(1 + e / epsilon)."""
        values: Tensor = log_of_energy(energies, self.epsilon)
        return values

    def to_energies(self, values: Tensor) -> Tensor:
        """e = epsilon (exp(v) - 1), with v kept in the range of energies that exist."""
        energies: Tensor = energy_of_log(values.clamp(0.0, _MAX_VALUE), self.epsilon)
        return energies

    def pulls_of(self, energies: Tensor, conditions: Tensor) -> Tensor:
        """Pulls of energies, both (N, n_cells), under folded conditions (N, C + 1); of cells that are off, of v = 0."""
        cells: Marginals = self.cells(self.features(conditions))
        return cells.pulls(self.to_values(energies))

    def energies_of(self, pulls: Tensor, conditions: Tensor) -> Tensor:
        """Energies of pulls, both (N, n_cells), under folded conditions (N, C + 1); the inverse of :meth:`pulls_of`."""
        cells: Marginals = self.cells(self.features(conditions))
        return self.to_energies(cells.values(pulls))

    def folded(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Energies (N, n_cells) for conditions that are folded already."""
        features = self.features(conditions)
        response = self.response(features).values(noise[:, :1])[:, 0].clamp_min(_LEAST_RESPONSE)
        visible = response * conditions[:, self.energy_column]
        cells = self.cells(features)
        values = torch.minimum(cells.values(self.pulls(features, noise, cells)), self.ceiling)
        energies = self.to_energies(values)
        scaled: Tensor = energies * (visible / energies.sum(1).clamp_min(1e-3))[:, None]
        return scaled

    def forward(self, conditions: Tensor, noise: Tensor) -> Tensor:
        flips = self.fold.flips(conditions)
        energies = self.folded(self.fold.conditions(conditions, flips), noise)
        return self.fold.energies(energies, flips)


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Images (N, H, W, K) with rows and columns of zeros added until H and W are multiples."""
    height, width = images.shape[1:3]
    return functional.pad(images, (0, 0, 0, -width % multiple, 0, -height % multiple))
