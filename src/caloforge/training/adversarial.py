"""Generator against critic: the alternation of their steps, and what differs between families."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import final

import torch
from lightning_fabric import Fabric
from torch import Tensor

from caloforge.detector import Detector
from caloforge.models.networks.critic import Critic
from caloforge.models.networks.families import IMAGE_FAMILIES, shower_generator
from caloforge.models.networks.generator import ShowerGenerator
from caloforge.models.networks.images import Discriminator, ImageGenerator
from caloforge.models.networks.streams import StreamDiscriminator, StreamGenerator
from caloforge.training.config import AdversarialConfig, PublishedConfig, StreamGanConfig, WganGpConfig
from caloforge.training.data import Sample, fold_sample
from caloforge.training.games import GAMES, gradient_penalty
from caloforge.training.pretraining import Pretraining
from caloforge.training.priorities import Priorities
from caloforge.training.steps import batch_of, first_weights, step_generator
from caloforge.training.trainer import Trainer, set_rate

_BETAS = (0.0, 0.9)  # arXiv:1704.00028
_START_EVENTS = 5000


class Adversaries(Trainer):
    """Generator and critic in turn; what the critic sees of a shower, K numbers, is the family's choice."""

    config: AdversarialConfig
    critic: Critic | Discriminator | StreamDiscriminator

    @abstractmethod
    def real(self, energies: Tensor, conditions: Tensor) -> Tensor:
        """What the critic sees (N, K) of energies (N, n_cells) under conditions (N, C + 1)."""

    @abstractmethod
    def fake(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """What the critic sees (N, K) of generated showers."""

    @abstractmethod
    def score(self, seen: Tensor, conditions: Tensor) -> Tensor:
        """The critic's scores (N,)."""

    def terms(self, fake: Tensor, energies: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        """What the generator's loss has beside the score, by name, of what the critic sees and of real energies."""
        return {}

    def optimize(self) -> dict[str, torch.optim.Optimizer]:
        self.critic.frozen()
        self.generator.requires_grad_(False)
        self.generator.trained.requires_grad_(True)
        trained = [parameter for parameter in self.critic.parameters() if parameter.requires_grad]
        return {
            "generator": torch.optim.Adam(self.generator.trained.parameters(), betas=_BETAS),
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
                fake = self.fake(conditions, self._noise(conditions, random))
                real = self.real(energies, conditions)
            losses = self._critic_step(real, fake, conditions, random)
        energies, conditions = self.batch(sample, random)
        fake = self.fake(conditions, self._noise(conditions, random))
        terms = self.terms(fake, energies, conditions)
        loss = GAMES[config.game].generator(self.score(fake, conditions)) + sum(terms.values())
        optimizer.zero_grad()
        self.fabric.backward(loss)
        optimizer.step()
        self.average_weights(step)
        return losses | {name: float(term.detach()) for name, term in terms.items()}

    def _critic_step(self, real: Tensor, fake: Tensor, conditions: Tensor, random: torch.Generator) -> dict[str, float]:
        config = self.config
        scores = self.score(torch.cat([real, fake]), conditions.repeat(2, 1))
        loss = GAMES[config.game].critic(scores[: len(real)], scores[len(real) :])
        distance = scores[: len(real)].mean() - scores[len(real) :].mean()
        losses = {"critic_distance": float(distance.detach())}
        if config.gradient_penalty > 0:
            few = min(config.penalty_events, len(real))
            mix = torch.rand(few, 1, generator=random).to(real.device)
            between = mix * real[:few] + (1 - mix) * fake[:few]
            penalty = gradient_penalty(lambda seen: self.score(seen, conditions[:few]), between)
            loss = loss + config.gradient_penalty * penalty
            losses["penalty"] = float(penalty.detach())
        self.optimizers["critic"].zero_grad()
        self.fabric.backward(loss)
        self.optimizers["critic"].step()
        return losses

    def _noise(self, conditions: Tensor, random: torch.Generator) -> Tensor:
        return torch.randn(len(conditions), self.generator.noise_width, generator=random).to(conditions.device)


@final
class PullAdversaries(Adversaries):
    """The WGAN-GP in pulls.

    Only the pull network is trained in the steps; the moments and the regressor stay as pretraining left them.
    """

    config: WganGpConfig
    generator: ShowerGenerator
    critic: Critic

    def __init__(self, detector: Detector, particles: tuple[int, ...], config: WganGpConfig, fabric: Fabric) -> None:
        with first_weights(config.seed):
            generator = shower_generator(config.model, detector, particles, config.network)
            n_features, weights = generator.features.width, config.priorities
            self.critic = Critic(detector, n_features, config.network)
            self.priorities = Priorities(detector, n_features, config.network, weights) if weights else None
        others = {"critic": self.critic} | ({} if self.priorities is None else {"priorities": self.priorities})
        super().__init__(config, fabric, generator, **others)

    @property
    def pretraining_steps(self) -> int:
        parts = self.generator.fitted_parts + 2
        if self.priorities is not None:
            parts += 1 if self.priorities.surrogate is None else 2
        return parts * self.config.pretraining_steps

    def pretrain(self, sample: Sample, advance: Callable[[int], None]) -> None:
        pretraining = Pretraining(sample, self.config, self.fabric.device, advance)
        pretraining.representation(self.generator)
        pretraining.critic(self.critic, self.generator)
        if self.priorities is not None:
            pretraining.priorities(self.priorities, self.generator)

    def optimize(self) -> dict[str, torch.optim.Optimizer]:
        if self.priorities is not None:
            self.priorities.requires_grad_(False)
        return super().optimize()

    def real(self, energies: Tensor, conditions: Tensor) -> Tensor:
        return self.generator.pulls_of(energies, conditions)

    def fake(self, conditions: Tensor, noise: Tensor) -> Tensor:
        return self.generator.pulls_of(self.generator.folded(conditions, noise), conditions)

    def score(self, seen: Tensor, conditions: Tensor) -> Tensor:
        scores: Tensor = self.critic(seen, conditions, self.generator)
        return scores

    def terms(self, fake: Tensor, energies: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        if self.priorities is None:
            return {}
        made = self.generator.energies_of(fake, conditions)
        terms: dict[str, Tensor] = self.priorities(made, energies, conditions, self.generator)
        return terms


@final
class ImageAdversaries(Adversaries):
    """The published baselines, in transformed images; the transform and the regressor are fitted beforehand."""

    config: PublishedConfig
    generator: ImageGenerator
    critic: Discriminator

    def __init__(self, detector: Detector, particles: tuple[int, ...], config: PublishedConfig, fabric: Fabric) -> None:
        with first_weights(config.seed):
            generator = IMAGE_FAMILIES[config.model](detector, particles, config.network)
            self.critic = Discriminator(
                detector, generator.features.width, config.network, conditional=generator.conditional
            )
        super().__init__(config, fabric, generator, critic=self.critic)

    @property
    def pretraining_steps(self) -> int:
        return (1 if self.critic.regressor is None else 2) * self.config.pretraining_steps

    def pretrain(self, sample: Sample, advance: Callable[[int], None]) -> None:
        sample = fold_sample(sample)
        pretraining = Pretraining(sample, self.config, self.fabric.device, advance)
        pretraining.images(self.generator)
        self.critic.standardise_with(*batch_of(sample, slice(_START_EVENTS), self.fabric.device))
        if self.critic.regressor is not None:
            pretraining.regressor(self.critic.regressor, self.generator.features, self.generator.box_cox)

    def real(self, energies: Tensor, conditions: Tensor) -> Tensor:
        flips = self.generator.fold.flips(conditions)
        return self.generator.box_cox(self.generator.fold.energies(energies, flips))

    def fake(self, conditions: Tensor, noise: Tensor) -> Tensor:
        return self.generator.images(self._folded(self.generator.asked(conditions, noise)), noise)

    def score(self, seen: Tensor, conditions: Tensor) -> Tensor:
        scores: Tensor = self.critic(seen, self._folded(conditions), self.generator)
        return scores

    def _folded(self, conditions: Tensor) -> Tensor:
        return self.generator.fold.conditions(conditions, self.generator.fold.flips(conditions))


@final
class StreamAdversaries(Adversaries):
    """The published baseline for several layers, in energies over those of the training showers; nothing is fitted."""

    config: StreamGanConfig
    generator: StreamGenerator
    critic: StreamDiscriminator

    def __init__(self, detector: Detector, particles: tuple[int, ...], config: StreamGanConfig, fabric: Fabric) -> None:
        with first_weights(config.seed):
            generator = StreamGenerator(detector, particles, config.network)
            self.critic = StreamDiscriminator(detector, generator.features.width, config.network)
        super().__init__(config, fabric, generator, critic=self.critic)

    @property
    def pretraining_steps(self) -> int:
        return 0

    def pretrain(self, sample: Sample, advance: Callable[[int], None]) -> None:
        energies, conditions = batch_of(sample, slice(_START_EVENTS), self.fabric.device)
        self.generator.standardise_with(energies, conditions)
        self.critic.standardise_with(self.real(energies, conditions), self.generator.share)

    def real(self, energies: Tensor, conditions: Tensor) -> Tensor:
        return self.generator.relative(energies, conditions)

    def fake(self, conditions: Tensor, noise: Tensor) -> Tensor:
        return self.generator.made(conditions, noise)

    def score(self, seen: Tensor, conditions: Tensor) -> Tensor:
        scores: Tensor = self.critic(seen, self.generator.features(conditions), self.generator.share)
        return scores

    def terms(self, fake: Tensor, energies: Tensor, conditions: Tensor) -> dict[str, Tensor]:
        asked = conditions[:, self.generator.energy_column]
        found = self.generator.energies(fake, conditions).sum(1) / self.generator.response
        return {"energy": self.config.energy_weight * (found - asked).abs().mean() / 1000}
