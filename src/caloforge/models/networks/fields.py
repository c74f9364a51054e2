"""The pull networks of ``flow-matching`` and of ``student``: maps of images of pulls to images of pulls."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from caloforge.models.networks.generator import Layout, PullNetwork
from caloforge.models.networks.marginals import EDGE, Marginals, dense, start_at_zero
from caloforge.models.networks.settings import FieldSettings, MatchingSettings

QUARTER = math.pi / 2
"""The angle of the path from noise (0) to showers."""


class PullField(nn.Module):
    """Context (N, C), image (N, n_cells), what is expected (N, 2, H, W) -> image (N, n_cells), zero at first.

    Dense layers see the whole image and make what cells have in common, the first of their maps as it is; two 3x3
    convolutions tie neighbours together, told what each cell has on average and how likely it is on.
    """

    def __init__(self, n_context: int, layout: Layout, settings: FieldSettings) -> None:
        super().__init__()
        self.shape = layout.shape
        self.maps = settings.maps
        n_cells, hidden, size = layout.n_cells, settings.hidden, layout.kernel
        self.dense = dense(n_context + n_cells, hidden, hidden, n_cells * settings.maps)
        self.convolutions = nn.Sequential(
            nn.Conv2d(settings.maps + 3, settings.channels, size, padding="same"),
            nn.SiLU(),
            nn.Conv2d(settings.channels, 1, size, padding="same"),
        )
        start_at_zero(self.dense)
        start_at_zero(self.convolutions)

    def forward(self, context: Tensor, image: Tensor, expected: Tensor) -> Tensor:
        maps = self.dense(torch.cat([context, image], 1)).view(-1, self.maps, *self.shape)
        stack = torch.cat([maps, image.view(-1, 1, *self.shape), expected], 1)
        local: Tensor = self.convolutions(stack.contiguous(memory_format=torch.channels_last))
        result: Tensor = (maps[:, :1] + local).reshape(image.shape)
        return result

    def expected(self, cells: Marginals, image: Tensor) -> Tensor:
        """Images (N, 2, H, W) of what the conditions alone say: the median of each cell, the pull where it goes off."""
        zeros = torch.zeros_like(image)
        images = [cells.values(zeros) / 3, cells.pulls(zeros + EDGE).clamp(-5.0, 5.0) / 3]
        return torch.stack([image.view(-1, *self.shape) for image in images], 1)


class IntegratedPulls(PullNetwork):
    """Noise carried to pulls along a velocity field, dx/da = u(x, a), with the angle a from 0 to pi / 2.

    Along the path x = cos(a) noise + sin(a) pulls the velocity of independent normal pulls is zero: the networks learn
    the difference only. In t = tan(a) / (1 + tan(a)) the same path is straight up to a common factor (Y. Lipman et al.,
    arXiv:2210.02747; M. Albergo et al., arXiv:2303.08797). Integrated with a fixed number of steps of Heun's method.
    """

    def __init__(self, n_context: int, layout: Layout, settings: MatchingSettings) -> None:
        super().__init__()
        self.steps = settings.steps
        self.noise_width = 1 + layout.n_cells
        self.field = PullField(n_context + 5, layout, settings)

    def velocity(self, context: Tensor, angle: Tensor, image: Tensor, expected: Tensor) -> Tensor:
        """u (N, n_cells) of contexts (N, C + 1), angles (N, 1) and images (N, n_cells)."""
        waves = [wave(turns * angle) for turns in (2, 4) for wave in (torch.cos, torch.sin)]
        velocity: Tensor = self.field(torch.cat([context, *waves], 1), image, expected)
        return velocity

    def forward(self, context: Tensor, noise: Tensor, cells: Marginals) -> Tensor:
        normal, image = noise[:, :1], noise[:, 1:]
        context = torch.cat([context, normal], 1)
        expected = self.field.expected(cells, image)
        length = QUARTER / self.steps
        for step in range(self.steps):
            angles = (torch.full_like(normal, angle * length) for angle in (step, step + 1))
            first = self.velocity(context, next(angles), image, expected)
            second = self.velocity(context, next(angles), image + length * first, expected)
            image = image + 0.5 * length * (first + second)
        return image


class DistilledPulls(PullNetwork):
    """Noise to pulls in one evaluation; takes the noise of :class:`IntegratedPulls`."""

    def __init__(self, n_context: int, layout: Layout, settings: FieldSettings) -> None:
        super().__init__()
        self.noise_width = 1 + layout.n_cells
        self.field = PullField(n_context + 1, layout, settings)

    def forward(self, context: Tensor, noise: Tensor, cells: Marginals) -> Tensor:
        context, image = torch.cat([context, noise[:, :1]], 1), noise[:, 1:]
        pulls: Tensor = image + self.field(context, image, self.field.expected(cells, image))
        return pulls
