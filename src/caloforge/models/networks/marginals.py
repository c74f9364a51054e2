"""What the conditions alone say: the distribution of each cell, of each observable and of the total energy."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from caloforge.models.networks.functions import asinh, sinh

EDGE = 0.02
"""Value v = ln(1 + e / epsilon) up to which a cell counts as off."""

_LARGEST = 4.0  # of the argument of sinh: pulls up to 27
_MOST_SKEWED = 3.0
_LONGEST_TAIL = 1.2  # of the logarithm: tails from exp(-1.2) to exp(1.2) times as long as the normal's


def dense(*widths: int) -> nn.Sequential:
    """Linear layers of the given widths with SiLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])


def start_at_zero(layers: nn.Sequential) -> None:
    """Set the last layer to zero, so that what is added by the layers is nothing before they are trained."""
    last = layers[-1]
    assert isinstance(last, nn.Linear | nn.Conv2d)
    assert last.bias is not None
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)


class Marginals(NamedTuple):
    """Sinh-arcsinh distributions of K quantities: normal, bent by a skewness and a length of the tails.

    x = location + exp(log_scale) sinh((asinh z + skewness) / exp(log_tail)) of a pull z, which is standard normal; all
    four are (N, K). Source: M. C. Jones, A. Pewsey, "Sinh-arcsinh distributions", Biometrika 96 (2009) 761.
    """

    location: Tensor
    log_scale: Tensor
    skewness: Tensor
    log_tail: Tensor

    @classmethod
    def normal(cls, mean: Tensor, deviation: Tensor) -> Marginals:
        """Normal distributions of mean and deviation (N, K)."""
        return cls(mean, torch.log(deviation), torch.zeros_like(mean), torch.zeros_like(mean))

    def values(self, pulls: Tensor) -> Tensor:
        """x (N, K) of pulls (N, K)."""
        bent = sinh((asinh(pulls) + self.skewness) * torch.exp(-self.log_tail))
        return self.location + torch.exp(self.log_scale) * bent

    def pulls(self, values: Tensor) -> Tensor:
        """Pulls (N, K) of x (N, K), kept within +-27; the inverse of :meth:`values`."""
        return torch.sinh(self._straightened(self._standardised(values)))

    def loss(self, values: Tensor) -> Tensor:
        """Negative log-likelihood (N, K) of x, without the constant."""
        standardised = self._standardised(values)
        straight = self._straightened(standardised)
        slope = self.log_tail + torch.log(torch.cosh(straight)) - 0.5 * torch.log1p(standardised.square())
        return 0.5 * torch.sinh(straight).square() + self.log_scale - slope

    def censored_loss(self, values: Tensor, *, edge: float = EDGE) -> Tensor:
        """Negative log-likelihood (N, K) of max(0, x): a cell is off (x <= edge), or on with a value.

        Source: J. Tobin, "Estimation of relationships for limited dependent variables", Econometrica 26 (1958) 24.
        """
        on = self.loss(values) + 0.5 * math.log(2 * math.pi)
        off = -torch.special.log_ndtr(self.pulls(torch.full_like(values, edge)))
        return torch.where(values > edge, on, off)

    def _standardised(self, values: Tensor) -> Tensor:
        return (values - self.location) * torch.exp(-self.log_scale)

    def _straightened(self, standardised: Tensor) -> Tensor:
        return (torch.exp(self.log_tail) * torch.asinh(standardised) - self.skewness).clamp(-_LARGEST, _LARGEST)


class ConditionalMarginals(nn.Module):
    """Distributions of K quantities as smooth functions of the condition features; normal ones before training.

    The network works on quantities standardised with the training sample's ``offset`` and ``scale``, both (K,).
    """

    offset: Tensor
    scale: Tensor

    def __init__(self, n_features: int, n_outputs: int, hidden: int) -> None:
        super().__init__()
        self.network = dense(n_features, hidden, hidden, 4 * n_outputs)
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight[2 * n_outputs :].zero_()
            last.bias[2 * n_outputs :].zero_()
        self.register_buffer("offset", torch.zeros(n_outputs))
        self.register_buffer("scale", torch.ones(n_outputs))

    def standardise_with(self, values: Tensor) -> None:
        """Take offset and scale from training values (N, K)."""
        self.offset.copy_(values.mean(0))
        self.scale.copy_(values.std(0).clamp_min(1e-6))

    def forward(self, features: Tensor) -> Marginals:
        """Features (N, C) to the distributions, in the units of the quantities."""
        location, log_scale, skewness, log_tail = self.network(features).chunk(4, 1)
        return Marginals(
            self.offset + self.scale * location,
            torch.log(self.scale) + log_scale,
            _MOST_SKEWED * torch.tanh(skewness / _MOST_SKEWED),
            _LONGEST_TAIL * torch.tanh(log_tail / _LONGEST_TAIL),
        )
