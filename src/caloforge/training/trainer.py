"""What a family is in training: its networks, how they are fitted beforehand, and one step."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from caloforge.models.networks.base import Generator
from caloforge.training.checkpoint import module_tensors, optimizer_tensors, restore_optimizer
from caloforge.training.data import Sample
from caloforge.training.steps import batch_of

if TYPE_CHECKING:
    from caloforge.training.config import NetworkTraining

_WARM_UP = 100
_LAST_RATE = 0.02


class Training(ABC):
    """What the course of a training asks of what is trained."""

    @property
    @abstractmethod
    def members(self) -> list[Generator]:
        """What is validated, and kept in the end: several generators for an ensemble, else one."""

    @property
    @abstractmethod
    def pretraining_steps(self) -> int:
        """How many times :meth:`pretrain` calls ``advance``."""

    @abstractmethod
    def pretrain(self, sample: Sample, advance: Callable[[int], None]) -> None:
        """Fit on training showers what stays as it is in the steps; ``advance`` is told the steps done."""

    @abstractmethod
    def start(self) -> None:
        """From pretraining to the steps."""

    @abstractmethod
    def step(self, sample: Sample, step: int, total: int) -> dict[str, float]:
        """One step of ``total`` on training showers; returns its losses by name."""

    @abstractmethod
    def state(self) -> dict[str, dict[str, Tensor]]:
        """Everything a resumed training needs, by part."""

    @abstractmethod
    def restore(self, parts: dict[str, dict[str, Tensor]]) -> None:
        """Put back :meth:`state`."""


class Trainer(Training):
    """A family in training. A subclass adds its networks, and optimizers in :meth:`optimize`.

    Attributes:
        generator: what is trained.
        average: the generator with the running average of its trained weights.
        modules: every network with weights of its own, by name; ``average`` apart.
        optimizers: by the name of the module they train.
    """

    def __init__(self, config: NetworkTraining, fabric: Fabric, generator: Generator, **others: nn.Module) -> None:
        self.config = config
        self.fabric = fabric
        self.generator = generator
        self.modules: dict[str, nn.Module] = {"generator": generator, **others}
        for module in self.modules.values():
            module.to(fabric.device)
        self.average = copy.deepcopy(generator)
        self.optimizers: dict[str, torch.optim.Optimizer] = {}

    @property
    def members(self) -> list[Generator]:
        return [self.average]

    @abstractmethod
    def optimize(self) -> dict[str, torch.optim.Optimizer]:
        """Freeze what is pre-trained; return new optimizers by the name of the module they train."""

    def start(self) -> None:
        self.optimizers = self.optimize()
        self.average.load_state_dict(self.generator.state_dict())

    def state(self) -> dict[str, dict[str, Tensor]]:
        parts = {name: module_tensors(module) for name, module in {**self.modules, "average": self.average}.items()}
        return parts | {f"{name}-optimizer": optimizer_tensors(item) for name, item in self.optimizers.items()}

    def restore(self, parts: dict[str, dict[str, Tensor]]) -> None:
        for name, module in self.modules.items():
            module.load_state_dict(parts[name])
        self.start()
        self.average.load_state_dict(parts["average"])
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, parts.get(f"{name}-optimizer", {}))

    def batch(self, sample: Sample, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Energies (B, n_cells) and conditions (B, C + 1) of events drawn at random."""
        rows = torch.randint(len(sample), (self.config.batch_size,), generator=random)
        return batch_of(sample, rows, self.fabric.device)

    def average_weights(self, step: int) -> None:
        """Move the average towards the trained weights."""
        decay = min(self.config.averaging, (step + 1) / (step + 20))
        with torch.no_grad():
            pairs = zip(self.average.trained.parameters(), self.generator.trained.parameters(), strict=True)
            for average, current in pairs:
                average.lerp_(current, 1 - decay)


def set_rate(optimizer: torch.optim.Optimizer, highest: float, step: int, total: int) -> None:
    """Learning rate of a step: warm-up to the highest, then down in a straight line."""
    rate = min(1.0, (step + 1) / _WARM_UP) * (1 - (1 - _LAST_RATE) * step / total)
    groups: list[dict[str, Any]] = optimizer.param_groups
    for group in groups:
        group["lr"] = rate * highest
