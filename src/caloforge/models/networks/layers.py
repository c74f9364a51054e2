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

    def loss(self, values: Tensor) -> Tensor:
        """Negative log-likelihood (N,) of values (N,) in -EDGE..EDGE, where what lies beyond is added to the edges."""
        standardised = (values[:, None] - self.mean) * torch.exp(-self.log_deviation)
        inside = -0.5 * standardised.square() - self.log_deviation - 0.5 * math.log(2 * math.pi)
        below, above = (values <= -EDGE)[:, None], (values >= EDGE)[:, None]
        terms = torch.where(
            below | above, torch.special.log_ndtr(torch.where(above, -standardised, standardised)), inside
        )
        return -torch.logsumexp(functional.log_softmax(self.logits, 1) + terms, 1)

    def draw(self, noise: Tensor) -> Tensor:
        """Values (N,) of two normal numbers each, noise (N, 2): which component, and where in it."""
        below = torch.cumsum(functional.softmax(self.logits, 1), 1)[:, :-1]
        component = (normal_share(noise[:, :1]) > below).sum(1, keepdim=True)
        mean, log_deviation = (torch.gather(item, 1, component)[:, 0] for item in (self.mean, self.log_deviation))
        return (mean + torch.exp(log_deviation) * noise[:, 1]).clamp(-EDGE, EDGE)


