"""The members of an ensemble in one training: by other seeds, repelled by each other, or with fixed dropout masks."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import final

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.utils import parametrize

from caloforge.models.networks.base import Generator
from caloforge.models.networks.generator import ShowerGenerator
from caloforge.training.config import MemberTraining
from caloforge.training.data import Sample
from caloforge.training.pulls import PullTrainer
from caloforge.training.steps import step_generator
from caloforge.training.trainer import Trainer, Training

DROPPED = 0.2
"""Share of the hidden units that a mask leaves out."""
STRENGTH = 0.02
"""Weight of the repulsion in the first step."""
RANGE = 0.1
"""Distance, root mean square over the moments of the pulls, at which members no longer repel each other much."""

MakeTrainer = Callable[[MemberTraining, Fabric], Trainer]


@final
class ParallelMembers(Training):
    """Trainings side by side, member k with the seed of the configuration + k, and ``repulsive`` or not.

    Members repel each other by the :func:`repulsion` of m, less and less until the last step. m are mean and mean
    square of the pull of each cell, over showers of the same conditions and noise. They do not depend on what a member
    uses its latent numbers for, as the pulls themselves do: members that differ in that alone make the same showers.
    Source, for networks of regression: F. D'Angelo, V. Fortuin, arXiv:2106.11642.
    """

    def __init__(self, make: MakeTrainer, config: MemberTraining, fabric: Fabric, *, repulsive: bool) -> None:
        assert config.ensemble is not None
        self.config = config
        self.repulsive = repulsive
        seeds = range(config.seed, config.seed + config.ensemble.members)
        self.trainers: list[PullTrainer] = []
        for seed in seeds:
            trainer = make(config.model_copy(update={"seed": seed}), fabric)
            assert isinstance(trainer, PullTrainer)
            self.trainers.append(trainer)

    @property
    def members(self) -> list[Generator]:
        return [member for trainer in self.trainers for member in trainer.members]

    @property
    def pretraining_steps(self) -> int:
        return sum(trainer.pretraining_steps for trainer in self.trainers)

    def pretrain(self, sample: Sample, advance: Callable[[int], None]) -> None:
        for trainer in self.trainers:
            trainer.pretrain(sample, advance)

    def start(self) -> None:
        for trainer in self.trainers:
            trainer.start()

    def state(self) -> dict[str, dict[str, Tensor]]:
        return {
            f"{number}-{part}": tensors
            for number, trainer in enumerate(self.trainers)
            for part, tensors in trainer.state().items()
        }

    def restore(self, parts: dict[str, dict[str, Tensor]]) -> None:
        for number, trainer in enumerate(self.trainers):
            prefix = f"{number}-"
            trainer.restore({part.removeprefix(prefix): parts[part] for part in parts if part.startswith(prefix)})

    def step(self, sample: Sample, step: int, total: int) -> dict[str, float]:
        """One step of every member; returns the means of their losses."""
        losses = [trainer.losses_of(sample, step) for trainer in self.trainers]
        if self.repulsive:
            for own, near in zip(losses, self.repulsions(sample, step), strict=True):
                own["repulsion"] = STRENGTH * (1 - step / total) * near
        found = [trainer.descend(own, step, total) for trainer, own in zip(self.trainers, losses, strict=True)]
        return {name: sum(own[name] for own in found) / len(found) for name in found[0]}

    def repulsions(self, sample: Sample, step: int) -> list[Tensor]:
        """How near each member is to the others."""
        first = self.trainers[0]
        random = step_generator(self.config.seed, "training/repulsion", step)
        _, conditions = first.batch(sample, random)
        noise = torch.randn(len(conditions), first.generator.noise_width, generator=random).to(conditions.device)
        return repulsion([pull_moments(trainer.generator, conditions, noise) for trainer in self.trainers], RANGE)


def pull_moments(generator: ShowerGenerator, conditions: Tensor, noise: Tensor) -> Tensor:
    """Mean and mean square of the pull of each cell over N showers, (2 n_cells,)."""
    context, noise = generator.drawn_context(conditions, noise)
    pulls = generator.pulls(context, noise, generator.cells(context))
    return torch.cat([pulls.mean(0), pulls.square().mean(0)])


def repulsion(points: Sequence[Tensor], reach: float) -> list[Tensor]:
    """How near each of M points (K,) is to the others: the mean of exp(-|p_i - p_j|^2 / (K reach^2)) over j.

    The gradient of each acts on its own point alone.
    """
    fixed = torch.stack([point.detach() for point in points])
    found = []
    for number, point in enumerate(points):
        squares = (torch.cat([fixed[:number], fixed[number + 1 :]]) - point).square().mean(1)
        found.append(torch.exp(-squares / reach**2).mean())
    return found


class FixedMasks(nn.Module):
    """A weight (outputs, inputs) as one of M members has it: without the inputs that its mask leaves out.

    As in dropout what is left is scaled up, so that sums keep their size.
    """

    masks: Tensor

    def __init__(self, members: int, inputs: int, random: torch.Generator) -> None:
        super().__init__()
        kept = max(1, round((1 - DROPPED) * inputs))
        ranks = torch.rand(members, inputs, generator=random).argsort(1).argsort(1)
        self.register_buffer("masks", (ranks < kept) * (inputs / kept))
        self.member = 0

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.masks[self.member]


def masked_layers(module: nn.Module) -> list[nn.Linear]:
    """The linear layers whose inputs are hidden units of dense layers."""
    sequences = [layers for layers in module.modules() if isinstance(layers, nn.Sequential)]
    pairs = [pair for layers in sequences for pair in itertools.pairwise(layers)]
    return [linear for before, linear in pairs if isinstance(before, nn.SiLU) and isinstance(linear, nn.Linear)]


def give_masks(module: nn.Module, members: int, random: torch.Generator) -> None:
    """Give the dense layers of a module masks for the hidden units, which differ between members."""
    for linear in masked_layers(module):
        parametrize.register_parametrization(linear, "weight", FixedMasks(members, linear.in_features, random))


def choose_member(module: nn.Module, member: int) -> None:
    """Let a module with masks be one of its members."""
    for masks in module.modules():
        if isinstance(masks, FixedMasks):
            masks.member = member


def member_of(generator: Generator, plain: Generator, member: int) -> Generator:
    """A copy of ``plain`` with the weights that a member of a generator with masks has."""
    choose_member(generator, member)
    alone = copy.deepcopy(plain)
    for name, tensor in alone.state_dict().items():
        module, _, own = name.rpartition(".")
        tensor.copy_(getattr(generator.get_submodule(module), own).detach())
    return alone


@final
class MaskedMembers(Training):
    """Members that are parts of one network: each has a fixed mask over the hidden units, its own from the start.

    Members are trained in turns, so that all of them cost as much as one. Representation and pull network have masks.
    Source: N. Durasov et al., "Masksembles for uncertainty estimation", arXiv:2012.08334.
    """

    def __init__(self, make: MakeTrainer, config: MemberTraining, fabric: Fabric) -> None:
        assert config.ensemble is not None
        self.count = config.ensemble.members
        self.trainer = make(config, fabric)
        self.plain = copy.deepcopy(self.trainer.generator)
        give_masks(self.trainer.generator, self.count, step_generator(config.seed, "training/masks", 0))
        self.trainer.generator.to(fabric.device)
        self.trainer.average = copy.deepcopy(self.trainer.generator)

    @property
    def members(self) -> list[Generator]:
        return [member_of(self.trainer.average, self.plain, number) for number in range(self.count)]

    @property
    def pretraining_steps(self) -> int:
        return self.trainer.pretraining_steps

    def pretrain(self, sample: Sample, advance: Callable[[int], None]) -> None:
        turn = itertools.count(1)

        def next_member(done: int) -> None:
            choose_member(self.trainer.generator, next(turn) % self.count)
            advance(done)

        self.trainer.pretrain(sample, next_member)

    def start(self) -> None:
        self.trainer.start()

    def state(self) -> dict[str, dict[str, Tensor]]:
        return self.trainer.state()

    def restore(self, parts: dict[str, dict[str, Tensor]]) -> None:
        self.trainer.restore(parts)

    def step(self, sample: Sample, step: int, total: int) -> dict[str, float]:
        choose_member(self.trainer.generator, step % self.count)
        return self.trainer.step(sample, step, total)


ENSEMBLES: dict[str, Callable[[MakeTrainer, MemberTraining, Fabric], Training]] = {
    "seeds": partial(ParallelMembers, repulsive=False),
    "repulsion": partial(ParallelMembers, repulsive=True),
    "dropout": MaskedMembers,
}
"""The ways to make the members of an ensemble."""
