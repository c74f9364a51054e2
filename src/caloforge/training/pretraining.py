"""What is fitted before the steps: the representation of showers given the conditions, and parts of the critic."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from caloforge.models.networks.conditions import ConditionFeatures
from caloforge.models.networks.critic import Critic, Regressor
from caloforge.models.networks.generator import ShowerGenerator
from caloforge.models.networks.images import ImageGenerator
from caloforge.models.networks.marginals import Marginals
from caloforge.training.data import Sample
from caloforge.training.steps import batch_of, step_generator

if TYPE_CHECKING:
    from caloforge.training.config import NetworkTraining

_PEAK_RATE = 4e-3
_BATCH = 256
_BLOCK = 1000
_START_EVENTS = 5000


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
        self.conditions = torch.from_numpy(sample.conditions.matrix).float().to(device)

    def representation(self, generator: ShowerGenerator) -> None:
        """The response and the marginals of the cells."""
        sample = self.sample
        visible = torch.from_numpy(sample.energies.sum(1) / sample.conditions.column("energy")).float().to(self.device)
        moments = generator.response.moments
        moments.standardise_with(visible[:, None])
        features = generator.features(self.conditions)

        def cells(rows: Tensor) -> Tensor:
            energies, _ = batch_of(sample, rows, self.device)
            marginals: Marginals = generator.cells(features[rows])
            return marginals.censored_loss(generator.to_values(energies)).mean()

        self._fit("response", moments, lambda rows: moments(features[rows]).loss(visible[rows, None]).mean())
        with torch.no_grad():
            generator.response.fit_quantiles(moments(features).pulls(visible[:, None])[:, 0])
        self._fit("cells", generator.cells, cells)

    def images(self, generator: ImageGenerator) -> None:
        """Mean and deviation of each cell of the images, given what the generator is told of a shower."""
        network = generator.network
        some, _ = batch_of(self.sample, slice(_START_EVENTS), self.device)
        network.standardise_with(generator.box_cox(some))
        features = generator.features(self.conditions)

        def cells(rows: Tensor) -> Tensor:
            energies, _ = batch_of(self.sample, rows, self.device)
            common = torch.cat([features[rows], features.new_zeros(len(rows), generator.latent)], 1)
            return network.marginals(network.maps(common)).censored_loss(generator.box_cox(energies)).mean()

        self._fit("images", network.dense, cells)

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
            optimizer.step()
            schedule.step()
            self.advance(1)
