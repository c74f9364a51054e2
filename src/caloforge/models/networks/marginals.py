"""What the conditions alone say: mean and deviation of the cells, of the observables and of the total energy."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

N_KNOTS = 29
EDGE = 0.02
"""Value v = ln(1 + e / epsilon) up to which a cell counts as off."""


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
    """Normal distributions of K quantities, mean and deviation (N, K); a pull is (x - mean) / deviation."""

    mean: Tensor
    deviation: Tensor

    def values(self, pulls: Tensor) -> Tensor:
        """x (N, K) of pulls (N, K)."""
        return self.mean + self.deviation * pulls

    def pulls(self, values: Tensor) -> Tensor:
        """Pulls (N, K) of x (N, K); the inverse of :meth:`values`."""
        return (values - self.mean) / self.deviation

    def loss(self, values: Tensor) -> Tensor:
        """Negative log-likelihood (N, K) of x, without the constant."""
        return 0.5 * self.pulls(values).square() + torch.log(self.deviation)

    def censored_loss(self, values: Tensor, *, edge: float = EDGE) -> Tensor:
        """Negative log-likelihood (N, K) of max(0, x): a cell is off (x <= edge), or on with a value.

        Source: J. Tobin, "Estimation of relationships for limited dependent variables", Econometrica 26 (1958) 24.
        """
        on = self.loss(values) + 0.5 * math.log(2 * math.pi)
        off = -torch.special.log_ndtr(self.pulls(torch.full_like(values, edge)))
        return torch.where(values > edge, on, off)


class ConditionalMoments(nn.Module):
    """Mean and standard deviation of K quantities as smooth functions of the condition features.

    The network works on quantities standardised with the training sample's ``offset`` and ``scale``, both (K,).
    """

    offset: Tensor
    scale: Tensor

    def __init__(self, n_features: int, n_outputs: int, hidden: int) -> None:
        super().__init__()
        self.network = dense(n_features, hidden, hidden, 2 * n_outputs)
        self.register_buffer("offset", torch.zeros(n_outputs))
        self.register_buffer("scale", torch.ones(n_outputs))

    def standardise_with(self, values: Tensor) -> None:
        """Take offset and scale from training values (N, K)."""
        self.offset.copy_(values.mean(0))
        self.scale.copy_(values.std(0).clamp_min(1e-6))

    def forward(self, features: Tensor) -> Marginals:
        """Features (N, C) to mean and deviation, both (N, K), in the units of the quantities."""
        mean, log_deviation = self.network(features).chunk(2, 1)
        return Marginals(self.offset + self.scale * mean, self.scale * torch.exp(log_deviation))


class ResponseModel(nn.Module):
    """E_vis / E given the conditions: r = mean + deviation * q(z), z standard normal.

    q is the piecewise linear map from normal quantiles to the quantiles of the training residuals, so that r has the
    distribution of full simulation up to how well mean and deviation follow the conditions.
    """

    knots: Tensor
    quantiles: Tensor

    def __init__(self, n_features: int, hidden: int) -> None:
        super().__init__()
        self.moments = ConditionalMoments(n_features, 1, hidden)
        self.register_buffer("knots", torch.linspace(-3.5, 3.5, N_KNOTS))
        self.register_buffer("quantiles", torch.linspace(-3.5, 3.5, N_KNOTS))

    def fit_quantiles(self, residuals: Tensor) -> None:
        """Take the quantiles of the training residuals (N,), (r - mean) / deviation."""
        probability = torch.special.ndtr(self.knots.cpu().double())  # not every device has float64
        self.quantiles.copy_(torch.quantile(residuals.cpu().double(), probability))

    def forward(self, features: Tensor, normal: Tensor) -> Tensor:
        """Features (N, C) and standard normal numbers (N,) to E_vis / E (N,), positive."""
        marginal = self.moments(features)
        slopes = self.quantiles.diff() / self.knots.diff()
        bends = torch.cat([slopes[:1], slopes.diff()])
        z = normal.clamp(-3.5, 3.5)[:, None]
        residual = self.quantiles[0] + (torch.relu(z - self.knots[:-1]) * bends).sum(1)
        response: Tensor = marginal.values(residual[:, None])[:, 0]
        return response.clamp_min(1e-3)

    def normal(self, features: Tensor, response: Tensor) -> Tensor:
        """Features (N, C) and E_vis / E (N,) to standard normal numbers (N,); the inverse of :meth:`forward`."""
        residual = self.moments(features).pulls(response[:, None])[:, 0].contiguous()
        index = torch.searchsorted(self.quantiles, residual).clamp(1, N_KNOTS - 1)
        low, high = self.quantiles[index - 1], self.quantiles[index]
        share = (residual - low) / (high - low).clamp_min(1e-9)
        return torch.lerp(self.knots[index - 1], self.knots[index], share).clamp(-3.5, 3.5)
