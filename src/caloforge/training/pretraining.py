"""What is fitted before the steps: the representation of showers given the conditions, and parts of the critic."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from caloforge.models.networks.conditions import ConditionFeatures
from caloforge.models.networks.critic import Critic, Regressor
from caloforge.models.networks.generator import ShowerGenerator
from caloforge.models.networks.marginals import Marginals
from caloforge.training.data import Sample
from caloforge.training.steps import batch_of, step_generator

if TYPE_CHECKING:
    from caloforge.training.config import NetworkTraining

_PEAK_RATE = 3e-3
_LARGEST_GRADIENT = 1.0
_BATCH = 256
_BLOCK = 1000


class Pretraining:
    """Fits parts of networks in place, on training showers.

    Args:
        sample: the showers.
        config: seed, and the steps of each part.
        device: of the networks.
        advance: called with the number of steps done, for a progress display.
    """

    def __init__(
        self, sample: Sample, config: NetworkTraining, device: torch.device, advance: Callable[[int], None]
    ) -> None:
        self.sample = sample
        self.config = config
        self.device = device
        self.advance = advance
        self.conditions = torch.from_numpy(sample.inputs).to(device)

    def representation(self, generator: ShowerGenerator) -> None:
        """The response, the marginals of the cells and their largest energies."""
        sample = self.sample
        visible = torch.from_numpy(sample.energies.sum(1) / sample.conditions.column("energy")).float().to(self.device)
        response = generator.response
        response.standardise_with(visible[:, None])
        features = generator.features(self.conditions)
        blocks = range(0, len(sample), _BLOCK)
        largest = np.stack([sample.energies[start : start + _BLOCK].max(0) for start in blocks]).max(0)
        generator.ceiling.copy_(generator.to_values(torch.from_numpy(largest)))

        def cells(rows: Tensor) -> Tensor:
            energies, _ = batch_of(sample, rows, self.device)
            marginals: Marginals = generator.cells(features[rows])
            return marginals.censored_loss(generator.to_values(energies)).mean()

        self._fit("response", response, lambda rows: response(features[rows]).loss(visible[rows, None]).mean())
        self._fit("cells", generator.cells, cells)

    def critic(self, critic: Critic, generator: ShowerGenerator) -> None:
        """The moments of the critic's observables and its regressor."""
        sample = self.sample
        starts = range(0, len(sample), _BLOCK)
        with torch.no_grad():
            blocks = (batch_of(sample, slice(start, start + _BLOCK), self.device) for start in starts)
            observables = torch.cat([critic.observables.values(*block) for block in blocks])
        moments = critic.observables.moments
        moments.standardise_with(observables)
        features = generator.features(self.conditions)

        self._fit("observables", moments, lambda rows: moments(features[rows]).loss(observables[rows]).mean())
        self.regressor(critic.regressor, generator.features, generator.to_values)

    def regressor(
        self, regressor: Regressor, features_of: ConditionFeatures, values_of: Callable[[Tensor], Tensor]
    ) -> None:
        """A regressor of the condition features from the values of energies."""
        features = features_of(self.conditions)

        def loss(rows: Tensor) -> Tensor:
            energies, _ = batch_of(self.sample, rows, self.device)
            misses: Tensor = regressor(values_of(energies)) - features[rows]
            return misses.square().mean()

        self._fit("regressor", regressor, loss)

    def _fit(self, name: str, part: torch.nn.Module, loss: Callable[[Tensor], Tensor]) -> None:
        steps = self.config.pretraining_steps
        optimizer = torch.optim.Adam(part.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, steps)
        for step in range(steps):
            random = step_generator(self.config.seed, f"training/{name}", step)
            value = loss(torch.randint(len(self.sample), (_BATCH,), generator=random))
            optimizer.zero_grad()
            torch.autograd.backward(value)
            torch.nn.utils.clip_grad_norm_(part.parameters(), _LARGEST_GRADIENT)
            optimizer.step()
            schedule.step()
            self.advance(1)
