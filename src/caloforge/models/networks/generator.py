"""The generator: conditions and noise in, cell energies out, physical units at both ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.detector import RectangularCells
from caloforge.models.networks.base import Generator
from caloforge.models.networks.conditions import ConditionFeatures, MirrorFold
from caloforge.models.networks.layers import LayerShares
from caloforge.models.networks.marginals import ConditionalMarginals, Marginals, dense
from caloforge.models.networks.settings import ConvolutionalSettings, NetworkSettings
from caloforge.transforms import energy_of_log, log_of_energy

if TYPE_CHECKING:
    from caloforge.detector import Detector

_LEAST_RESPONSE = 1e-3
_FAINTEST = 1e-6  # MeV
_MAX_VALUE = 14.0  # ln(1 + e/epsilon) that no cell exceeds; keeps exp finite whatever the noise


@dataclass(frozen=True)
class Layout:
    """The cells as an image, and the size of the convolutions on it.

    One rectangular grid is what it is; cells of several layers, or of rings, have no neighbours that all networks could
    know, and are a column with convolutions of size 1. What they have in common is left to the dense layers.
    """

    shape: tuple[int, int]
    kernel: int

    @property
    def n_cells(self) -> int:
        return self.shape[0] * self.shape[1]


def layout_of(detector: Detector) -> Layout:
    """The layout of a detector's cells."""
    cells = detector.cell_layers[0].cells
    if len(detector.cell_layers) == 1 and isinstance(cells, RectangularCells):
        return Layout(cells.shape, 3)
    return Layout((detector.n_cells, 1), 1)


class PullNetwork(nn.Module, ABC):
    """What a family is: pulls of all cells, standard normal as far as the marginals are right, from noise.

    Attributes:
        noise_width: normal numbers that one shower takes; the first also decides the visible energy.
    """

    noise_width: int

    @abstractmethod
    def forward(self, context: Tensor, noise: Tensor, cells: Marginals) -> Tensor:
        """Context (N, C), noise (N, noise_width), marginals of the cells -> pulls (N, n_cells)."""


class ConvolutionalPulls(PullNetwork):
    """Pulls (v - mean) / deviation of all cells from noise: a dense map of the latent numbers, then convolutions.

    The latent numbers make what cells have in common (how deep the shower starts, how it leans); the number of each
    cell makes what it has alone; the convolutions tie neighbours together.
    """

    def __init__(self, n_context: int, layout: Layout, settings: ConvolutionalSettings) -> None:
        super().__init__()
        self.shape = layout.shape
        self.maps = settings.maps
        self.n_common = 1 + settings.latent
        self.noise_width = self.n_common + layout.n_cells
        hidden, channels, size = settings.hidden, settings.channels, layout.kernel
        self.latent = dense(n_context + self.n_common, hidden, hidden, layout.n_cells * settings.maps)
        last = nn.Conv2d(channels, 1, 1)
        self.convolutions = nn.Sequential(
            nn.Conv2d(settings.maps + 3, channels, size, padding="same"),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, channels, size, padding="same"),
            nn.LeakyReLU(0.2),
            last,
        )
        self.own = nn.Parameter(torch.tensor(0.9))
        self.shared = nn.Parameter(torch.tensor(0.1))
        nn.init.normal_(last.weight, std=0.02)
        assert last.bias is not None
        nn.init.zeros_(last.bias)

    def forward(self, context: Tensor, noise: Tensor, cells: Marginals) -> Tensor:
        common, single = noise[:, : self.n_common], noise[:, self.n_common :]
        maps = self.latent(torch.cat([context, common], 1)).view(-1, self.maps, *self.shape)
        images = [single, cells.location / 3, cells.log_scale]
        stack = torch.cat([maps, *(image.view(-1, 1, *self.shape) for image in images)], 1)
        local: Tensor = self.convolutions(stack.contiguous(memory_format=torch.channels_last)).reshape(single.shape)
        pulls: Tensor = local + self.own * single + self.shared * maps[:, 0].reshape(single.shape)
        return pulls


