"""How the visible energy divides among the layers of cells: each given those before it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.models.networks.functions import normal_share
from caloforge.models.networks.marginals import dense

if TYPE_CHECKING:
    from caloforge.detector import Detector

COMPONENTS = 6
EDGE = 12.0
"""Largest logit of a share: what is beyond counts as all, or nothing, of the energy."""
_RESOLVED = math.exp(-EDGE)
_NEAR = 1e-3  # of the edge, which rounding moves
_NARROWEST = -4.0  # logarithm of a deviation, in units of the sample's


class Mixture(NamedTuple):
    """Mixtures of K normal distributions of N numbers; all three are (N, K)."""

    logits: Tensor
    mean: Tensor
    log_deviation: Tensor

    def loss(self, values: Tensor, below: Tensor, above: Tensor) -> Tensor:
        """Negative log-likelihood (N,) of values (N,), where what lies beyond an edge is added to it.

        Args:
            values: where the numbers are.
            below: (N,) bool, at the lower edge.
            above: (N,) bool, at the upper edge.
        """
        standardised = (values[:, None] - self.mean) * torch.exp(-self.log_deviation)
        inside = -0.5 * standardised.square() - self.log_deviation - 0.5 * math.log(2 * math.pi)
        below, above = below[:, None], above[:, None]
        terms = torch.where(
            below | above, torch.special.log_ndtr(torch.where(above, -standardised, standardised)), inside
        )
        return -torch.logsumexp(functional.log_softmax(self.logits, 1) + terms, 1)

    def draw(self, share: Tensor, noise: Tensor) -> Tensor:
        """Values (N, 1): a uniform number (N, 1) tells which component, a normal one (N, 1) where in it."""
        below = torch.cumsum(functional.softmax(self.logits, 1), 1)[:, :-1]
        component = (share > below).sum(1, keepdim=True)
        mean, log_deviation = (torch.gather(item, 1, component) for item in (self.mean, self.log_deviation))
        return mean + torch.exp(log_deviation) * noise


class ConditionalMixture(nn.Module):
    """A mixture of a standardised number as a smooth function of what is given."""

    def __init__(self, n_given: int, hidden: int) -> None:
        super().__init__()
        self.network = dense(n_given, hidden, hidden, 3 * COMPONENTS)
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.bias[COMPONENTS : 2 * COMPONENTS].copy_(torch.linspace(-1.5, 1.5, COMPONENTS))

    def forward(self, given: Tensor) -> Mixture:
        logits, mean, log_deviation = self.network(given).chunk(3, 1)
        return Mixture(logits, mean, log_deviation.clamp_min(_NARROWEST))


class LayerShares(nn.Module):
    """The share of each layer of cells in what the layers before it have left of the visible energy, from the front.

    u = ln((r + d) / (1 - r + d)) of the share r, with d = exp(-EDGE), follows a mixture given the features, the pull of
    the visible energy and the u of the layers before. The last layer takes what is left; with one layer there is
    nothing to draw, and no parameter.

    Attributes:
        n_values: one less than there are layers of cells.
        noise_width: normal numbers a shower, two for each value.
    """

    # (L, P) numbers of the cells of each layer; P is a power of two, places to spare name the cell after the last
    places: Tensor
    layer_of: Tensor  # (n_cells,)
    offset: Tensor  # (n_values,), of u in the training sample
    scale: Tensor  # (n_values,)

    def __init__(self, detector: Detector, n_features: int, hidden: int) -> None:
        super().__init__()
        cells = [layer.index for layer in detector.cell_layers]
        sizes = [len(layer.cells) for layer in detector.cell_layers]
        self.n_values = len(cells) - 1
        places = torch.full((len(sizes), 2 ** math.ceil(math.log2(max(sizes)))), detector.n_cells)
        for number, (index, size) in enumerate(zip(cells, sizes, strict=True)):
            places[number, :size] = torch.arange(index.start, index.stop)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("layer_of", torch.repeat_interleave(torch.tensor(sizes)), persistent=False)
        several = self.n_values > 0  # one layer has nothing to keep
        self.register_buffer("offset", torch.zeros(self.n_values), persistent=several)
        self.register_buffer("scale", torch.ones(self.n_values), persistent=several)
        self.noise_width = 2 * self.n_values
        self.mixtures = nn.ModuleList(ConditionalMixture(n_features + 1 + k, hidden) for k in range(self.n_values))

    def standardise_with(self, logits: Tensor) -> None:
        """Take offsets and scales from u (N, n_values) of training showers."""
        self.offset.copy_(logits.mean(0))
        self.scale.copy_(logits.std(0).clamp_min(1e-3))

    def values(self, energies: Tensor) -> Tensor:
        """Standardised u (N, n_values) of energies (N, n_cells)."""
        return (self.logits(energies) - self.offset) / self.scale

    def logits(self, energies: Tensor) -> Tensor:
        """u (N, n_values) of energies (N, n_cells); -EDGE for shares below exp(-EDGE), and where nothing is left."""
        layers = self.sums(energies)
        left = layers.flip(1).cumsum(1).flip(1)[:, :-1]
        share = (layers[:, :-1] / left.clamp_min(1e-12)).clamp(0, 1)
        share = torch.where(share < _RESOLVED, 0.0, torch.where(share > 1 - _RESOLVED, 1.0, share))
        return torch.log((share + _RESOLVED) / (1 - share + _RESOLVED)).clamp(-EDGE, EDGE)

    def losses(self, features: Tensor, pull: Tensor, logits: Tensor) -> Tensor:
        """Negative log-likelihood (N,) of u (N, n_values), given features (N, C) and the pull (N, 1) of the energy."""
        given = torch.cat([features, pull, (logits - self.offset) / self.scale], 1)
        first = given.shape[1] - self.n_values
        total = pull.new_zeros(len(pull))
        for k, mixture in enumerate(self.mixtures):
            found: Mixture = mixture(given[:, : first + k])
            total = total + found.loss(given[:, first + k], logits[:, k] <= -EDGE, logits[:, k] >= EDGE)
        return total

    def sums(self, energies: Tensor) -> Tensor:
        """Energies (N, L) of the layers, added in pairs.

        onnxruntime's sums have other bits in other batches, and a product would be rounded where products are.
        """
        parts = self._by_layer(energies, 0.0)
        while parts.shape[2] > 1:
            first, second = parts.tensor_split(2, 2)
            parts = first + second
        return parts[:, :, 0]

    def scaled(self, energies: Tensor, layers: Tensor) -> Tensor:
        """Energies (N, n_cells), above zero in a cell of every layer, scaled so that the layers have (N, L)."""
        return energies * (layers / self.sums(energies))[:, self.layer_of]

    def hottest(self, energies: Tensor) -> Tensor:
        """True (N, n_cells) in the cells that hold the most of their layer."""
        return energies >= self._by_layer(energies, -math.inf).amax(2)[:, self.layer_of]

    def draw(self, features: Tensor, pull: Tensor, noise: Tensor) -> Tensor:
        """Standardised u (N, n_values), given features (N, C) and the pull (N, 1); noise (N, noise_width)."""
        shares, noise = normal_share(noise[:, : self.n_values]), noise[:, self.n_values :]
        low, high = ((edge - self.offset) / self.scale for edge in (-EDGE, EDGE))
        given = torch.cat([features, pull], 1)
        for k, mixture in enumerate(self.mixtures):
            found: Mixture = mixture(given)
            value = found.draw(shares[:, k : k + 1], noise[:, k : k + 1])
            given = torch.cat([given, value.clamp(low[k], high[k])], 1)
        return given[:, features.shape[1] + 1 :]

    def divide(self, visible: Tensor, values: Tensor) -> Tensor:
        """Energies (N, L) of the layers, of the visible energy (N, 1) and standardised u (N, n_values)."""
        logits = self.offset + self.scale * values
        grown = torch.exp(logits)
        shares = (grown - _RESOLVED * (1 - grown)) / (1 + grown)  # the exporter takes a factor 1 + 6e-6 for 1
        shares = torch.where(logits.abs() < EDGE - _NEAR, shares.clamp(0, 1), (logits > 0).float())
        left = visible
        layers = []
        for k in range(self.n_values):
            layers.append(left * shares[:, k : k + 1])
            left = left - layers[-1]
        return torch.cat([*layers, left], 1)

    def _by_layer(self, energies: Tensor, spare: float) -> Tensor:
        """Energies (N, n_cells) as (N, L, P), ``spare`` where a layer has no cell."""
        return functional.pad(energies, (0, 1), value=spare)[:, self.places]
