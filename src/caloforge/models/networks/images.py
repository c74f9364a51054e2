"""The networks of the published baselines: a generator and a discriminator of whole images.

Source: V. Chekalina et al., "Generative Models for Fast Calorimeter Simulation: the LHCb case", arXiv:1812.01319.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from caloforge.models.networks.base import Generator
from caloforge.models.networks.box_cox import BoxCox
from caloforge.models.networks.conditions import ConditionFeatures
from caloforge.models.networks.critic import ImageFeatures, Regressor
from caloforge.models.networks.marginals import dense
from caloforge.models.networks.settings import ImageSettings

if TYPE_CHECKING:
    from caloforge.detector import Detector

_UPSAMPLINGS = 3


class ImageGenerator(Generator):
    """Noise, and the conditions of a conditional family, to the Box-Cox transformed image of the whole detector.

    A dense layer makes maps of an eighth of the image's size (4 x 4 for 30 x 30 cells), transposed convolutions double
    it three times, and what sticks out is cut off.
    """

    folded_training = False

    def __init__(
        self, detector: Detector, particles: tuple[int, ...], settings: ImageSettings, *, conditional: bool
    ) -> None:
        super().__init__()
        self.conditional = conditional
        self.particles = particles
        self.noise_width = settings.latent
        self.shape = detector.cells.shape
        self.start = tuple(-(-side // 2**_UPSAMPLINGS) for side in self.shape)
        channels = settings.channels
        self.features = ConditionFeatures(detector, particles, folded=False)
        inputs = settings.latent + (self.features.width if conditional else 0)
        self.box_cox = BoxCox(settings.epsilon)
        self.network = nn.Sequential(
            nn.Linear(inputs, settings.hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(settings.hidden, 4 * channels * self.start[0] * self.start[1]),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (4 * channels, *self.start)),
            nn.ConvTranspose2d(4 * channels, 2 * channels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(channels, 1, 4, stride=2, padding=1),
        )

    @property
    def trained(self) -> nn.Module:
        return self.network

    def images(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Conditions (N, C + 1), noise (N, noise_width) -> transformed images (N, n_cells), as judged.

        Without conditions the showers are those of the training sample's spectrum, whatever is asked for.
        """
        inputs = torch.cat([self.features(conditions), noise], 1) if self.conditional else noise
        maps = self.network(inputs)[:, 0]
        top, left = ((have - want) // 2 for have, want in zip(maps.shape[1:], self.shape, strict=True))
        cut = maps[:, top : top + self.shape[0], left : left + self.shape[1]]
        return self.box_cox.clamp(cut.flatten(1))

    def forward(self, conditions: Tensor, noise: Tensor) -> Tensor:
        return self.box_cox.inverse(self.images(conditions, noise))


class Discriminator(nn.Module):
    """Transformed images (N, n_cells) to one number; the log odds of being real, or the score of a critic.

    Of a conditional family it also sees the condition features, and how far a regressor of them, trained on full
    simulation and frozen, finds the shower from what was asked for.
    """

    def __init__(self, detector: Detector, n_features: int, settings: ImageSettings, *, conditional: bool) -> None:
        super().__init__()
        shape, channels, hidden = detector.cells.shape, settings.critic_channels, settings.hidden
        self.image = ImageFeatures(shape, 1, channels, hidden)
        self.regressor = Regressor(shape, channels // 2, hidden, n_features) if conditional else None
        self.head = dense(hidden + (2 * n_features if conditional else 0), hidden, 1)

    def frozen(self) -> None:
        """Keep the regressor as it is from now on."""
        if self.regressor is not None:
            self.regressor.requires_grad_(False)

    def forward(self, images: Tensor, features: Tensor) -> Tensor:
        """Images (N, n_cells), condition features (N, C) -> scores (N,)."""
        inputs = [self.image(images[:, :, None])]
        if self.regressor is not None:
            inputs += [features, 10 * (self.regressor(images) - features)]
        score: Tensor = self.head(torch.cat(inputs, 1))
        return score[:, 0]