class ShowerGenerator(Generator):
    """The whole sampler: (conditions (N, C + 1), noise (N, noise_width)) -> energies (N, n_cells), MeV.

    1. Reflect the conditions into one quadrant (``MirrorFold``).
    2. Draw E_vis / E from its distribution given the conditions; the first number of the noise is its pull.
    3. Draw how it divides among the layers of cells (``LayerShares``), with the last numbers of the noise. Conditions
       and shares together are the context of what follows.
    4. v = max(0, x): the distribution of each cell given the context turns the pulls, which the ``PullNetwork`` of
       the family makes, into x; a cell below zero is off, and none holds more than in any training shower, before
       step 5. e = epsilon (exp(v) - 1).
    5. Scale the cells to the energy of their layer; reflect back.
    """

    ceiling: Tensor

    def __init__(
        self,
        detector: Detector,
        particles: tuple[int, ...],
        settings: NetworkSettings,
        make_pulls: Callable[[int, Layout, Any], PullNetwork],
    ) -> None:
        super().__init__()
        self.particles = particles
        self.n_cells = detector.n_cells
        self.energy_column = detector.column("energy")
        self.epsilon = settings.epsilon
        self.fold = MirrorFold(detector)
        self.features = ConditionFeatures(detector, particles)
        pulls = make_pulls(self.features.width + len(detector.cell_layers) - 1, layout_of(detector), settings)
        self.layers = LayerShares(detector, self.features.width, settings.hidden // 2)
        self.n_context = self.features.width + self.layers.n_values
        self.noise_width = pulls.noise_width + self.layers.noise_width
        self.cells = ConditionalMarginals(self.n_context, detector.n_cells, settings.hidden)
        self.response = ConditionalMarginals(self.features.width, 1, settings.hidden // 2)
        self.pulls = pulls
        self.register_buffer("ceiling", torch.full((detector.n_cells,), _MAX_VALUE))

    @property
    def fitted_parts(self) -> int:
        """How many parts of the representation are fitted by themselves: response, cells, and layers if several."""
        return 3 if self.layers.n_values else 2

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

    def context(self, conditions: Tensor, energies: Tensor) -> Tensor:
        """Context (N, n_context) of showers (N, n_cells) under folded conditions (N, C + 1)."""
        return torch.cat([self.features(conditions), self.layers.values(energies)], 1)

    def pulls_of(self, energies: Tensor, conditions: Tensor) -> Tensor:
        """Showers as a critic sees them: (N, n_cells + n_values), pulls of the cells and the shares of the layers.

        Energies are (N, n_cells), conditions (N, C + 1) and folded; the pull of a cell that is off is that of v = 0.
        """
        context = self.context(conditions, energies)
        cells: Marginals = self.cells(context)
        return torch.cat([cells.pulls(self.to_values(energies)), context[:, self.features.width :]], 1)

    def energies_of(self, seen: Tensor, conditions: Tensor) -> Tensor:
        """Energies (N, n_cells) of what :meth:`pulls_of` gives under the same conditions; its inverse."""
        pulls, values = seen.tensor_split([self.n_cells], 1)
        cells: Marginals = self.cells(torch.cat([self.features(conditions), values], 1))
        return self.to_energies(cells.values(pulls))

    def drawn_context(self, conditions: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Context (N, n_context) of new showers under folded conditions (N, C + 1), and the noise of their pulls."""
        features, width = self.features(conditions), self.pulls.noise_width
        values = self.layers.draw(features, noise[:, :1], noise[:, width:])
        return torch.cat([features, values], 1), noise[:, :width]

    def folded(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Energies (N, n_cells) for conditions that are folded already."""
        response = self.response(self.features(conditions)).values(noise[:, :1]).clamp_min(_LEAST_RESPONSE)
        visible = response * conditions[:, self.energy_column, None]
        context, own = self.drawn_context(conditions, noise)
        cells = self.cells(context)
        x = torch.minimum(cells.values(self.pulls(context, own, cells)), self.ceiling)
        layers = self.layers.divide(visible, context[:, self.features.width :])
        faint = _FAINTEST * self.layers.hottest(x)  # something to scale where all cells of a layer are off
        return self.layers.scaled(torch.maximum(self.to_energies(x), faint), layers)

    def forward(self, conditions: Tensor, noise: Tensor) -> Tensor:
        flips = self.fold.flips(conditions)
        energies = self.folded(self.fold.conditions(conditions, flips), noise)
        return self.fold.energies(energies, flips)


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Images (N, H, W, K) with rows and columns of zeros added until H and W are multiples."""
    height, width = images.shape[1:3]
    return functional.pad(images, (0, 0, 0, -width % multiple, 0, -height % multiple))
