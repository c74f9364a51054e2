"""The losses of the games that generators and critics play, against exact answers."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from caloforge.training.games import (  # noqa: E402
    gradient_penalty,
    minimax_loss,
    negative_score,
    non_saturating_loss,
    wasserstein_loss,
)


def test_minimax_loss_is_2_ln_2_where_the_critic_cannot_tell() -> None:
    scores = torch.zeros(7)
    assert float(minimax_loss(scores, scores)) == pytest.approx(2 * math.log(2))
    assert float(non_saturating_loss(scores)) == pytest.approx(math.log(2))


def test_the_best_minimax_critic_scores_the_log_ratio_of_densities() -> None:
    """Half of the real and a tenth of the generated events lie where the score is s: least at ln(0.5 / 0.1)."""

    def loss(score: float) -> float:
        inside = torch.tensor([score], dtype=torch.float64)
        outside = torch.tensor([math.log(0.5 / 0.9)], dtype=torch.float64)
        real = torch.cat([inside.repeat(5), outside.repeat(5)])
        fake = torch.cat([inside.repeat(1), outside.repeat(9)])
        return float(minimax_loss(real, fake))

    best = math.log(0.5 / 0.1)
    assert all(loss(best + shift) > loss(best) for shift in (-0.1, 0.1))


def test_wasserstein_loss_is_minus_the_distance_but_for_the_drift() -> None:
    real, fake = torch.tensor([3.0, 5.0]), torch.tensor([1.0, 1.0])
    assert float(wasserstein_loss(real, fake)) == pytest.approx(-3.0 + 1e-3 * 9.0)
    assert float(negative_score(fake)) == -1.0


@pytest.mark.parametrize("slope", [0.5, 1.0, 3.0])
def test_gradient_penalty_of_a_linear_critic_is_exact(slope: float) -> None:
    weights = torch.nn.functional.normalize(torch.randn(20, dtype=torch.float64), dim=0) * slope
    weights.requires_grad_()
    penalty = gradient_penalty(lambda points: points @ weights + 7, torch.randn(5, 20, dtype=torch.float64))
    assert float(penalty.detach()) == pytest.approx((slope - 1) ** 2, abs=1e-9)
    (gradient,) = torch.autograd.grad(penalty, weights)  # what the critic learns from it
    torch.testing.assert_close(gradient, 2 * (slope - 1) * weights.detach() / slope, rtol=1e-6, atol=1e-9)
