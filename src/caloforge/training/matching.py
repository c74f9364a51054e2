"""Conditional flow matching."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from caloforge.models.networks.fields import QUARTER, IntegratedPulls
from caloforge.training.pulls import PullBatch, PullTrainer, normals_like


@final
class VelocityMatching(PullTrainer):
    """Mean square of u(x, a) - dx/da at random angles a, for x = cos(a) noise + sin(a) pulls, noise independent.

    Least where u is the velocity that carries noise to pulls. Source: Y. Lipman et al., arXiv:2210.02747.
    """

    def losses(self, batch: PullBatch, random: torch.Generator) -> dict[str, Tensor]:
        network = self.network
        assert isinstance(network, IntegratedPulls)
        noise = normals_like(batch.pulls, random)
        angle = QUARTER * torch.rand(batch.normal.shape, generator=random).to(noise.device)
        cosine, sine = torch.cos(angle), torch.sin(angle)
        image = cosine * noise + sine * batch.pulls
        expected = network.field.expected(batch.cells, image)
        velocity = network.velocity(batch.given, angle, image, expected)
        return {"velocity": (velocity - (cosine * batch.pulls - sine * noise)).square().mean()}
