"""Prioritised observables: how far those of generated showers are from full simulation, as terms of a loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.detector import Detector
from caloforge.errors import RequestError, unknown_name
from caloforge.models.networks.critic import cell_features
from caloforge.models.networks.generator import ShowerGenerator
from caloforge.models.networks.marginals import ConditionalMarginals, Marginals, dense
from caloforge.models.networks.settings import ConvolutionalSettings
from caloforge.observables import compute, observables_for

PULL_RANGE = 8.0


def energy_distance(ours: Tensor, theirs: Tensor) -> Tensor:
    """2 E|x - y| - E|x - x'| - E|y - y'| (...,) of points x and y, (..., N, D) each; not negative but for chance.

    Over pairs of different rows only: without bias, also where row i of both shares its conditions. 0 exactly for
    points that are the same. Source: G. J. Szekely and M. L. Rizzo, J. Stat. Plan. Inference 143 (2013) 1249.
    """
    n = ours.shape[-2]
    pairs = 2 * _distances(ours, theirs) - _distances(ours, ours) - _distances(theirs, theirs)
    same = pairs.diagonal(dim1=-2, dim2=-1).sum(-1)
    return (pairs.sum((-2, -1)) - same) / (n * (n - 1))


def _distances(ours: Tensor, theirs: Tensor) -> Tensor:
    return torch.cdist(ours, theirs, compute_mode="donot_use_mm_for_euclid_dist")


class Surrogate(nn.Module):
    """Images (N, n_cells, 3) of showers and condition features (N, F) to pulls of observables (N, K).

    Each cell has a layer of its own first: what a count of cells above a threshold is made of.
    """

    def __init__(self, detector: Detector, n_features: int, settings: ConvolutionalSettings, n_outputs: int) -> None:
        super().__init__()
        channels, hidden = settings.critic_channels, settings.hidden
        self.n_outputs = n_outputs
        self.cell = nn.Linear(3, channels)
        self.image = cell_features(detector, channels, channels, hidden)
        self.head = dense(hidden + n_features, hidden, n_outputs)

    @staticmethod
    def images(energies: Tensor, conditions: Tensor, generator: ShowerGenerator) -> Tensor:
        """Pull, value and location of each cell, of energies (N, n_cells): what it is, and what it was to be."""
        cells: Marginals = generator.cells(generator.context(conditions, energies))
        values = generator.to_values(energies)
        return torch.stack([cells.pulls(values).clamp(-PULL_RANGE, PULL_RANGE), values / 3, cells.location / 3], -1)

    def forward(self, images: Tensor, features: Tensor) -> Tensor:
        hidden = self.image(functional.leaky_relu(self.cell(images), 0.2))
        pulls: Tensor = self.head(torch.cat([hidden, features], 1))
        return pulls


@final
class Priorities(nn.Module):
    """What a generator is held to beside the critic: weight * energy distance of each prioritised observable.

    Compared are the pulls of the observable, given the conditions, together with log energy and particle as features: a
    distribution that is right only over all energies is not right. Where the observable has no useful gradient, a
    surrogate that was trained on full simulation, then frozen, says the pulls of generated and of real showers alike. A
    weak one says less than there is, so its distances are smaller, but they are 0 for the right showers all the same.

    Attributes:
        names: the K observables; those of the surrogate last.
        lattice: spacing (K,) of the values of those that are counts, 0 for the others.

    Raises:
        RequestError: an observable that the detector does not have, or the response, which no pull changes.
    """

    lattice: Tensor

    def __init__(
        self, detector: Detector, n_features: int, settings: ConvolutionalSettings, weights: Mapping[str, float]
    ) -> None:
        super().__init__()
        table = observables_for(detector)
        for name in weights:
            if name not in table:
                raise unknown_name(f"priority for {detector.name}", name, table)
        if "response" in weights:
            raise RequestError(
                "the response cannot be a priority: the total energy has a model of its own, and the cells are scaled "
                "to it; leave it out"
            )
        self.detector = detector
        self.names = [name for name in table if name in weights and table[name].differentiable]
        predicted = [name for name in table if name in weights and not table[name].differentiable]
        self.names += predicted
        self.weights = [weights[name] for name in self.names]
        self.moments = ConditionalMarginals(n_features, len(self.names), settings.hidden // 2)
        self.surrogate = Surrogate(detector, n_features, settings, len(predicted)) if predicted else None
        self.register_buffer("lattice", torch.tensor([table[name].lattice or 0.0 for name in self.names]))

    def values(self, energies: Tensor, conditions: Tensor) -> Tensor:
        """Energies (N, n_cells), conditions (N, C + 1) -> observables (N, K), in their own units."""
        return torch.stack(list(compute(energies, conditions[:, :-1], self.detector, self.names).values()), 1)

    def pulls(self, energies: Tensor, conditions: Tensor, generator: ShowerGenerator) -> Tensor:
        """Energies (N, n_cells), folded conditions (N, C + 1) -> pulls (N, K) that a gradient passes through."""
        features = generator.features(conditions)
        expected: Marginals = self.moments(features)
        pulls = expected.pulls(self.values(energies, conditions))
        if self.surrogate is not None:
            predicted: Tensor = self.surrogate(self.surrogate.images(energies, conditions, generator), features)
            pulls = torch.cat([pulls[:, : -self.surrogate.n_outputs], predicted], 1)
        return pulls.clamp(-PULL_RANGE, PULL_RANGE)

    def forward(self, fake: Tensor, real: Tensor, conditions: Tensor, generator: ShowerGenerator) -> dict[str, Tensor]:
        """Terms of the loss by name, of generated and real energies (N, n_cells) under the same folded conditions."""
        features = generator.features(conditions)
        energy, particle = features[:, generator.energy_column, None], features[:, len(self.detector.conditions) :]
        together = torch.cat([energy, particle], 1).expand(len(self.names), -1, -1)

        def points(energies: Tensor) -> Tensor:
            return torch.cat([self.pulls(energies, conditions, generator).T[:, :, None], together], 2)

        with torch.no_grad():
            theirs = points(real)
        terms = torch.tensor(self.weights, device=real.device) * energy_distance(points(fake), theirs)
        return {f"priority_{name}": term for name, term in zip(self.names, terms.unbind(), strict=True)}
