"""Losses on pulls: exact answers, known distributions, and what a trained network makes of normal numbers."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch")

from lightning_fabric import Fabric  # noqa: E402
from torch import Generator, Tensor, nn  # noqa: E402

from caloforge.detector import Detector, detector_from_toml, draw_conditions  # noqa: E402
from caloforge.errors import FormatError, RequestError  # noqa: E402
from caloforge.models.bundle import Domain, write_bundle  # noqa: E402
from caloforge.models.networks.factors import FactorModel, FactorPulls  # noqa: E402
from caloforge.models.networks.families import shower_generator  # noqa: E402
from caloforge.models.networks.marginals import Marginals  # noqa: E402
from caloforge.models.networks.sampler import save_weights  # noqa: E402
from caloforge.training.config import NetworkTraining, StudentConfig, make_config  # noqa: E402
from caloforge.training.data import Sample  # noqa: E402
from caloforge.training.distillation import Distillation, load_teacher  # noqa: E402
from caloforge.training.factors import FactorLikelihood, posterior, principal_loadings  # noqa: E402
from caloforge.training.loop import TRAINERS  # noqa: E402
from caloforge.training.pulls import PullBatch, PullTrainer, imputed_pulls, truncated_normal  # noqa: E402

SIDE = 4
N_CELLS = SIDE * SIDE
NETWORKS: dict[str, dict[str, Any]] = {
    "flow": {"factors": 3, "transforms": 1, "width": 8},
    "vae": {"latent": 4},
    "flow-matching": {"channels": 3},
}


@pytest.fixture(scope="module")
def small(lhcb: Detector) -> Detector:
    """The detector with 4 x 4 cells, on which a network is trained in a second."""
    return detector_from_toml(lhcb.toml.replace("shape = [30, 30]", f"shape = [{SIDE}, {SIDE}]"))


def fresh(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def trainer(detector: Detector, family: str) -> PullTrainer:
    config = make_config({"model": family, "network": {"hidden": 32, **NETWORKS[family]}, "learning_rate": 3e-3})
    made = TRAINERS[family](detector, (11,), config, Fabric(accelerator="cpu", devices=1))
    assert isinstance(made, PullTrainer)
    return made


def normal_cells(n: int) -> Marginals:
    return Marginals.normal(torch.ones(n, N_CELLS), torch.ones(n, N_CELLS))


def total(losses: dict[str, Tensor]) -> Tensor:
    added: Tensor = torch.stack(list(losses.values())).sum()
    return added


def known_loadings() -> Tensor:
    """A depth that all cells share, and a lean from one side to the other."""
    column = torch.arange(N_CELLS) % SIDE
    loadings: Tensor = torch.stack([torch.full((N_CELLS,), 0.6), 0.5 * (column - 1.5)], 1)
    return loadings


def known_batch(n: int, random: Generator) -> PullBatch:
    """Pulls with the covariance L L' + 0.3 whatever the conditions, and a mean that follows the visible energy."""
    features, normal = 2 * torch.rand(n, 5, generator=random) - 1, torch.randn(n, 1, generator=random)
    shared = torch.randn(n, 2, generator=random) @ known_loadings().T
    own = math.sqrt(0.3) * torch.randn(n, N_CELLS, generator=random)
    return PullBatch(features, normal, normal_cells(n), shared + own + 0.5 * normal)


@pytest.mark.parametrize("limit", [-3.0, 0.5, 2.0])
def test_truncated_normal_has_its_exact_distribution(limit: float) -> None:
    uniform = (torch.arange(20_000) + 0.5) / 20_000
    drawn = truncated_normal(torch.full_like(uniform, limit), uniform).double().numpy()
    assert drawn.max() <= limit
    expected = stats.truncnorm(-np.inf, limit)
    assert stats.kstest(drawn, expected.cdf).statistic < 1e-4


def test_pulls_of_censored_showers_are_standard_normal() -> None:
    shape = (4000, 4)
    mean, deviation = (torch.tensor(row).expand(shape) for row in ([-2.0, 0.0, 0.5, 3.0], [1.0, 0.5, 2.0, 0.3]))
    cells = Marginals.normal(mean, deviation)
    values = cells.values(torch.randn(shape, generator=fresh(1))).clamp_min(0.0)
    pulls = imputed_pulls(cells, values, fresh(2))
    for column in pulls.T.double().numpy():
        assert stats.kstest(column, "norm").pvalue > 1e-3
    on = values > 0.02
    torch.testing.assert_close(pulls[on], cells.pulls(values)[on])
    assert (cells.values(pulls)[~on] <= 0.02 + 1e-6).all()


