"""The WGAN-GP: generator against critic."""

from __future__ import annotations

from collections.abc import Callable

import torch
from lightning_fabric import Fabric
from torch import Tensor

from caloforge.detector import Detector
from caloforge.models.networks.critic import Critic
from caloforge.models.networks.families import shower_generator
from caloforge.training.config import WganGpConfig
from caloforge.training.data import Sample
from caloforge.training.pretraining import Pretraining
from caloforge.training.steps import step_generator
from caloforge.training.trainer import Trainer, set_rate

_BETAS = (0.0, 0.9)  # arXiv:1704.00028
_DRIFT = 1e-3  # keeps the critic's output near zero, arXiv:1710.10196


class Adversaries(Trainer):
    """Generator and critic.

    Only the pull network is trained in the steps; the moments and the regressor stay as pretraining left them.
    """

    config: WganGpConfig

    def __init__(self, detector: Detector, config: WganGpConfig, fabric: Fabric) -> None:
        with torch.random.fork_rng(devices=[]):  # leaves the caller's random numbers alone
            torch.manual_seed(config.seed)
            generator = shower_generator(config.model, detector, config.network)
            self.critic = Critic(detector, config.network)
        super().__init__(config, fabric, generator, critic=self.critic)

    @property
    def pretraining_steps(self) -> int:
        return 4 * self.config.pretraining_steps

    def pretrain(self, sample: Sample, advance: Callable[[int], None]) -> None:
        pretraining = Pretraining(sample, self.config, self.fabric.device, advance)
        pretraining.representation(self.generator)
        pretraining.critic(self.critic, self.generator)

    def optimize(self) -> dict[str, torch.optim.Optimizer]:
        self.critic.frozen()
        self.generator.requires_grad_(False)
        self.generator.pulls.requires_grad_(True)
        trained = [parameter for parameter in self.critic.parameters() if parameter.requires_grad]
        return {
            "generator": torch.optim.Adam(self.generator.pulls.parameters(), betas=_BETAS),
            "critic": torch.optim.Adam(trained, betas=_BETAS),
        }

    def step(self, sample: Sample, step: int, total: int) -> dict[str, float]:
        """``critic_steps`` steps of the critic and one of the generator."""
        config, optimizer = self.config, self.optimizers["generator"]
        set_rate(optimizer, config.generator_learning_rate, step, total)
        set_rate(self.optimizers["critic"], config.critic_learning_rate, step, total)
        random = step_generator(config.seed, "training/adversarial", step)
        losses: dict[str, float] = {}
        for _ in range(config.critic_steps):
            energies, conditions = self.batch(sample, random)
            with torch.no_grad():
                fake = self._pulls(self._fake(conditions, random), conditions)
                real = self._pulls(energies, conditions)
            losses = self._critic_step(real, fake, conditions, random)
        _, conditions = self.batch(sample, random)
        fake = self._pulls(self._fake(conditions, random), conditions)
        loss = -self.critic(fake, conditions, self.generator).mean()
        optimizer.zero_grad()
        self.fabric.backward(loss)
        optimizer.step()
        self.average_weights(step)
        return losses

    def _critic_step(self, real: Tensor, fake: Tensor, conditions: Tensor, random: torch.Generator) -> dict[str, float]:
        config = self.config
        scores = self.critic(torch.cat([real, fake]), conditions.repeat(2, 1), self.generator)
        distance = scores[: len(real)].mean() - scores[len(real) :].mean()
        few = min(config.penalty_events, len(real))
        mix = torch.rand(few, 1, generator=random).to(real.device)
        between = (mix * real[:few] + (1 - mix) * fake[:few]).requires_grad_()
        score = self.critic(between, conditions[:few], self.generator).sum()
        (gradient,) = torch.autograd.grad(score, between, create_graph=True)
        penalty = ((gradient.square().sum(1) + 1e-12).sqrt() - 1).square().mean()
        loss = -distance + config.gradient_penalty * penalty + _DRIFT * scores.square().mean()
        self.optimizers["critic"].zero_grad()
        self.fabric.backward(loss)
        self.optimizers["critic"].step()
        return {"critic_distance": float(distance.detach()), "penalty": float(penalty.detach())}

    def _fake(self, conditions: Tensor, random: torch.Generator) -> Tensor:
        noise = torch.randn(len(conditions), self.generator.noise_width, generator=random)
        return self.generator.folded(conditions, noise.to(conditions.device))

    def _pulls(self, energies: Tensor, conditions: Tensor) -> Tensor:
        return self.generator.pulls_of(energies, conditions)
