"""The pull network of ``flow``."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from caloforge.errors import require
from caloforge.models.networks.generator import Layout, PullNetwork
from caloforge.models.networks.marginals import Marginals, dense, start_at_zero
from caloforge.models.networks.settings import FactorSettings


class FactorModel(NamedTuple):
    """Pulls x = mean + loadings (scale * f) + deviation * own, with K factors f, given the context of N showers.

    mean and deviation are (N, n_cells), loadings (n_cells, K), the same for all showers, and scale (N, K).
    """

    mean: Tensor
    deviation: Tensor
    loadings: Tensor
    scale: Tensor

    def pulls(self, factors: Tensor, own: Tensor) -> Tensor:
        """Pulls (N, n_cells) of factors (N, K) and the numbers of the cells (N, n_cells)."""
        return self.mean + (self.scale * factors) @ self.loadings.T + self.deviation * own


class FactorPulls(PullNetwork):
    """Factor analysis whose factors follow a conditional normalising flow.

    Mean, scale and deviation are smooth functions of the context and the number of the visible energy. The flow is a
    neural spline flow of coupling layers (C. Durkan et al., arXiv:1906.04032): one pass in either direction, and the
    identity at first.
    """

    def __init__(self, n_context: int, layout: Layout, settings: FactorSettings) -> None:
        super().__init__()
        flows = require("zuko.flows", "train")
        n_cells, context = layout.n_cells, n_context + 1
        self.sizes = [n_cells, n_cells, settings.factors]
        self.noise_width = 1 + settings.factors + n_cells
        self.loadings = nn.Parameter(torch.zeros(n_cells, settings.factors))
        self.given = dense(context, settings.hidden, settings.hidden, sum(self.sizes))
        self.flow = flows.NSF(
            settings.factors,
            context,
            bins=settings.bins,
            transforms=settings.transforms,
            passes=2,
            hidden_features=(settings.width, settings.width),
        ).transform
        start_at_zero(self.given)
        for transform in self.flow.transforms:
            start_at_zero(transform.hyper)

    def model(self, context: Tensor) -> FactorModel:
        """The linear part for contexts (N, C + 1)."""
        mean, log_deviation, log_scale = torch.split(self.given(context), self.sizes, 1)
        return FactorModel(mean, torch.exp(log_deviation), self.loadings, torch.exp(log_scale))

    def log_prior(self, factors: Tensor, context: Tensor) -> Tensor:
        """Log-density (N,) of factors (N, K) under the flow, without the constant."""
        normal, log_volume = self.flow(context).call_and_ladj(factors)
        density: Tensor = log_volume - 0.5 * normal.square().sum(1)
        return density

    def forward(self, context: Tensor, noise: Tensor, cells: Marginals) -> Tensor:
        context = torch.cat([context, noise[:, :1]], 1)
        normal, own = torch.split(noise[:, 1:], [self.loadings.shape[1], self.loadings.shape[0]], 1)
        return self.model(context).pulls(self.flow(context).inv(normal), own)