@pytest.mark.parametrize("family", NETWORKS)
def test_an_untrained_network_returns_the_numbers_of_the_cells(small: Detector, family: str) -> None:
    network = trainer(small, family).network
    noise = torch.randn(20, network.noise_width, generator=fresh(3))
    with torch.no_grad():
        pulls = network(torch.zeros(20, 5), noise, normal_cells(20))
    torch.testing.assert_close(pulls, noise[:, -N_CELLS:], rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", NETWORKS)
def test_a_known_covariance_is_learnt(small: Detector, family: str) -> None:
    taught = trainer(small, family)
    optimizer = taught.optimize()["generator"]
    steps = 250
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        optimizer.zero_grad()
        torch.autograd.backward(total(taught.losses(known_batch(256, fresh(step)), fresh(1000 + step))))
        optimizer.step()
    asked = known_batch(5000, fresh(5))
    noise = torch.cat([asked.normal, torch.randn(5000, taught.network.noise_width - 1, generator=fresh(6))], 1)
    with torch.no_grad():
        pulls = taught.network(asked.context, noise, asked.cells)
    expected = known_loadings() @ known_loadings().T + 0.3 * torch.eye(N_CELLS)
    made = torch.cov((pulls - 0.5 * asked.normal).T)
    assert float((made - expected).norm() / expected.norm()) < 0.15


def test_the_bound_of_the_flow_is_exact_while_the_factors_are_normal(small: Detector) -> None:
    """Any number drawn from the posterior gives the log-density of the pulls under N(mean, L L' + D^2)."""
    taught = trainer(small, "flow")
    assert isinstance(taught, FactorLikelihood)
    network, batch = taught.network, known_batch(6, fresh(7))
    assert isinstance(network, FactorPulls)
    with torch.no_grad():
        network.loadings.normal_(generator=fresh(8))
        last = network.given[-1]
        assert isinstance(last, nn.Linear)
        last.bias.normal_(std=0.3, generator=fresh(9))
        model = network.model(batch.given)
        losses = [total(taught.losses(batch, fresh(seed))) for seed in (10, 11)]
        loadings = model.loadings * model.scale[:, None, :]
        covariance = loadings @ loadings.mT + torch.diag_embed(model.deviation.square())
        density = torch.distributions.MultivariateNormal(model.mean, covariance).log_prob(batch.pulls)
    exact = float(-density.mean() / N_CELLS - 0.5 * math.log(2 * math.pi))
    assert [loss.item() for loss in losses] == pytest.approx([exact, exact], abs=1e-4)


def test_posterior_of_factors_is_that_of_bayes() -> None:
    model = FactorModel(
        torch.zeros(1, N_CELLS), torch.full((1, N_CELLS), math.sqrt(0.3)), known_loadings(), torch.ones(1, 2)
    )
    pulls = torch.randn(1, N_CELLS, generator=fresh(1))
    normal = torch.randn(20_000, 2, generator=fresh(2))
    drawn, _ = posterior(model, pulls.expand(20_000, -1), normal)
    loadings = known_loadings()
    gain = loadings.T @ torch.linalg.inv(loadings @ loadings.T + 0.3 * torch.eye(N_CELLS))
    torch.testing.assert_close(drawn.mean(0), (gain @ pulls[0]), rtol=0, atol=0.02)
    torch.testing.assert_close(torch.cov(drawn.T), torch.eye(2) - gain @ loadings, rtol=0, atol=0.02)


def test_principal_loadings_are_those_of_a_covariance_with_unit_noise() -> None:
    loadings = 2 * known_loadings()
    found = principal_loadings(loadings @ loadings.T + torch.eye(N_CELLS), 2)
    torch.testing.assert_close(found @ found.T, loadings @ loadings.T, rtol=0, atol=1e-4)


def teacher(path: Path, detector: Detector, family: str = "flow-matching") -> StudentConfig:
    """A student's settings, with a teacher that has random weights."""
    torch.manual_seed(3)
    settings = make_config({"model": family, "network": {"hidden": 8}})
    assert isinstance(settings, NetworkTraining)
    generator = shower_generator(family, detector, (11,), settings.network)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    write_bundle(
        path,
        family=family,
        detector=detector,
        domain=dataclasses.replace(Domain.of(detector), particles=(11,)),
        noise_width=generator.noise_width,
        config={"network": settings.network.model_dump()},
        metrics={},
        provenance={},
        parts={"weights.safetensors": save_weights(generator)},
    )
    config = make_config({"model": "student", "teacher": str(path), "network": {"hidden": 8}})
    assert isinstance(config, StudentConfig)
    return config


def test_a_student_learns_its_teacher_and_takes_over_the_representation(tmp_path: Path, small: Detector) -> None:
    config = teacher(tmp_path / "teacher.caloforge", small)
    student = Distillation(small, (11,), config, Fabric(accelerator="cpu", devices=1))
    student.pretrain(Sample(np.zeros((0, N_CELLS), np.float32), draw_conditions(small, 1, 0, 0)), lambda done: None)
    for name in ("cells", "response"):
        ours, theirs = getattr(student.generator, name).state_dict(), getattr(student.teacher, name).state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    optimizer = student.optimize()["generator"]
    before = student.losses(known_batch(500, fresh(0)), fresh(1))["difference"]
    for step in range(100):
        optimizer.zero_grad()
        torch.autograd.backward(total(student.losses(known_batch(128, fresh(step)), fresh(1000 + step))))
        optimizer.step()
    after = student.losses(known_batch(500, fresh(0)), fresh(1))["difference"]
    assert after.item() < 0.2 * before.item()


def test_a_teacher_that_does_not_fit_is_refused(tmp_path: Path, small: Detector, lhcb: Detector) -> None:
    config = teacher(tmp_path / "teacher.caloforge", small)
    with pytest.raises(RequestError, match="give a teacher of this detector"):
        load_teacher(lhcb, (11,), config)
    wider = config.model_copy(update={"network": config.network.model_copy(update={"hidden": 9})})
    with pytest.raises(RequestError, match="network.hidden = 8, the student 9"):
        load_teacher(small, (11,), wider)
    with pytest.raises(RequestError, match=r"makes the particles \(11,\), the data hold \(11, 22\)"):
        load_teacher(small, (11, 22), config)
    other = teacher(tmp_path / "vae.caloforge", small, "vae")
    with pytest.raises(RequestError, match="of the family vae; a student learns from flow-matching"):
        load_teacher(small, (11,), other)
    with pytest.raises(FormatError, match="no such file"):
        load_teacher(small, (11,), config.model_copy(update={"teacher": str(tmp_path / "missing.caloforge")}))
    with pytest.raises(RequestError, match="needs the key 'teacher'"):
        make_config({"model": "student"})
