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
from caloforge.models.networks.marginals import ConditionalMarginals, Marginals
from caloforge.training.data import Sample
from caloforge.training.priorities import PULL_RANGE, Priorities, Surrogate
from caloforge.training.steps import batch_of, step_generator

if TYPE_CHECKING:
    from caloforge.training.config import NetworkTraining

_PEAK_RATE = 3e-3
_LARGEST_GRADIENT = 1.0
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
        self.conditions = torch.from_numpy(sample.inputs).to(device)

    def representation(self, generator: ShowerGenerator) -> None:
        """The response, the shares of the layers, the marginals of the cells and their largest energies."""
        sample = self.sample
        visible = torch.from_numpy(sample.energies.sum(1) / sample.conditions.column("energy")).float().to(self.device)
        response = generator.response
        response.standardise_with(visible[:, None])
        features = generator.features(self.conditions)
        generator.ceiling.copy_(generator.to_values(torch.from_numpy(sample.energies.max(0))))

        def layers(rows: Tensor) -> Tensor:
            with torch.no_grad():
                expected: Marginals = response(features[rows])
                pulls = expected.pulls(visible[rows, None])
            return generator.layers.losses(features[rows], pulls, logits[rows]).mean()

        def cells(rows: Tensor) -> Tensor:
            energies, conditions = batch_of(sample, rows, self.device)
            marginals: Marginals = generator.cells(generator.context(conditions, energies))
            return marginals.censored_loss(generator.to_values(energies)).mean()

        self._fit("response", response, lambda rows: response(features[rows]).loss(visible[rows, None]).mean())
        if generator.layers.n_values:
            logits = self._of_all(lambda energies, conditions: generator.layers.logits(energies))
            generator.layers.standardise_with(logits)
            self._fit("layers", generator.layers, layers)
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
        observables = self._of_all(critic.observables.values)
        self._moments("observables", critic.observables.moments, observables, generator.features)
        self.regressor(critic.regressor, generator.features, generator.to_values)

    def priorities(self, priorities: Priorities, generator: ShowerGenerator) -> None:
        """The moments of the prioritised observables and, where some have no gradient, their surrogate."""
        observables = self._of_all(priorities.values)
        # Counts are spread over their spacing: the likelihood of a density has no bound where values repeat.
        random = step_generator(self.config.seed, "training/spread", 0)
        observables += priorities.lattice * (torch.rand(observables.shape, generator=random).to(self.device) - 0.5)
        self._moments("priorities", priorities.moments, observables, generator.features)
        if priorities.surrogate is not None:
            with torch.no_grad():
                expected: Marginals = priorities.moments(generator.features(self.conditions))
            self.surrogate(priorities.surrogate, expected.pulls(observables), generator)

    def surrogate(self, surrogate: Surrogate, pulls: Tensor, generator: ShowerGenerator) -> None:
        """A surrogate of the last of the pulls (N, K) of all showers; least squares."""
        features = generator.features(self.conditions)
        wanted = pulls[:, -surrogate.n_outputs :].clamp(-PULL_RANGE, PULL_RANGE)

        def loss(rows: Tensor) -> Tensor:
            energies, conditions = batch_of(self.sample, rows, self.device)
            with torch.no_grad():
                images = surrogate.images(energies, conditions, generator)
            misses: Tensor = surrogate(images, features[rows]) - wanted[rows]
            return misses.square().mean()

        self._fit("surrogate", surrogate, loss)

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

    def _of_all(self, values_of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Numbers (N, K) of the energies and conditions of all showers."""
        starts = range(0, len(self.sample), _BLOCK)
        with torch.no_grad():
            blocks = (batch_of(self.sample, slice(start, start + _BLOCK), self.device) for start in starts)
            return torch.cat([values_of(*block) for block in blocks])

    def _moments(
        self, name: str, moments: ConditionalMarginals, observables: Tensor, features_of: ConditionFeatures
    ) -> None:
        moments.standardise_with(observables)
        features = features_of(self.conditions)
        self._fit(name, moments, lambda rows: moments(features[rows]).loss(observables[rows]).mean())

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
