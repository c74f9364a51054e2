"""The normalising flow: factor analysis with a flow as the distribution of the factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from caloforge.models.networks.factors import FactorModel, FactorPulls
from caloforge.training.data import Sample
from caloforge.training.pulls import PullBatch, PullTrainer, normals_like, pull_batch
from caloforge.training.steps import batch_of, step_generator

_BLOCK = 1000
_LEAST_VARIANCE = 0.05


def posterior(model: FactorModel, pulls: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
    """Factors given pulls (B, n_cells), were they standard normal before: exact, as all is linear and normal.

    Their precision is 1 + S W' D^-2 W S and their mean its inverse times S W' D^-2 (x - mean), with loadings W, scale S
    and deviation D.

    Returns:
        Factors (B, K) made of normal numbers (B, K), and the log-density (B,) of them, without the constant.
    """
    weights = model.deviation.square().reciprocal()
    n_cells, k = model.loadings.shape
    pairs = (model.loadings[:, :, None] * model.loadings[:, None, :]).view(n_cells, k * k)
    scales = model.scale[:, :, None] * model.scale[:, None, :]
    precision = scales * (weights @ pairs).view(-1, k, k) + torch.eye(k, device=pulls.device)
    root = torch.linalg.cholesky(precision)
    shift = model.scale * ((weights * (pulls - model.mean)) @ model.loadings)
    half = torch.linalg.solve_triangular(root, shift[:, :, None], upper=False)
    factors = torch.linalg.solve_triangular(root.mT, half + normal[:, :, None], upper=True)[:, :, 0]
    return factors, torch.log(root.diagonal(dim1=1, dim2=2)).sum(1) - 0.5 * normal.square().sum(1)


def principal_loadings(covariance: Tensor, k: int) -> Tensor:
    """Loadings (n, K) of the K largest eigenvalues of a covariance (n, n), above a noise of one.

    Maximum likelihood for equal noise: M. E. Tipping and C. M. Bishop, J. R. Statist. Soc. B 61 (1999) 611.
    """
    values, vectors = torch.linalg.eigh(covariance)
    loadings: Tensor = vectors[:, -k:] * (values[-k:] - 1).clamp_min(_LEAST_VARIANCE).sqrt()
    return loadings


@final
class FactorLikelihood(PullTrainer):
    """E_q[log q(f | x) - log p(x | f) - log p(f)]: minus a lower bound of the log-likelihood of the pulls x.

    p(x | f) is linear and normal, p(f) the flow, and q the exact :func:`posterior` for normal factors. So the bound is
    exact as long as the flow is the identity, and what it misses later is how far the posterior under the flow is from
    the one under the normal distribution. All of W, S, D, the mean and the flow are trained together; W starts from
    the principal components of the training showers.
    """

    def pretrain(self, sample: Sample, advance: Callable[[int], None]) -> None:
        super().pretrain(sample, advance)
        network = self._network()
        random = step_generator(self.config.seed, "training/factors", 0)
        moment = torch.zeros(network.loadings.shape[0], network.loadings.shape[0], device=self.fabric.device)
        for start in range(0, len(sample), _BLOCK):
            showers = batch_of(sample, slice(start, start + _BLOCK), self.fabric.device)
            pulls = pull_batch(self.generator, *showers, random).pulls
            moment += pulls.T @ pulls
        with torch.no_grad():
            network.loadings.copy_(principal_loadings(moment / len(sample), network.loadings.shape[1]))

    def losses(self, batch: PullBatch, random: torch.Generator) -> dict[str, Tensor]:
        network, given, n_cells = self._network(), batch.given, batch.pulls.shape[1]
        model = network.model(given)
        factors, log_posterior = posterior(model, batch.pulls, normals_like(model.scale, random))
        own = (batch.pulls - model.pulls(factors, torch.zeros_like(batch.pulls))) / model.deviation
        return {
            "reconstruction": (0.5 * own.square() + torch.log(model.deviation)).mean(),
            "divergence": (log_posterior - network.log_prior(factors, given)).mean() / n_cells,
        }

    def _network(self) -> FactorPulls:
        network = self.network
        assert isinstance(network, FactorPulls)
        return network
