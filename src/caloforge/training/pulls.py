"""Training of a pull network under one loss: showers as pulls, and one step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from caloforge.detector import Detector
from caloforge.models.networks.families import shower_generator
from caloforge.models.networks.generator import PullNetwork, ShowerGenerator
from caloforge.models.networks.marginals import EDGE, Marginals
from caloforge.training.config import PullTraining
from caloforge.training.data import Sample
from caloforge.training.pretraining import Pretraining
from caloforge.training.steps import first_weights, step_generator
from caloforge.training.trainer import Trainer, set_rate

_LARGEST_PULL = 8.0


def truncated_normal(limit: Tensor, uniform: Tensor) -> Tensor:
    """Standard normal numbers below ``limit``, by inversion of uniform numbers in (0, 1), both of one shape."""
    return torch.minimum(torch.special.ndtri(uniform * torch.special.ndtr(limit)), limit)


def imputed_pulls(cells: Marginals, values: Tensor, random: torch.Generator) -> Tensor:
    """Pulls of values (N, n_cells); that of a cell that is off is drawn from the normal numbers that leave it off.

    So it is the hidden variable of the censored normal distribution that the marginals were fitted with (J. Tobin,
    Econometrica 26 (1958) 24): where the marginals are right, every pull is standard normal.
    """
    limits = cells.pulls(torch.full_like(values, EDGE)).clamp(-_LARGEST_PULL, _LARGEST_PULL)
    uniform = torch.rand(values.shape, generator=random).clamp_min(2.0**-25).to(values.device)
    pulls = torch.where(values > EDGE, cells.pulls(values), truncated_normal(limits, uniform))
    return pulls.clamp(-_LARGEST_PULL, _LARGEST_PULL)


def normals_like(values: Tensor, random: torch.Generator) -> Tensor:
    """Standard normal numbers of the shape of ``values``."""
    return torch.randn(values.shape, generator=random).to(values.device)


@dataclass(frozen=True)
class PullBatch:
    """Showers as a pull network is to make them.

    Attributes:
        context: (B, C), features of the conditions and the shares of the layers.
        normal: (B, 1), the normal number that makes the visible energy what it is.
        cells: marginals of the cells.
        pulls: (B, n_cells).
    """

    context: Tensor
    normal: Tensor
    cells: Marginals
    pulls: Tensor

    @property
    def given(self) -> Tensor:
        """Context and normal number, (B, C + 1)."""
        return torch.cat([self.context, self.normal], 1)


def pull_batch(generator: ShowerGenerator, energies: Tensor, conditions: Tensor, random: torch.Generator) -> PullBatch:
    """Energies (B, n_cells) and folded conditions (B, C) in the representation of a generator, without gradients."""
    with torch.no_grad():
        features = generator.features(conditions)
        response = energies.sum(1) / conditions[:, generator.energy_column]
        context = generator.context(conditions, energies)
        cells: Marginals = generator.cells(context)
        pulls = imputed_pulls(cells, generator.to_values(energies), random)
        expected: Marginals = generator.response(features)
        return PullBatch(context, expected.pulls(response[:, None]), cells, pulls)


class PullTrainer(Trainer):
    """One pull network under one loss, :meth:`losses`; the representation stays as pretraining left it.

    ``others`` make networks that the loss needs, by name, of the generator; those that ask for gradients are trained
    too.
    """

    config: PullTraining
    generator: ShowerGenerator

    def __init__(
        self,
        detector: Detector,
        particles: tuple[int, ...],
        config: PullTraining,
        fabric: Fabric,
        **others: Callable[[ShowerGenerator], nn.Module],
    ) -> None:
        with first_weights(config.seed):
            generator = shower_generator(config.model, detector, particles, config.network)
            made = {name: make(generator) for name, make in others.items()}
        super().__init__(config, fabric, generator, **made)

    @property
    def network(self) -> PullNetwork:
        """What is trained."""
        return self.generator.pulls

    @abstractmethod
    def losses(self, batch: PullBatch, random: torch.Generator) -> dict[str, Tensor]:
        """Terms of the loss by name, numbers a cell; their sum is made small."""

    @property
    def pretraining_steps(self) -> int:
        return self.generator.fitted_parts * self.config.pretraining_steps

    def pretrain(self, sample: Sample, advance: Callable[[int], None]) -> None:
        Pretraining(sample, self.config, self.fabric.device, advance).representation(self.generator)

    def optimize(self) -> dict[str, torch.optim.Optimizer]:
        self.generator.requires_grad_(False)
        self.network.requires_grad_(True)
        trained = [p for module in self.modules.values() for p in module.parameters() if p.requires_grad]
        return {"generator": torch.optim.Adam(trained)}

    def losses_of(self, sample: Sample, step: int) -> dict[str, Tensor]:
        """The terms of the loss on the batch of a step."""
        random = step_generator(self.config.seed, f"training/{self.config.model}", step)
        return self.losses(pull_batch(self.generator, *self.batch(sample, random), random), random)

    def descend(self, losses: dict[str, Tensor], step: int, total: int) -> dict[str, float]:
        """Make the sum of the terms smaller; returns them as numbers."""
        optimizer = self.optimizers["generator"]
        set_rate(optimizer, self.config.learning_rate, step, total)
        optimizer.zero_grad()
        self.fabric.backward(torch.stack(list(losses.values())).sum())
        optimizer.step()
        self.average_weights(step)
        return {name: float(value.detach()) for name, value in losses.items()}

    def step(self, sample: Sample, step: int, total: int) -> dict[str, float]:
        return self.descend(self.losses_of(sample, step), step, total)
