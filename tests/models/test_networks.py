"""The networks: symmetry, conservation, known distributions, and what is exported."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import onnxruntime  # noqa: E402

from caloforge.detector import Detector, detector_from_toml, draw_conditions, mirror_cells  # noqa: E402
from caloforge.errors import FormatError  # noqa: E402
from caloforge.models.bundle import Domain, read_bundle, write_bundle  # noqa: E402
from caloforge.models.networks.conditions import ConditionFeatures  # noqa: E402
from caloforge.models.networks.critic import Critic, PatchConvolution  # noqa: E402
from caloforge.models.networks.families import shower_generator  # noqa: E402
from caloforge.models.networks.functions import asinh, log, sinh  # noqa: E402
from caloforge.models.networks.generator import ShowerGenerator  # noqa: E402
from caloforge.models.networks.marginals import Marginals  # noqa: E402
from caloforge.models.networks.sampler import (  # noqa: E402
    TorchSampler,
    export_onnx,
    load_torch_sampler,
    operations,
    save_weights,
)
from caloforge.models.networks.settings import (  # noqa: E402
    ConvolutionalSettings,
    FactorSettings,
    FieldSettings,
    MatchingSettings,
    NetworkSettings,
    VariationalSettings,
)
from caloforge.random import normals  # noqa: E402

PARTICLES = (11, 22)
SMALL = ConvolutionalSettings(latent=3, maps=2, channels=3, critic_channels=4, hidden=8)


@pytest.fixture(scope="module")
def generator(lhcb: Detector) -> ShowerGenerator:
    torch.manual_seed(5)
    made = shower_generator("wgan-gp", lhcb, PARTICLES, SMALL)
    made.response.offset.fill_(0.15)
    made.response.scale.fill_(0.005)
    return made.eval()


@pytest.fixture(scope="module")
def conditions(lhcb: Detector) -> np.ndarray:
    return draw_conditions(lhcb, 3, 0, 50).inputs


@pytest.fixture(scope="module")
def noise(generator: ShowerGenerator) -> np.ndarray:
    return normals(3, "noise", 0, 50, generator.noise_width)


@pytest.fixture(scope="module")
def graph(generator: ShowerGenerator, lhcb: Detector) -> bytes:
    return export_onnx(generator, lhcb)


@pytest.mark.parametrize(("flip_x", "flip_y"), [(True, False), (False, True), (True, True)])
def test_mirrored_conditions_give_mirrored_showers(
    lhcb: Detector, generator: ShowerGenerator, noise: np.ndarray, flip_x: bool, flip_y: bool
) -> None:
    sampler = TorchSampler(lhcb, generator)
    plain = draw_conditions(lhcb, 3, 0, 50)
    flags = np.full(50, flip_x), np.full(50, flip_y)
    mirrored = sampler.sample(plain.mirrored(*flags).inputs, noise)
    expected = mirror_cells(sampler.sample(plain.inputs, noise), lhcb, *flags)
    np.testing.assert_array_equal(mirrored, expected)


def test_what_the_critic_sees_stays_when_the_table_of_observables_grows(lhcb: Detector) -> None:
    squares = [f"fraction_{side}x{side}" for side in (1, 3, 5, 7, 9)]
    radial = ["radius", "radial_width", *(f"within_{radius}mm" for radius in (20, 40, 80))]
    shapes = [f"{what}_{way}" for way in ("along", "across") for what in ("width", "asymmetry", "barycentre")]
    assert Critic(lhcb, 7, SMALL).observables.names == ["response", *squares, "hottest_ratio", *radial, *shapes]


def test_a_fixed_condition_is_a_constant_feature(lhcb: Detector) -> None:
    text = lhcb.toml.replace('low = 1000.0\nhigh = 100000.0\ndensity = "1/E"', "value = 5000.0")
    fixed = detector_from_toml(text.replace('low = -20.0\nhigh = 20.0\ndensity = "uniform"', "values = [0.0]"))
    drawn = draw_conditions(fixed, 1, 0, 100)
    features = ConditionFeatures(fixed, PARTICLES)(torch.from_numpy(drawn.inputs))
    torch.testing.assert_close(features[:, [0, 3]], torch.full((100, 2), -1.0), rtol=0, atol=1e-6)
    assert torch.isfinite(features).all()


def test_features_tell_particles_apart(lhcb: Detector) -> None:
    drawn = torch.from_numpy(draw_conditions(lhcb, 3, 0, 50, {11: 1, 22: 1}).inputs)
    features = ConditionFeatures(lhcb, (11, 22))(drawn)
    assert features.shape == (50, 7)
    electron = drawn[:, -1] == 11
    assert 0 < int(electron.sum()) < 50
    assert torch.equal(features[:, 5] == 1, electron)
    assert torch.equal(features[:, 6] == 1, ~electron)
    torch.testing.assert_close(ConditionFeatures(lhcb, (11,))(drawn), features[:, :5])


def test_the_cells_add_up_to_the_visible_energy_that_was_drawn(
    generator: ShowerGenerator, conditions: np.ndarray, noise: np.ndarray
) -> None:
    with torch.no_grad():
        folded = generator.fold.conditions(
            torch.from_numpy(conditions), generator.fold.flips(torch.from_numpy(conditions))
        )
        energies = generator.folded(folded, torch.from_numpy(noise))
        response = generator.response(generator.features(folded)).values(torch.from_numpy(noise[:, :1]))
        drawn = response[:, 0] * folded[:, 0]
    assert (energies >= 0).all()
    torch.testing.assert_close(energies.sum(1), drawn, rtol=1e-5, atol=0)


def test_no_cell_holds_more_than_its_ceiling(lhcb: Detector, conditions: np.ndarray, noise: np.ndarray) -> None:
    torch.manual_seed(5)
    made = shower_generator("wgan-gp", lhcb, PARTICLES, SMALL)
    ceiling = torch.linspace(0.01, 5.0, lhcb.n_cells)
    made.ceiling.copy_(ceiling)
    made.cells.offset.fill_(1000.0)  # far above it
    with torch.no_grad():
        energies = made.folded(torch.from_numpy(np.abs(conditions)), torch.from_numpy(noise))
    shares = made.to_energies(ceiling)
    torch.testing.assert_close(energies / energies.sum(1, keepdim=True), (shares / shares.sum()).expand(50, -1))


def test_values_and_energies_are_inverse(generator: ShowerGenerator) -> None:
    energies = torch.tensor([[0.0, 1e-3, 0.3, 10.0, 9000.0]])
    torch.testing.assert_close(generator.to_energies(generator.to_values(energies)), energies, rtol=1e-5, atol=1e-6)


def marginals(n: int, *values: float) -> Marginals:
    """One quantity of ``n`` showers with the same location, log scale, skewness and log tail."""
    return Marginals(*(torch.full((n, 1), value, dtype=torch.float64) for value in values))


@given(st.floats(-3, 3), st.floats(-2, 2), st.floats(-3, 3), st.floats(-1.2, 1.2))
def test_pulls_and_values_are_inverse(location: float, log_scale: float, skewness: float, log_tail: float) -> None:
    pulls = torch.linspace(-8, 8, 101, dtype=torch.float64)[:, None]
    bent = marginals(101, location, log_scale, skewness, log_tail)
    values = bent.values(pulls)
    assert (values.diff(dim=0) > 0).all()
    torch.testing.assert_close(bent.pulls(values), pulls, rtol=1e-6, atol=1e-6)


def test_functions_are_those_of_torch() -> None:
    x = torch.linspace(-30, 30, 2001, dtype=torch.float64)
    torch.testing.assert_close(asinh(x), torch.asinh(x), rtol=2e-7, atol=0)
    torch.testing.assert_close(sinh(x), torch.sinh(x), rtol=1e-12, atol=1e-12)
    positive = torch.logspace(-1.75, 1.75, 2001, dtype=torch.float64)
    torch.testing.assert_close(log(positive), torch.log(positive), rtol=2e-7, atol=1e-12)


class Logarithms(torch.nn.Module):  # type: ignore[misc,name-defined]
    def forward(self, x: Any) -> Any:
        return log(x)


@pytest.mark.filterwarnings("ignore")  # of the exporter, about its own internals
def test_the_logarithm_has_the_same_bits_anywhere_in_an_array() -> None:
    x = torch.logspace(-1.5, 1.5, 999)[:, None]
    program = torch.onnx.export(
        Logarithms().eval(), (x,), dynamo=True, input_names=["x"], dynamic_shapes={"x": {0: torch.export.Dim("n")}}
    )
    assert program is not None
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    alone = [session.run(None, {"x": number[None].numpy()})[0] for number in x]
    np.testing.assert_array_equal(session.run(None, {"x": x.numpy()})[0], np.concatenate(alone))


def test_without_skewness_and_tail_they_are_normal() -> None:
    pulls = torch.linspace(-4, 4, 9, dtype=torch.float64)[:, None]
    torch.testing.assert_close(marginals(9, 2.0, math.log(3.0), 0.0, 0.0).values(pulls), 2 + 3 * pulls)


def test_the_likelihood_is_that_of_a_density() -> None:
    """exp(-loss) integrates to sqrt(2 pi), the constant left out; with the cells that are off, to one."""
    x = torch.linspace(-60, 60, 400_001, dtype=torch.float64)[:, None]
    bent = marginals(len(x), 0.5, -0.3, 0.7, 0.4)
    density = torch.exp(-bent.loss(x))[:, 0] / math.sqrt(2 * math.pi)
    assert float(torch.trapezoid(density, x[:, 0])) == pytest.approx(1.0, abs=1e-6)
    on = x[:, 0] > 0.02
    off = float(torch.exp(-bent.censored_loss(torch.zeros_like(x)))[0, 0])
    assert off + float(torch.trapezoid(density[on], x[on, 0])) == pytest.approx(1.0, abs=1e-3)


def test_censored_loss_is_least_at_the_true_distribution() -> None:
    normal = torch.from_numpy(np.random.default_rng(2).normal(size=(100_000, 1)))
    true = (0.3, 0.0, 0.5, 0.2)
    values = marginals(len(normal), *true).values(normal).clamp_min(0.0)

    def loss(*given: float) -> float:
        return float(marginals(len(values), *given).censored_loss(values, edge=1e-9).mean())

    others = [
        tuple(t + (0.1 if i == k else 0.0) * sign for i, t in enumerate(true)) for k in range(4) for sign in (1, -1)
    ]
    assert all(loss(*other) > loss(*true) for other in others)


def test_patch_convolution_is_a_convolution_with_stride_equal_to_its_kernel() -> None:
    torch.manual_seed(0)
    ours = PatchConvolution(2, 5, 3)
    theirs = torch.nn.Conv2d(2, 5, 3, stride=3)
    with torch.no_grad():
        theirs.weight.copy_(ours.linear.weight.view(5, 3, 3, 2).permute(0, 3, 1, 2))
        theirs.bias.copy_(ours.linear.bias)
        images = torch.randn(4, 12, 9, 2)
        expected = theirs(images.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        torch.testing.assert_close(ours(images), expected)


def test_the_critic_sees_each_event_alone(lhcb: Detector, generator: ShowerGenerator, conditions: np.ndarray) -> None:
    critic = Critic(lhcb, 7, SMALL)
    pulls = torch.randn(6, lhcb.n_cells, generator=torch.Generator().manual_seed(1))
    folded = torch.from_numpy(np.abs(conditions[:6]))
    with torch.no_grad():
        together = critic(pulls, folded, generator)
        alone = torch.cat([critic(pulls[i : i + 1], folded[i : i + 1], generator) for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_onnx_gives_the_same_bits_in_any_batch_and_agrees_with_torch(
    lhcb: Detector, generator: ShowerGenerator, graph: bytes, conditions: np.ndarray, noise: np.ndarray
) -> None:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def run(rows: slice) -> np.ndarray:
        made: np.ndarray = session.run(["showers"], {"conditions": conditions[rows], "noise": noise[rows]})[0]
        return made

    together = run(slice(None))
    np.testing.assert_array_equal(np.concatenate([run(slice(i, i + 1)) for i in range(50)]), together)
    expected = TorchSampler(lhcb, generator).sample(conditions, noise)
    assert (np.abs(together - expected) <= 1e-5 * expected.max(axis=1, keepdims=True)).all()


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("flow", FactorSettings(factors=4, transforms=1, bins=4, width=8, hidden=8)),
        ("vae", VariationalSettings(latent=3, hidden=8)),
        ("flow-matching", MatchingSettings(steps=1, channels=2, hidden=8)),
        ("student", FieldSettings(channels=2, hidden=8)),
    ],
)
def test_every_family_is_exported_as_it_samples(lhcb: Detector, family: str, settings: NetworkSettings) -> None:
    torch.manual_seed(5)
    made = shower_generator(family, lhcb, PARTICLES, settings)
    made.response.offset.fill_(0.15)
    made.response.scale.fill_(0.005)
    for parameter in made.pulls.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # untrained ones do nothing
    graph = export_onnx(made, lhcb)  # raises where onnxruntime and torch differ
    names = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).get_inputs()
    assert [item.name for item in names] == ["conditions", "noise"]


def test_operations_are_two_for_each_weight_of_dense_layers(lhcb: Detector) -> None:
    made = shower_generator("vae", lhcb, PARTICLES, VariationalSettings(latent=3, hidden=8))
    layers = [module for module in made.modules() if isinstance(module, torch.nn.Linear)]
    assert operations(made, lhcb) == sum(2 * layer.weight.numel() for layer in layers)


def test_weights_come_back_from_a_bundle(
    tmp_path: Path, lhcb: Detector, generator: ShowerGenerator, conditions: np.ndarray, noise: np.ndarray
) -> None:
    def bundle(name: str, settings: ConvolutionalSettings) -> Path:
        return write_bundle(
            tmp_path / name,
            family="wgan-gp",
            detector=lhcb,
            domain=replace(Domain.of(lhcb), particles=PARTICLES),
            noise_width=generator.noise_width,
            config={"network": settings.model_dump()},
            metrics={},
            provenance={},
            parts={"weights.safetensors": save_weights(generator)},
        )

    restored = load_torch_sampler(read_bundle(bundle("good.caloforge", SMALL)))
    expected = TorchSampler(lhcb, generator).sample(conditions, noise)
    np.testing.assert_array_equal(restored.sample(conditions, noise), expected)
    with pytest.raises(FormatError, match="do not fit"):
        load_torch_sampler(read_bundle(bundle("bad.caloforge", SMALL.model_copy(update={"hidden": 9}))))
