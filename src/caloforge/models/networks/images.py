"""The networks of the published baselines: a generator and a discriminator of whole images.

Source: V. Chekalina et al., "Generative Models for Fast Calorimeter Simulation: the LHCb case", arXiv:1812.01319.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from caloforge.models.networks.base import Generator
from caloforge.models.networks.box_cox import BoxCox
from caloforge.models.networks.conditions import ConditionFeatures, MirrorFold
from caloforge.models.networks.critic import ImageFeatures, Regressor
from caloforge.models.networks.marginals import Marginals, dense, start_at_zero
from caloforge.models.networks.settings import ImageSettings

if TYPE_CHECKING:
    from caloforge.detector import Detector

_LATENT_START = 0.1  # pretraining is with latent numbers of 0, which therefore begin with a small part


class ImageMaker(nn.Module):
    """Inputs (N, K) and one number a cell (N, n_cells) -> transformed energies (N, n_cells), before the clamp.

    Dense layers map what cells have in common to images: the first two are mean and deviation of each cell, as far as
    its own number decides it; a 3x3 convolution of all, nothing at first, ties neighbours together.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, inputs: int, shape: tuple[int, int], settings: ImageSettings) -> None:
        super().__init__()
        self.shape = shape
        self.n_maps = settings.maps
        n_cells = shape[0] * shape[1]
        self.dense = dense(inputs, settings.hidden, settings.hidden, settings.maps * n_cells)
        self.convolutions = nn.Sequential(
            nn.Conv2d(settings.maps + 1, settings.channels, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(settings.channels, 1, 1),
        )
        start_at_zero(self.convolutions)
        with torch.no_grad():
            first = self.dense[0].weight
            assert isinstance(first, Tensor)
            first[:, -settings.latent :] *= _LATENT_START
        self.register_buffer("centre", torch.zeros(n_cells))
        self.register_buffer("scale", torch.ones(n_cells))

    def standardise_with(self, images: Tensor) -> None:
        """Take centre and scale of the cells from training images (N, n_cells)."""
        self.centre.copy_(images.mean(0))
        self.scale.copy_(images.std(0).clamp_min(0.1))

    def maps(self, common: Tensor) -> Tensor:
        """Inputs (N, K) -> images (N, maps, n_cells)."""
        maps: Tensor = self.dense(common).view(-1, self.n_maps, self.shape[0] * self.shape[1])
        return maps

    def marginals(self, maps: Tensor) -> Marginals:
        """Mean and deviation of the cells, without the convolution."""
        return Marginals.normal(self.centre + self.scale * maps[:, 0], self.scale * maps[:, 1].clamp(-5.0, 5.0).exp())

    def forward(self, common: Tensor, single: Tensor) -> Tensor:
        maps = self.maps(common)
        own = self.marginals(maps).values(single)
        stack = torch.cat([maps, own[:, None] / 3], 1).view(-1, self.n_maps + 1, *self.shape)
        tied: Tensor = self.convolutions(stack.contiguous(memory_format=torch.channels_last))
        return own + tied.reshape(single.shape)


class ImageGenerator(Generator):
    """Noise, and the conditions of a conditional family, to the Box-Cox transformed image of the whole detector.

    A family without conditions draws them from its noise, at first evenly over the detector's domain; what they come to
    mean is left to the game.
    """

    folded_training = False  # without conditions a shower must be reflected by what the generator has drawn itself

    def __init__(
        self, detector: Detector, particles: tuple[int, ...], settings: ImageSettings, *, conditional: bool
    ) -> None:
        super().__init__()
        self.conditional = conditional
        self.particles = particles
        self.latent = settings.latent
        self.n_cells = detector.n_cells
        self.fold = MirrorFold(detector)
        self.features = ConditionFeatures(detector, particles)
        self.drawn = ConditionFeatures(detector, particles, folded=False)
        self.noise_width = settings.latent + detector.n_cells + (0 if conditional else self.drawn.width)
        self.box_cox = BoxCox(settings.epsilon, float(detector.high[detector.column("energy")]))
        self.network = ImageMaker(self.features.width + settings.latent, detector.cells.shape, settings)

    @property
    def trained(self) -> nn.Module:
        return self.network

    def asked(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """The conditions (N, C + 1) that the showers follow."""
        if self.conditional:
            return conditions
        return self.drawn.inverse(torch.erf(noise[:, -self.drawn.width :] / math.sqrt(2)))

    def images(self, folded: Tensor, noise: Tensor) -> Tensor:
        """Folded conditions (N, C + 1), noise (N, noise_width) -> transformed images (N, n_cells)."""
        common = torch.cat([self.features(folded), noise[:, : self.latent]], 1)
        single = noise[:, self.latent : self.latent + self.n_cells]
        return self.box_cox.clamp(self.network(common, single))

    def forward(self, conditions: Tensor, noise: Tensor) -> Tensor:
        asked = self.asked(conditions, noise)
        flips = self.fold.flips(asked)
        images = self.images(self.fold.conditions(asked, flips), noise)
        return self.fold.energies(self.box_cox.inverse(images), flips)


class Discriminator(nn.Module):
    """Transformed images (N, n_cells) to one number; the log odds of being real, or the score of a critic.

    Beside the image it sees the logarithm of the visible energy. Of a conditional family it also sees that of its share
    of the incident energy, the condition features, and how far a regressor of them, trained on full simulation and
    frozen, finds the shower from what was asked for.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, detector: Detector, n_features: int, settings: ImageSettings, *, conditional: bool) -> None:
        super().__init__()
        shape, channels, hidden = detector.cells.shape, settings.critic_channels, settings.hidden
        self.energy_column = detector.column("energy")
        self.image = ImageFeatures(shape, 2, channels, hidden)
        self.regressor = Regressor(detector, channels // 2, hidden, n_features) if conditional else None
        self.head = dense(hidden + (2 + 2 * n_features if conditional else 1), hidden, 1)
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("deviation", torch.ones(2))

    def standardise_with(self, energies: Tensor, conditions: Tensor) -> None:
        """Take mean and deviation of the logarithms from training showers (N, n_cells), their conditions (N, C + 1)."""
        logs = self._logs(energies, conditions)
        self.mean.copy_(logs.mean(0))
        self.deviation.copy_(logs.std(0))

    def frozen(self) -> None:
        """Keep the regressor as it is from now on."""
        if self.regressor is not None:
            self.regressor.requires_grad_(False)

    def forward(self, images: Tensor, folded: Tensor, generator: ImageGenerator) -> Tensor:
        """Images (N, n_cells), folded conditions (N, C) -> scores (N,); ``generator`` lends transform and features."""
        logs = (self._logs(generator.box_cox.inverse(images), folded) - self.mean) / self.deviation
        inputs = [self.image(torch.stack([images / 3, torch.tanh(images)], -1))]
        if self.regressor is None:
            inputs += [logs[:, :1]]
        else:
            features = generator.features(folded)
            inputs += [logs, features, 10 * (self.regressor(images) - features)]
        score: Tensor = self.head(torch.cat(inputs, 1))
        return score[:, 0]

    def _logs(self, energies: Tensor, conditions: Tensor) -> Tensor:
        visible = torch.log(energies.sum(1) + 1.0)
        return torch.stack([visible, visible - torch.log(conditions[:, self.energy_column])], 1)
