"""The pull network of ``vae``."""

from __future__ import annotations

import torch
from torch import Tensor

from caloforge.models.networks.generator import Layout, PullNetwork
from caloforge.models.networks.marginals import Marginals, dense, start_at_zero
from caloforge.models.networks.settings import VariationalSettings


class VariationalPulls(PullNetwork):
    """The decoder: latent numbers to mean and deviation of the pull of each cell, which its own number then draws.

    Source: D. P. Kingma and M. Welling, arXiv:1312.6114.
    """

    def __init__(self, n_context: int, layout: Layout, settings: VariationalSettings) -> None:
        super().__init__()
        self.n_common = 1 + settings.latent
        self.noise_width = self.n_common + layout.n_cells
        self.decoder = dense(n_context + self.n_common, settings.hidden, settings.hidden, 2 * layout.n_cells)
        start_at_zero(self.decoder)

    def moments(self, context: Tensor, common: Tensor) -> tuple[Tensor, Tensor]:
        """Context (N, C), the number of the visible energy and the latent ones (N, 1 + L).

        Returns:
            Mean and logarithm of the deviation of the pulls, both (N, n_cells).
        """
        mean, log_deviation = self.decoder(torch.cat([context, common], 1)).chunk(2, 1)
        return mean, log_deviation

    def forward(self, context: Tensor, noise: Tensor, cells: Marginals) -> Tensor:
        mean, log_deviation = self.moments(context, noise[:, : self.n_common])
        return mean + torch.exp(log_deviation) * noise[:, self.n_common :]