class ConditionalMixture(nn.Module):
    """A mixture as a smooth function of what is given; works in the training sample's ``offset`` and ``scale``."""

    offset: Tensor
    scale: Tensor

    def __init__(self, n_given: int, hidden: int) -> None:
        super().__init__()
        self.network = dense(n_given, hidden, hidden, 3 * COMPONENTS)
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.bias[COMPONENTS : 2 * COMPONENTS].copy_(torch.linspace(-1.5, 1.5, COMPONENTS))
        self.register_buffer("offset", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def standardise_with(self, values: Tensor) -> None:
        """Take offset and scale from training values (N,)."""
        self.offset.copy_(values.mean())
        self.scale.copy_(values.std().clamp_min(1e-3))

    def forward(self, given: Tensor) -> Mixture:
        logits, mean, log_deviation = self.network(given).chunk(3, 1)
        log_deviation = torch.log(self.scale) + log_deviation.clamp_min(_NARROWEST)
        return Mixture(logits, self.offset + self.scale * mean, log_deviation)


class LayerShares(nn.Module):
    """The share of each layer of cells in what the layers before it have left of the visible energy, from the front.

    u = ln((r + d) / (1 - r + d)) of the share r, with d = exp(-EDGE), follows a mixture given the features, the pull of
    the visible energy and the u of the layers before. The last layer takes what is left; with one layer there is
    nothing to draw, and no parameter.

    Attributes:
        n_values: one less than there are layers of cells.
        noise_width: normal numbers a shower, two for each value.
    """

    places: (
        Tensor  # (L, P) numbers of the cells of each layer; P is a power of two, places to spare name a cell of none
    )
    layer_of: Tensor  # (n_cells,)

    def __init__(self, detector: Detector, n_features: int, hidden: int) -> None:
        super().__init__()
        self.cells = [layer.index for layer in detector.cell_layers]
        self.n_values = len(self.cells) - 1
        sizes = [len(layer.cells) for layer in detector.cell_layers]
        places = torch.full((len(sizes), 2 ** math.ceil(math.log2(max(sizes)))), detector.n_cells)
        for number, (cells, size) in enumerate(zip(self.cells, sizes, strict=True)):
            places[number, :size] = torch.arange(cells.start, cells.stop)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("layer_of", torch.repeat_interleave(torch.tensor(sizes)), persistent=False)
        self.noise_width = 2 * self.n_values
        self.mixtures = nn.ModuleList(ConditionalMixture(n_features + 1 + k, hidden) for k in range(self.n_values))

    def standardise_with(self, logits: Tensor) -> None:
        """Take offsets and scales from u (N, n_values) of training showers."""
        for k, mixture in enumerate(self.mixtures):
            assert isinstance(mixture, ConditionalMixture)
            mixture.standardise_with(logits[:, k])

    def values(self, energies: Tensor) -> Tensor:
        """Standardised u (N, n_values) of energies (N, n_cells)."""
        logits = self.logits(energies)
        return (
            torch.stack([self._standardised(k, logits[:, k]) for k in range(self.n_values)], 1)
            if self.n_values
            else logits
        )

    def logits(self, energies: Tensor) -> Tensor:
        """u (N, n_values) of energies (N, n_cells); -EDGE for shares below exp(-EDGE), and where nothing is left."""
        layers = self.sums(energies)
        left = layers.flip(1).cumsum(1).flip(1)[:, :-1]
        share = (layers[:, :-1] / left.clamp_min(1e-12)).clamp(0, 1)
        share = torch.where(share < _RESOLVED, 0.0, torch.where(share > 1 - _RESOLVED, 1.0, share))
        return torch.log((share + _RESOLVED) / (1 - share + _RESOLVED)).clamp(-EDGE, EDGE)

    def losses(self, features: Tensor, pull: Tensor, logits: Tensor) -> Tensor:
        """Negative log-likelihood (N,) of u (N, n_values), given features (N, C) and the pull (N, 1) of the energy."""
        given = torch.cat([features, pull], 1)
        total = pull.new_zeros(len(pull))
        for k, mixture in enumerate(self.mixtures):
            found: Mixture = mixture(given)
            total = total + found.loss(logits[:, k])
            given = torch.cat([given, self._standardised(k, logits[:, k])[:, None]], 1)
        return total

    def sums(self, energies: Tensor) -> Tensor:
        """Energies (N, L) of the layers, added in pairs.

        onnxruntime's sums have other bits in other batches, and a product would be rounded where products are.
        """
        parts = functional.pad(energies, (0, 1))[:, self.places]
        while parts.shape[2] > 1:
            first, second = parts.tensor_split(2, 2)
            parts = first + second
        return parts[:, :, 0]

    def scaled(self, energies: Tensor, layers: Tensor) -> Tensor:
        """Energies (N, n_cells), above zero in a cell of every layer, scaled so that the layers have (N, L)."""
        return energies * (layers / self.sums(energies))[:, self.layer_of]

    def draw(self, features: Tensor, pull: Tensor, noise: Tensor) -> list[Tensor]:
        """Standardised u, (N, 1) each, given features (N, C) and the pull (N, 1); noise (N, noise_width)."""
        values: list[Tensor] = []
        for k, mixture in enumerate(self.mixtures):
            found: Mixture = mixture(torch.cat([features, pull, *values], 1))
            values.append(self._standardised(k, found.draw(noise[:, 2 * k : 2 * k + 2]))[:, None])
        return values

    def divide(self, visible: Tensor, values: Tensor) -> Tensor:
        """Energies (N, L) of the layers, of the visible energy (N, 1) and standardised u (N, n_values)."""
        left = visible
        layers = []
        for k, mixture in enumerate(self.mixtures):
            assert isinstance(mixture, ConditionalMixture)
            logit = mixture.offset + mixture.scale * values[:, k : k + 1]
            grown = torch.exp(logit)
            share = (grown - _RESOLVED * (1 - grown)) / (1 + grown)  # the exporter takes a factor 1 + 6e-6 for 1
            share = torch.where(logit.abs() < EDGE - _NEAR, share.clamp(0, 1), (logit > 0).float())
            layers.append(left * share)
            left = left - layers[-1]
        return torch.cat([*layers, left], 1)

    def _standardised(self, k: int, value: Tensor) -> Tensor:
        mixture = self.mixtures[k]
        assert isinstance(mixture, ConditionalMixture)
        return (value - mixture.offset) / mixture.scale
