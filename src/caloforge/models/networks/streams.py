"""The networks of the published baseline for several layers: a stream for each, locally connected, attention between.

Source: M. Paganini, L. de Oliveira, B. Nachman, "CaloGAN", arXiv:1705.02355 and arXiv:1712.10321.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from caloforge.detector import RectangularCells
from caloforge.errors import RequestError
from caloforge.models.networks.base import Generator
from caloforge.models.networks.conditions import ConditionFeatures, MirrorFold
from caloforge.models.networks.critic import ImageFeatures
from caloforge.models.networks.marginals import dense
from caloforge.models.networks.settings import StreamSettings

if TYPE_CHECKING:
    from caloforge.detector import Detector

_SLOPE = 0.2
_LEAST_SHARE = 1e-9


def grids(detector: Detector) -> list[RectangularCells]:
    """The grids of the layers of cells; raises ``RequestError`` unless all are rectangular."""
    found = [layer.cells for layer in detector.cell_layers]
    for cells in found:
        if not isinstance(cells, RectangularCells):
            raise RequestError(
                f"{detector.name} has {cells}; the streams of this family make rectangular cells: take another family"
            )
    return [cells for cells in found if isinstance(cells, RectangularCells)]


def overlap(fine: RectangularCells, coarse: RectangularCells) -> NDArray[np.float64]:
    """Share (n_coarse, n_fine) of the area of each cell of one grid that each of another covers; both are centred."""
    lengths = []
    for n, size, m, other in zip(coarse.shape, coarse.size, fine.shape, fine.size, strict=True):
        low, high = (np.arange(n) - n / 2) * size, (np.arange(m) - m / 2) * other
        ends = np.minimum(low[:, None] + size, high[None, :] + other)
        lengths.append(np.maximum(ends - np.maximum(low[:, None], high[None, :]), 0.0) / size)
    return np.kron(*lengths)


class LocallyConnected(nn.Module):
    """A 3 x 3 convolution with weights of its own at each place: (N, C, H, W) -> (N, K, H, W)."""

    def __init__(self, shape: tuple[int, int], inputs: int, outputs: int) -> None:
        super().__init__()
        self.shape = shape
        self.outputs = outputs
        places = shape[0] * shape[1]
        self.weight = nn.Parameter(torch.randn(places, 9 * inputs, outputs) * (2 / (9 * inputs)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(places, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        (height, width), padded = self.shape, functional.pad(x, (1, 1, 1, 1))
        shifted = [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
        patches = torch.cat(shifted, 1).flatten(2).permute(2, 0, 1)
        # A shower more, and a channel of zeros: a single one of either onnxruntime adds up in another order.
        patches = torch.cat([patches, patches[:, :1]], 1)
        made = (patches @ functional.pad(self.weight, (0, 1)))[:, :-1, :-1] + self.bias
        return made.permute(1, 2, 0).reshape(-1, self.outputs, height, width)


class Stream(nn.Module):
    """Inputs (N, K) to the image (N, 1, H, W) of one layer: dense, a convolution, two locally connected layers."""

    def __init__(self, inputs: int, shape: tuple[int, int], settings: StreamSettings) -> None:
        super().__init__()
        self.shape = shape
        self.maps = settings.maps
        self.dense = nn.Linear(inputs, settings.maps * shape[0] * shape[1])
        self.layers = nn.Sequential(
            nn.Conv2d(settings.maps, settings.channels, 3, padding=1),
            nn.LeakyReLU(_SLOPE),
            LocallyConnected(shape, settings.channels, settings.local),
            nn.LeakyReLU(_SLOPE),
            LocallyConnected(shape, settings.local, 1),
        )

    def forward(self, common: Tensor) -> Tensor:
        image: Tensor = self.layers(self.dense(common).view(-1, self.maps, *self.shape))
        return image


class Streams(nn.Module):
    """Inputs (N, K) to energies (N, n_cells) over those of the training showers, cell by cell; many are 0, none below.

    Each layer is a mixture of its own stream and the layer before it, brought to its cells by area, with weights that
    depend on both.
    """

    def __init__(self, inputs: int, detector: Detector, settings: StreamSettings) -> None:
        super().__init__()
        layers = grids(detector)
        self.streams = nn.ModuleList(Stream(inputs, cells.shape, settings) for cells in layers)
        self.attention = nn.ModuleList(LocallyConnected(cells.shape, 2, 1) for cells in layers[1:])
        for number, (before, cells) in enumerate(itertools.pairwise(layers)):
            carried = torch.from_numpy(overlap(before, cells).T).float()
            self.register_buffer(f"carried_{number}", carried.contiguous(), persistent=False)

    def forward(self, common: Tensor) -> Tensor:
        images: list[Tensor] = []
        for number, stream in enumerate(self.streams):
            image: Tensor = stream(common)
            if images:
                before = (images[-1].flatten(1) @ self.get_buffer(f"carried_{number - 1}")).view_as(image)
                weight = torch.sigmoid(self.attention[number - 1](torch.cat([image, before], 1)))
                image = weight * image + (1 - weight) * before
            images.append(functional.relu(image))
        return torch.cat([image.flatten(1) for image in images], 1)


class StreamGenerator(Generator):
    """Latent numbers, scaled by the incident energy, and the conditions to the energies of all layers of cells.

    Cells are made over ``share``, the root mean square of each cell's share of the incident energy in the training
    showers.
    """

    share: Tensor
    response: Tensor

    def __init__(self, detector: Detector, particles: tuple[int, ...], settings: StreamSettings) -> None:
        super().__init__()
        self.particles = particles
        self.noise_width = settings.latent
        self.energy_column = detector.column("energy")
        self.highest = float(detector.high[self.energy_column])
        self.fold = MirrorFold(detector)
        self.features = ConditionFeatures(detector, particles)
        self.network = Streams(settings.latent + self.features.width, detector, settings)
        self.register_buffer("share", torch.ones(detector.n_cells))
        self.register_buffer("response", torch.ones(()))

    @property
    def trained(self) -> nn.Module:
        return self.network

    def standardise_with(self, energies: Tensor, conditions: Tensor) -> None:
        """Take the shares of the cells and the mean response from training showers."""
        shares = energies / conditions[:, self.energy_column, None]
        self.share.copy_(shares.square().mean(0).sqrt().clamp_min(_LEAST_SHARE))
        self.response.copy_(shares.sum(1).mean())

    def relative(self, energies: Tensor, conditions: Tensor) -> Tensor:
        """Energies (N, n_cells) over those of the training showers at the same incident energy."""
        return energies / (self.share * conditions[:, self.energy_column, None])

    def energies(self, relative: Tensor, conditions: Tensor) -> Tensor:
        """The inverse of :meth:`relative`, MeV."""
        return relative * (self.share * conditions[:, self.energy_column, None])

    def made(self, folded: Tensor, noise: Tensor) -> Tensor:
        """Relative energies (N, n_cells) of folded conditions (N, C + 1) and noise (N, latent)."""
        scaled = noise * (folded[:, self.energy_column, None] / self.highest)
        made: Tensor = self.network(torch.cat([scaled, self.features(folded)], 1))
        return made

    def forward(self, conditions: Tensor, noise: Tensor) -> Tensor:
        flips = self.fold.flips(conditions)
        folded = self.fold.conditions(conditions, flips)
        return self.fold.energies(self.energies(self.made(folded, noise), folded), flips)


class StreamDiscriminator(nn.Module):
    """Relative energies (N, n_cells) and conditions to the log odds of being real.

    A stream of convolutions for each layer; beside them the energy of each layer and of all, the share of cells that
    are on in each, and the conditions.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, detector: Detector, n_features: int, settings: StreamSettings) -> None:
        super().__init__()
        layers, hidden = grids(detector), settings.hidden
        self.index = [layer.index for layer in detector.cell_layers]
        self.images = nn.ModuleList(ImageFeatures(cells.shape, 2, settings.critic_channels, hidden) for cells in layers)
        n_numbers = 2 * len(layers) + 1
        self.head = dense(len(layers) * hidden + n_numbers + n_features, hidden, 1)
        self.register_buffer("mean", torch.zeros(n_numbers))
        self.register_buffer("deviation", torch.ones(n_numbers))

    def frozen(self) -> None:
        """Nothing of it is fitted beforehand."""

    def standardise_with(self, relative: Tensor, share: Tensor) -> None:
        """Take mean and deviation of the numbers from training showers."""
        numbers = self._numbers(relative, share)
        self.mean.copy_(numbers.mean(0))
        self.deviation.copy_(numbers.std(0).clamp_min(1e-6))

    def forward(self, relative: Tensor, features: Tensor, share: Tensor) -> Tensor:
        """Relative energies (N, n_cells), condition features (N, C), shares of the cells (n_cells,) -> scores (N,)."""
        pairs = torch.stack([torch.log1p(relative), torch.tanh(4 * relative)], -1)
        images = [image(pairs[:, cells]) for image, cells in zip(self.images, self.index, strict=True)]
        numbers = (self._numbers(relative, share) - self.mean) / self.deviation
        score: Tensor = self.head(torch.cat([*images, numbers, features], 1))
        return score[:, 0]

    def _numbers(self, relative: Tensor, share: Tensor) -> Tensor:
        energies = relative * share
        on = torch.tanh(20 * relative)
        layers = [energies[:, cells].sum(1) for cells in self.index]
        return torch.stack([sum(layers[1:], layers[0]), *layers, *(on[:, cells].mean(1) for cells in self.index)], 1)
