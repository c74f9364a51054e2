"""What generator and critic play for: losses as functions of the critic's scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_DRIFT = 1e-3  # keeps the critic's output near zero, arXiv:1710.10196


@dataclass(frozen=True)
class Game:
    """The critic's loss of its scores of real and of generated showers; the generator's of the scores of its own."""

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def minimax_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-mean ln D(real) - mean ln(1 - D(fake)), D the sigmoid of the score; 2 ln 2 where the critic cannot tell.

    Source: I. Goodfellow et al., arXiv:1406.2661.
    """
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def non_saturating_loss(fake: Tensor) -> Tensor:
    """-mean ln D(fake), whose gradient does not vanish where the critic is sure; the same source."""
    return functional.softplus(-fake).mean()


def wasserstein_loss(real: Tensor, fake: Tensor) -> Tensor:
    """mean f(fake) - mean f(real): minus the Wasserstein-1 distance, of the best f with slope 1 (arXiv:1701.07875)."""
    drift: Tensor = _DRIFT * torch.cat([real, fake]).square().mean()
    return fake.mean() - real.mean() + drift


def negative_score(fake: Tensor) -> Tensor:
    """-mean f(fake)."""
    return -fake.mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], between: Tensor) -> Tensor:
    """mean (|df/dx| - 1)^2 at the points x (N, D), for a critic with one score (N,) a point.

    Source: I. Gulrajani et al., arXiv:1704.00028.
    """
    points = between.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    penalty: Tensor = ((gradient.square().sum(1) + 1e-12).sqrt() - 1).square().mean()
    return penalty


GAMES = {
    "minimax": Game(minimax_loss, non_saturating_loss),
    "wasserstein": Game(wasserstein_loss, negative_score),
}
