"""Prioritised observables: exact distances, what the surrogate learns, and that the generator feels them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from lightning_fabric import Fabric  # noqa: E402
from torch import Tensor  # noqa: E402

from caloforge.detector import Detector, detector_from_toml  # noqa: E402
from caloforge.errors import RequestError  # noqa: E402
from caloforge.showers import Showers, save  # noqa: E402
from caloforge.training import train  # noqa: E402
from caloforge.training.adversarial import PullAdversaries  # noqa: E402
from caloforge.training.config import WganGpConfig, make_config  # noqa: E402
from caloforge.training.data import Sample  # noqa: E402
from caloforge.training.priorities import energy_distance  # noqa: E402
from caloforge.training.steps import batch_of  # noqa: E402

NAMES = ["width_along", "sparsity_50"]


@pytest.fixture(scope="module")
def small(lhcb: Detector) -> Detector:
    """The detector with 6 x 6 cells, on which a network is trained in a second."""
    return detector_from_toml(lhcb.toml.replace("shape = [30, 30]", "shape = [6, 6]"))


@pytest.fixture(scope="module")
def sample(small: Detector, make_showers: Callable[..., Showers]) -> Sample:
    showers = make_showers(3000, 8, small)
    return Sample(showers.energies, showers.conditions)


def trainer(
    detector: Detector, priorities: dict[str, float], particles: tuple[int, ...] = (11,), **more: Any
) -> PullAdversaries:
    network = {"latent": 3, "maps": 1, "channels": 2, "critic_channels": 8, "hidden": 16}
    config = make_config({"model": "wgan-gp", "network": network, "priorities": priorities, **more})
    assert isinstance(config, WganGpConfig)
    return PullAdversaries(detector, particles, config, Fabric(accelerator="cpu", devices=1))


@pytest.fixture(scope="module")
def pretrained(small: Detector, sample: Sample) -> PullAdversaries:
    made = trainer(small, dict.fromkeys(NAMES, 1.0), pretraining_steps=300)
    steps: list[int] = []
    made.pretrain(sample, steps.append)
    assert sum(steps) == made.pretraining_steps
    made.start()
    return made


def test_energy_distance_is_over_pairs_of_different_rows() -> None:
    """2 (|0 - 3| + |1 - 2|) - 2 |0 - 1| - 2 |2 - 3| = 4, of two pairs."""
    ours, theirs = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [3.0]])
    assert float(energy_distance(ours, theirs)) == 2.0
    several = torch.randn(3, 7, 2)
    assert (energy_distance(several, several) == 0).all()


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_energy_distance_has_no_bias_in_small_batches_that_share_their_conditions(shift: float) -> None:
    """2 E|N(shift, 2)| - 2 E|N(0, 2)|, exactly, in batches of 4 under 0 or 1000, the same for both."""
    random = torch.Generator().manual_seed(3)
    conditions = 1000.0 * torch.randint(2, (50_000, 4), generator=random).double()
    ours, theirs = (torch.randn(50_000, 4, generator=random, dtype=torch.float64) for _ in range(2))
    found = energy_distance(*(torch.stack([pulls, conditions], -1) for pulls in (ours + shift, theirs)))
    expected = 4 / math.sqrt(math.pi) * (math.exp(-(shift**2) / 4) - 1) + 2 * shift * math.erf(shift / 2)
    # Rows under other conditions are 1000 away, and feel nothing: half of the pairs are left.
    assert float(found.mean()) == pytest.approx(0.5 * expected, abs=4 * float(found.std()) / math.sqrt(50_000))


def test_energy_distance_is_least_for_the_same_distribution() -> None:
    random = torch.Generator().manual_seed(4)
    shift, log_scale = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([shift, log_scale], lr=0.03)
    for _ in range(300):
        ours, theirs = (torch.randn(200, 1, generator=random) for _ in range(2))
        optimizer.zero_grad()
        torch.autograd.backward(energy_distance(shift + log_scale.exp() * ours, 1 + 2 * theirs))
        optimizer.step()
    assert float(shift.detach()) == pytest.approx(1.0, abs=0.2)
    assert float(log_scale.detach()) == pytest.approx(math.log(2), abs=0.1)


def test_pulls_are_exact_where_there_is_a_gradient_and_the_surrogate_learns_counts(
    pretrained: PullAdversaries, sample: Sample
) -> None:
    priorities, generator = pretrained.priorities, pretrained.generator
    assert priorities is not None
    assert priorities.names == NAMES
    energies, conditions = batch_of(sample, slice(0, 2000), torch.device("cpu"))
    with torch.no_grad():
        exact = priorities.moments(generator.features(conditions)).pulls(priorities.values(energies, conditions))
        found = priorities.pulls(energies, conditions, generator)
    torch.testing.assert_close(found[:, 0], exact[:, 0].clamp(-8, 8))
    torch.testing.assert_close(exact.std(0), torch.ones(2), atol=0.1, rtol=0)
    explained = 1 - (found - exact)[:, 1].square().mean() / exact[:, 1].var()
    assert float(explained) > 0.4  # 0.5 after so few steps


def test_the_generator_feels_every_priority(pretrained: PullAdversaries, sample: Sample) -> None:
    """The gradient passes through the surrogate, which it leaves alone; the same showers have no distance."""
    priorities, generator = pretrained.priorities, pretrained.generator
    assert priorities is not None
    energies, conditions = batch_of(sample, slice(0, 100), torch.device("cpu"))
    noise = torch.randn(100, generator.noise_width, generator=torch.Generator().manual_seed(1))
    terms = pretrained.terms(pretrained.fake(conditions, noise), energies, conditions)
    assert list(terms) == [f"priority_{name}" for name in NAMES]
    weights = list(generator.trained.parameters())
    for term in terms.values():
        gradients = torch.autograd.grad(term, weights, retain_graph=True)
        assert max(float(gradient.abs().max()) for gradient in gradients) > 0
    assert not any(parameter.requires_grad for parameter in priorities.parameters())
    same = priorities(energies, energies, conditions, generator)
    assert all(float(term) == 0.0 for term in same.values())


def test_priorities_leave_the_rest_as_it_starts(small: Detector, sample: Sample) -> None:
    def start(priorities: dict[str, float]) -> tuple[set[str], dict[str, Tensor]]:
        made = trainer(small, priorities, pretraining_steps=2)
        made.pretrain(sample, lambda steps: None)
        return set(made.modules), {**made.generator.state_dict(), **made.critic.state_dict()}

    plain, tensors = start({})
    with_priorities, theirs = start(dict.fromkeys(NAMES, 1.0))
    assert plain == {"generator", "critic"}
    assert with_priorities == plain | {"priorities"}
    assert all(torch.equal(tensors[name], theirs[name]) for name in tensors.keys() | theirs.keys())


@pytest.mark.parametrize("particles", [(11,), (11, 22)])
def test_what_is_right_over_all_particles_only_is_not_right(
    small: Detector, monkeypatch: pytest.MonkeyPatch, particles: tuple[int, ...]
) -> None:
    """The shares of two particles exchanged: seen where they are told apart."""
    made = trainer(small, {NAMES[0]: 1.0}, particles)
    priorities = made.priorities
    assert priorities is not None
    monkeypatch.setattr(priorities, "pulls", lambda energies, conditions, generator: energies[:, :1])
    codes = torch.tensor([11.0, 22.0]).repeat(50)
    conditions = torch.stack([torch.full((100,), 5000.0), *torch.zeros(4, 100), codes], 1)
    pulls = torch.randn(100, 1, generator=torch.Generator().manual_seed(2)).repeat_interleave(2, 0)[:100]
    pulls[::2] += 4.0
    exchanged = pulls.view(50, 2).flip(1).reshape(100, 1)
    distance = float(priorities(exchanged, pulls, conditions, made.generator)[f"priority_{NAMES[0]}"])
    assert (distance > 0.5) == (len(particles) > 1)


def test_the_order_in_the_training_file_does_not_matter(lhcb: Detector) -> None:
    one, other = (
        trainer(lhcb, weights) for weights in ({NAMES[0]: 1.0, NAMES[1]: 2.0}, {NAMES[1]: 2.0, NAMES[0]: 1.0})
    )
    assert one.priorities is not None
    assert other.priorities is not None
    assert (one.priorities.names, one.priorities.weights) == (other.priorities.names, other.priorities.weights)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("width_alnog", "unknown priority for lhcb-ecal 'width_alnog'; did you mean 'width_along'? Valid names: "),
        ("mean_depth", "unknown priority for lhcb-ecal 'mean_depth'"),
        ("response", "the response cannot be a priority"),
    ],
)
def test_a_priority_that_cannot_be_is_named_before_any_work(
    tmp_path: Path, make_showers: Callable[..., Showers], name: str, message: str
) -> None:
    data, settings = tmp_path / "full.h5", tmp_path / "train.yaml"
    save(data, make_showers(200, 4), source="geant4", provenance={})
    settings.write_text(f"{{model: wgan-gp, validation_events: 100, priorities: {{{name}: 1}}}}")
    with pytest.raises(RequestError, match=message.replace("?", r"\?")):
        train("lhcb-ecal", data, tmp_path / "model.caloforge", config=settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full.h5", "train.yaml"]
