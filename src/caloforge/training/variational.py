"""The VAE: evidence lower bound of the pulls."""

from __future__ import annotations

from typing import final

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from caloforge.detector import Detector
from caloforge.models.networks.generator import ShowerGenerator
from caloforge.models.networks.marginals import dense
from caloforge.models.networks.variational import VariationalPulls
from caloforge.training.config import VaeConfig
from caloforge.training.pulls import PullBatch, PullTrainer, normals_like


@final
class EvidenceBound(PullTrainer):
    """E_q[-log p(x | z)] + beta KL(q(z | x) || N(0, 1)), for q normal with mean and deviation from an encoder.

    With beta = 1 minus the bound of D. P. Kingma and M. Welling, arXiv:1312.6114; other values: I. Higgins et al., ICLR
    2017. The encoder is left behind after the training.
    """

    config: VaeConfig

    def __init__(self, detector: Detector, particles: tuple[int, ...], config: VaeConfig, fabric: Fabric) -> None:
        hidden, latent = config.network.hidden, config.network.latent

        def encoder(generator: ShowerGenerator) -> nn.Module:
            return dense(detector.n_cells + generator.n_context + 1, hidden, hidden, 2 * latent)

        super().__init__(detector, particles, config, fabric, encoder=encoder)
        self.encoder = self.modules["encoder"]

    def losses(self, batch: PullBatch, random: torch.Generator) -> dict[str, Tensor]:
        decoder = self.network
        assert isinstance(decoder, VariationalPulls)
        mean, log_deviation = self.encoder(torch.cat([batch.pulls, batch.given], 1)).chunk(2, 1)
        latent = mean + torch.exp(log_deviation) * normals_like(mean, random)
        expected, log_spread = decoder.moments(batch.context, torch.cat([batch.normal, latent], 1))
        misses = (batch.pulls - expected) * torch.exp(-log_spread)
        divergence = 0.5 * (mean.square() + torch.exp(2 * log_deviation) - 1) - log_deviation
        return {
            "reconstruction": (0.5 * misses.square() + log_spread).mean(),
            "divergence": self.config.beta * divergence.sum(1).mean() / batch.pulls.shape[1],
        }
