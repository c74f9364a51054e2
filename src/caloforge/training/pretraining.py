"""What is fitted before the adversarial training: moments given the conditions, and the regressor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from caloforge.models.wgan_gp.critic import Critic
from caloforge.models.wgan_gp.generator import ShowerGenerator
from caloforge.models.wgan_gp.moments import ConditionalMoments, censored_loss, gaussian_loss
from caloforge.training.config import WganGpConfig
from caloforge.training.data import Sample
from caloforge.training.steps import batch_of, step_generator

_PEAK_RATE = 4e-3
_BATCH = 256


def pretrain(
    generator: ShowerGenerator,
    critic: Critic,
    sample: Sample,
    config: WganGpConfig,
    device: torch.device,
    advance: Callable[[int], None],
) -> None:
    """Fit the response, the moments of cells and observables and the regressor on folded training showers, in place.

    Args:
        advance: called with the number of steps done, for a progress display.
    """
    visible = torch.from_numpy(sample.energies.sum(1) / sample.conditions.column("energy")).float().to(device)
    generator.response.moments.standardise_with(visible[:, None])
    with torch.no_grad():
        observables = torch.cat(
            [
                critic.observables.values(*batch_of(sample, slice(start, start + 1000), device))
                for start in range(0, len(sample), 1000)
            ]
        )
    critic.observables.moments.standardise_with(observables)
    features = generator.features(torch.from_numpy(sample.conditions.matrix).float().to(device))

    def fit(name: str, part: torch.nn.Module, loss: Callable[[Tensor], Tensor]) -> None:
        optimizer = torch.optim.Adam(part.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_RATE, config.pretraining_steps)
        for step in range(config.pretraining_steps):
            random = step_generator(config.seed, f"training/{name}", step)
            value = loss(torch.randint(len(sample), (_BATCH,), generator=random))
            optimizer.zero_grad()
            torch.autograd.backward(value)
            optimizer.step()
            schedule.step()
            advance(1)

    def cells(rows: Tensor) -> Tensor:
        energies, _ = batch_of(sample, rows, device)
        mean, deviation = generator.cells(features[rows])
        return censored_loss(mean, deviation, generator.to_values(energies))

    def regression(rows: Tensor) -> Tensor:
        energies, _ = batch_of(sample, rows, device)
        misses: Tensor = critic.regressor(generator.to_values(energies)) - features[rows]
        return misses.square().mean()

    def normal(moments: ConditionalMoments, values: Tensor) -> Callable[[Tensor], Tensor]:
        def loss(rows: Tensor) -> Tensor:
            mean, deviation = moments(features[rows])
            return gaussian_loss(mean, deviation, values[rows])

        return loss

    fit("response", generator.response.moments, normal(generator.response.moments, visible[:, None]))
    with torch.no_grad():
        mean, deviation = generator.response.moments(features)
        generator.response.fit_quantiles((visible - mean[:, 0]) / deviation[:, 0])
    fit("observables", critic.observables.moments, normal(critic.observables.moments, observables))
    fit("cells", generator.cells, cells)
    fit("regressor", critic.regressor, regression)
