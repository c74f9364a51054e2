"""The critic and the regressor inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.models.networks.generator import ShowerGenerator, layout_of, pad_to_multiple
from caloforge.models.networks.marginals import ConditionalMarginals, Marginals, dense
from caloforge.models.networks.settings import ConvolutionalSettings
from caloforge.observables import compute, observables_for, soft_sparsities

if TYPE_CHECKING:
    from caloforge.detector import Detector

_SEEN = ("response", "fraction_", "hottest_ratio", "radius", "radial_width", "within_")
_SEEN_IN_A_DIRECTION = ("width", "asymmetry", "barycentre")
_PULL_RANGE = (-5.0, 8.0)


class PatchConvolution(nn.Module):
    """A convolution whose stride is its kernel size, on images (N, H, W, K): one matrix product a layer.

    The gradient penalty differentiates the critic twice; that is three times as fast in this form as with nn.Conv2d.
    """

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.linear = nn.Linear(inputs * size * size, outputs)

    def forward(self, images: Tensor) -> Tensor:
        size = self.size
        n, height, width, channels = images.shape
        patches = images.view(n, height // size, size, width // size, size, channels).transpose(2, 3)
        result: Tensor = self.linear(patches.reshape(n, height // size, width // size, -1))
        return result


class ImageFeatures(nn.Module):
    """Images (N, n_cells, K) of a grid of cells to ``hidden`` features: two patch convolutions (3 and 2), one dense."""

    def __init__(self, shape: tuple[int, int], inputs: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.shape = shape
        positions = -(-shape[0] // 6) * -(-shape[1] // 6)
        self.first = PatchConvolution(inputs, channels, 3)
        self.second = PatchConvolution(channels, 4 * channels, 2)
        self.last = nn.Linear(4 * channels * positions, hidden)

    def forward(self, images: Tensor) -> Tensor:
        grid = pad_to_multiple(images.reshape(len(images), *self.shape, -1), 6)
        hidden = functional.leaky_relu(self.second(functional.leaky_relu(self.first(grid), 0.2)), 0.2)
        return functional.leaky_relu(self.last(hidden.flatten(1)), 0.2)


class ColumnFeatures(nn.Module):
    """Column (N, n_cells, K) of cells without neighbours to ``hidden`` features: two dense layers."""

    def __init__(self, n_cells: int, inputs: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(n_cells * inputs, hidden)
        self.last = nn.Linear(hidden, hidden)

    def forward(self, columns: Tensor) -> Tensor:
        hidden = functional.leaky_relu(self.first(columns.flatten(1)), 0.2)
        return functional.leaky_relu(self.last(hidden), 0.2)


def cell_features(detector: Detector, inputs: int, channels: int, hidden: int) -> nn.Module:
    """Numbers of the cells (N, n_cells, K) to ``hidden`` features, by convolutions where the cells are one grid."""
    layout = layout_of(detector)
    if layout.kernel == 1:
        return ColumnFeatures(layout.n_cells, inputs, hidden)
    return ImageFeatures(layout.shape, inputs, channels, hidden)


class Regressor(nn.Module):
    """Values v (N, n_cells) of a shower back to its condition features (N, C); trained on full simulation, frozen."""

    def __init__(self, detector: Detector, channels: int, hidden: int, n_features: int) -> None:
        super().__init__()
        self.image = cell_features(detector, 1, channels, hidden)
        self.head = nn.Linear(hidden, n_features)

    def forward(self, values: Tensor) -> Tensor:
        result: Tensor = self.head(self.image(values[:, :, None] / 3))
        return result


class ObservableFeatures(nn.Module):
    """Differentiable observables of showers as pulls: minus mean, over deviation, both given the conditions.

    Which ones is a choice of this model, not of the table: one that is new there would change what is trained and how
    fast, and older checkpoints would not fit. The shares of cells above thresholds, which have no gradient, enter
    through their smooth form.
    """

    def __init__(self, detector: Detector, n_features: int, settings: ConvolutionalSettings) -> None:
        super().__init__()
        self.detector = detector
        table = observables_for(detector)
        directions = [name.removeprefix("width_") for name in table if name.startswith("width_")]
        self.names = [name for name in table if name.startswith(_SEEN)]
        self.names += [f"{what}_{direction}" for direction in directions for what in _SEEN_IN_A_DIRECTION]
        self.n_outputs = len(self.names) + len(detector.sparsity_thresholds)
        self.moments = ConditionalMarginals(n_features, self.n_outputs, settings.hidden // 2)

    def values(self, energies: Tensor, conditions: Tensor) -> Tensor:
        """Energies (N, n_cells), conditions (N, C + 1) -> observables (N, n_outputs), in their own units."""
        smooth = torch.stack(list(compute(energies, conditions[:, :-1], self.detector, self.names).values()), 1)
        return torch.cat([smooth, soft_sparsities(energies, self.detector.sparsity_thresholds)], 1)

    def forward(self, energies: Tensor, conditions: Tensor, features: Tensor) -> Tensor:
        expected: Marginals = self.moments(features)
        pulls = expected.pulls(self.values(energies, conditions))
        return pulls.clamp(-8.0, 8.0)


class Critic(nn.Module):
    """What ``ShowerGenerator.pulls_of`` says of showers, and their conditions, to one number.

    The gradient penalty is taken in the pulls. There every cell has unit variance, so a bias of the hot cells, whose
    values fluctuate little, weighs as much as one of the halo. Beside the cells the critic sees the observables and how
    far the regressor finds the shower from what was asked for; both are frozen.
    """

    def __init__(self, detector: Detector, n_features: int, settings: ConvolutionalSettings) -> None:
        super().__init__()
        hidden = settings.hidden
        self.observables = ObservableFeatures(detector, n_features, settings)
        self.regressor = Regressor(detector, settings.critic_channels // 2, hidden, n_features)
        self.image = cell_features(detector, 4, settings.critic_channels, hidden)
        n_context = n_features + len(detector.cell_layers) - 1
        self.numbers = nn.Sequential(nn.Linear(self.observables.n_outputs + n_features + n_context, hidden), nn.SiLU())
        self.head = dense(2 * hidden + n_context, hidden, 1)

    def frozen(self) -> None:
        """Keep the pre-trained parts as they are from now on."""
        self.observables.requires_grad_(False)
        self.regressor.requires_grad_(False)

    def forward(self, seen: Tensor, conditions: Tensor, generator: ShowerGenerator) -> Tensor:
        """Pulls and shares, folded conditions (N, C + 1) -> scores (N,); ``generator`` lends its frozen marginals."""
        features = generator.features(conditions)
        pulls, shares = seen.tensor_split([generator.n_cells], 1)
        context = torch.cat([features, shares], 1)
        cells = generator.cells(context)
        energies = generator.to_energies(cells.values(pulls))
        values = generator.to_values(energies)
        observables = self.observables(energies, conditions, features)
        misses = 10 * (self.regressor(values) - features)
        images = torch.stack(
            [pulls.clamp(*_PULL_RANGE), values / 3, torch.sigmoid(8 * (values - 0.3)), cells.location / 3], -1
        )
        image = self.image(images)
        numbers = self.numbers(torch.cat([observables, misses, context], 1))
        score: Tensor = self.head(torch.cat([image, numbers, context], 1))
        return score[:, 0]
