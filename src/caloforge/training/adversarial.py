"""The WGAN-GP loop: state, one generator step, the learning rate."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from caloforge.detector import Detector
from caloforge.models.wgan_gp.critic import Critic
from caloforge.models.wgan_gp.generator import ShowerGenerator
from caloforge.random import normals
from caloforge.training.checkpoint import module_tensors, optimizer_tensors, restore_optimizer
from caloforge.training.config import WganGpConfig
from caloforge.training.data import Sample
from caloforge.training.steps import batch_of, step_generator

_BETAS = (0.0, 0.9)  # arXiv:1704.00028
_WARM_UP = 100
_LAST_RATE = 0.02
_DRIFT = 1e-3  # keeps the critic's output near zero, arXiv:1710.10196


@dataclass
class Losses:
    """One generator step: the critic's estimate of the Wasserstein distance and the gradient penalty."""

    distance: float
    penalty: float


class Adversaries:
    """Generator, critic, their optimizers and the running average of the generator's weights.

    Only the pull network is trained here; the moments and the regressor stay as pretraining left them.
    """

    def __init__(self, detector: Detector, config: WganGpConfig, fabric: Fabric) -> None:
        self.config = config
        with torch.random.fork_rng(devices=[]):  # leaves the caller's random numbers alone
            torch.manual_seed(config.seed)
            self.generator = ShowerGenerator(detector, config.network).to(fabric.device)
            self.critic = Critic(detector, config.network).to(fabric.device)
        self.average = copy.deepcopy(self.generator)
        self.fabric = fabric

    def start(self) -> None:
        """Freeze what is pre-trained and make the optimizers."""
        self.critic.frozen()
        self.generator.requires_grad_(False)
        self.generator.pulls.requires_grad_(True)
        self.average.load_state_dict(self.generator.state_dict())
        self.generator_optimizer = torch.optim.Adam(self.generator.pulls.parameters(), betas=_BETAS)
        trained = [parameter for parameter in self.critic.parameters() if parameter.requires_grad]
        self.critic_optimizer = torch.optim.Adam(trained, betas=_BETAS)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Everything a resumed training needs, by part."""
        return {
            "generator": module_tensors(self.generator),
            "critic": module_tensors(self.critic),
            "average": module_tensors(self.average),
            "generator-optimizer": optimizer_tensors(self.generator_optimizer),
            "critic-optimizer": optimizer_tensors(self.critic_optimizer),
        }

    def restore(self, parts: dict[str, dict[str, Tensor]]) -> None:
        """Put back :meth:`state`."""
        self.generator.load_state_dict(parts["generator"])
        self.critic.load_state_dict(parts["critic"])
        self.start()
        self.average.load_state_dict(parts["average"])
        restore_optimizer(self.generator_optimizer, parts.get("generator-optimizer", {}))
        restore_optimizer(self.critic_optimizer, parts.get("critic-optimizer", {}))

    def step(self, sample: Sample, step: int, total: int) -> Losses:
        """``critic_steps`` steps of the critic and one of the generator, on folded showers."""
        config, fabric = self.config, self.fabric
        rate = min(1.0, (step + 1) / _WARM_UP) * (1 - (1 - _LAST_RATE) * step / total)
        _set_rate(self.generator_optimizer, rate * config.generator_learning_rate)
        _set_rate(self.critic_optimizer, rate * config.critic_learning_rate)
        random = step_generator(config.seed, "training/adversarial", step)
        losses = Losses(0.0, 0.0)
        for _ in range(config.critic_steps):
            energies, conditions = self._batch(sample, random)
            with torch.no_grad():
                fake = self._pulls(self._fake(conditions, random), conditions)
                real = self._pulls(energies, conditions)
            losses = self._critic_step(real, fake, conditions, random)
        _, conditions = self._batch(sample, random)
        fake = self._pulls(self._fake(conditions, random), conditions)
        loss = -self.critic(fake, conditions, self.generator).mean()
        self.generator_optimizer.zero_grad()
        fabric.backward(loss)
        self.generator_optimizer.step()
        decay = min(config.averaging, (step + 1) / (step + 20))
        with torch.no_grad():
            for average, current in zip(
                self.average.pulls.parameters(), self.generator.pulls.parameters(), strict=True
            ):
                average.lerp_(current, 1 - decay)
        return losses

    def _critic_step(self, real: Tensor, fake: Tensor, conditions: Tensor, random: torch.Generator) -> Losses:
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
        self.critic_optimizer.zero_grad()
        self.fabric.backward(loss)
        self.critic_optimizer.step()
        return Losses(float(distance.detach()), float(penalty.detach()))

    def _batch(self, sample: Sample, random: torch.Generator) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(sample), (self.config.batch_size,), generator=random)
        return batch_of(sample, rows, self.fabric.device)

    def _fake(self, conditions: Tensor, random: torch.Generator) -> Tensor:
        noise = torch.randn(len(conditions), self.generator.noise_width, generator=random)
        return self.generator.folded(conditions, noise.to(conditions.device))

    def _pulls(self, energies: Tensor, conditions: Tensor) -> Tensor:
        mean, deviation = self.generator.cells(self.generator.features(conditions))
        pulls: Tensor = (self.generator.to_values(energies) - mean) / deviation
        return pulls

    def validation_showers(self, sample: Sample) -> NDArray[np.float32]:
        """Showers of the averaged generator at the conditions of a folded sample, with the same noise every time."""
        showers = np.empty_like(sample.energies)
        for start in range(0, len(sample), 500):
            _, conditions = batch_of(sample, slice(start, start + 500), self.fabric.device)
            noise = normals(self.config.seed, "validation", start, len(conditions), self.average.noise_width)
            with torch.inference_mode():
                made = self.average.folded(conditions, torch.from_numpy(noise).to(conditions.device))
            showers[start : start + 500] = made.cpu().numpy()
        return showers


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    groups: list[dict[str, Any]] = optimizer.param_groups
    for group in groups:
        group["lr"] = rate
