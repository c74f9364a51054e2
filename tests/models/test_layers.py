"""Detectors with several layers of cells: how the energy divides, and what is made of it by every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from caloforge.detector import Detector, draw_conditions, load_detector, mirror_cells  # noqa: E402
from caloforge.generation import generate  # noqa: E402
from caloforge.generation.graphs import openvino_core  # noqa: E402
from caloforge.models.networks.families import shower_generator  # noqa: E402
from caloforge.models.networks.functions import normal_share  # noqa: E402
from caloforge.models.networks.generator import ShowerGenerator  # noqa: E402
from caloforge.models.networks.layers import EDGE, LayerShares  # noqa: E402
from caloforge.models.networks.sampler import export_onnx  # noqa: E402
from caloforge.models.networks.settings import (  # noqa: E402
    ConvolutionalSettings,
    FactorSettings,
    FieldSettings,
    MatchingSettings,
    NetworkSettings,
    VariationalSettings,
)
from caloforge.random import normals, uniforms  # noqa: E402
from caloforge.showers import Showers, save  # noqa: E402
from caloforge.training import train  # noqa: E402
from caloforge.training.pulls import pull_batch  # noqa: E402

SMALL = {
    "wgan-gp": ConvolutionalSettings(latent=3, maps=2, channels=3, critic_channels=4, hidden=8),
    "flow": FactorSettings(hidden=8, factors=4, width=8, transforms=2),
    "vae": VariationalSettings(latent=3, hidden=8),
    "flow-matching": MatchingSettings(hidden=8, maps=1, channels=2, steps=1),
    "student": FieldSettings(hidden=8, maps=1, channels=2),
}


@pytest.fixture(scope="module", params=["atlas-barrel", "calogan", "calochallenge-2"])
def layered(request: pytest.FixtureRequest) -> Detector:
    return load_detector(request.param)


def made(detector: Detector, family: str, settings: NetworkSettings) -> ShowerGenerator:
    torch.manual_seed(1)
    generator = shower_generator(family, detector, detector.particles[:1], settings)
    generator.response.offset.fill_(0.2)
    generator.response.scale.fill_(0.01)
    return generator.eval()


def some(detector: Detector, generator: ShowerGenerator, n: int) -> tuple[Any, Any]:
    conditions = draw_conditions(detector, 3, 0, n, detector.particles[0]).inputs
    return torch.from_numpy(conditions), torch.from_numpy(normals(3, "noise", 0, n, generator.noise_width))


def layers_of(detector: Detector, energies: Any) -> Any:
    return torch.stack([energies[:, layer.index].sum(1) for layer in detector.cell_layers], 1)


def test_cells_add_up_to_the_energies_drawn_for_the_layers(layered: Detector) -> None:
    generator = made(layered, "vae", SMALL["vae"])
    conditions, noise = some(layered, generator, 20)
    with torch.no_grad():
        energies = generator(conditions, noise)
        folded = generator.fold.conditions(conditions, generator.fold.flips(conditions))
        response = generator.response(generator.features(folded)).values(noise[:, :1])
        visible = response * conditions[:, generator.energy_column, None]
        context, _ = generator.drawn_context(folded, noise)
        wanted = generator.layers.divide(visible, context[:, generator.features.width :])
    assert energies.shape == (20, layered.n_cells)
    assert bool((energies >= 0).all())
    torch.testing.assert_close(layers_of(layered, energies), wanted, rtol=1e-4, atol=1e-3)


def test_shares_of_showers_give_back_their_layers(layered: Detector) -> None:
    shares = LayerShares(layered, 2, 8)
    drawn = uniforms(1, "test", 0, 30, layered.n_cells) ** 4
    energies = torch.from_numpy((100 * drawn).astype(np.float32))
    logits = shares.logits(energies)
    shares.standardise_with(logits)
    layers = shares.divide(energies.sum(1, keepdim=True), shares.values(energies))
    torch.testing.assert_close(layers, layers_of(layered, energies), rtol=1e-3, atol=0.02)


def test_a_layer_without_energy_has_none_again(layered: Detector) -> None:
    shares = LayerShares(layered, 2, 8)
    energies = torch.ones(3, layered.n_cells)
    energies[:, layered.cell_layers[0].index] = 0
    energies[1:, layered.cell_layers[-1].index] = 0
    layers = shares.divide(energies.sum(1, keepdim=True), shares.values(energies))
    torch.testing.assert_close(layers, layers_of(layered, energies), rtol=1e-3, atol=1e-3)
    assert float(layers[0, 0]) == float(layers[1, -1]) == 0


def test_all_cells_of_a_layer_off_does_not_lose_its_energy(layered: Detector) -> None:
    generator = made(layered, "vae", SMALL["vae"])
    generator.cells.offset.fill_(-30.0)  # every cell is off
    conditions, noise = some(layered, generator, 20)
    with torch.no_grad():
        energies = generator(conditions, noise)
    expected = 0.2 * conditions[:, generator.energy_column]
    assert bool((abs(energies.sum(1) / expected - 1) < 0.3).all())


def test_mirrored_conditions_give_mirrored_showers() -> None:
    detector = load_detector("atlas-barrel")
    generator = made(detector, "vae", SMALL["vae"])
    conditions = draw_conditions(detector, 3, 0, 50, 22)
    noise = torch.from_numpy(normals(3, "noise", 0, 50, generator.noise_width))
    everywhere = np.ones(50, dtype=bool)
    with torch.no_grad():
        straight = generator(torch.from_numpy(conditions.inputs), noise).numpy()
        mirrored = generator(torch.from_numpy(conditions.mirrored(everywhere, everywhere).inputs), noise).numpy()
    np.testing.assert_allclose(mirrored, mirror_cells(straight, detector, everywhere, everywhere), rtol=1e-5)


def test_what_is_seen_of_showers_gives_them_back(layered: Detector) -> None:
    """Up to cells that are off, whose pull is that of the edge."""
    generator = made(layered, "vae", SMALL["vae"])
    conditions, noise = some(layered, generator, 10)
    conditions = generator.fold.conditions(conditions, generator.fold.flips(conditions))
    with torch.no_grad():
        energies = generator.folded(conditions, noise)
        again = generator.energies_of(generator.pulls_of(energies, conditions), conditions)
    torch.testing.assert_close(again, energies, rtol=2e-3, atol=1e-2)


@settings(max_examples=30)
@given(st.floats(-8, 8))
def test_the_normal_share_is_that_of_torch(z: float) -> None:
    number = torch.tensor([z])
    torch.testing.assert_close(normal_share(number), torch.special.ndtr(number), rtol=0, atol=2e-7)


def test_shares_are_drawn_as_their_likelihood_says() -> None:
    """How many lie below a point, and at the edges, where all that is beyond is gathered."""
    n, offset, scale = 40_000, 0.5, 1.5
    detector = load_detector("atlas-barrel")
    shares = LayerShares(detector, 2, 8)
    shares.offset.fill_(offset)
    shares.scale.fill_(scale)
    low, high = (-EDGE - offset) / scale, (EDGE - offset) / scale
    with torch.no_grad():
        for mixture in shares.mixtures:  # the same whatever is given
            mixture.get_parameter("network.4.weight").zero_()
            mixture.get_parameter("network.4.bias").copy_(
                torch.tensor([0.5, 0, -0.5, -9, -9, -9, low, 0, high - 0.5, 0, 0, 0, 0.7, 0, 0.3, 0, 0, 0])
            )
        features, pull = torch.zeros(n, 2), torch.zeros(n, 1)
        values = shares.draw(features, pull, torch.from_numpy(normals(1, "test", 0, n, shares.noise_width)))
        grid = torch.linspace(-EDGE + 1e-3, EDGE - 1e-3, n)
        density = torch.exp(-shares.losses(features, pull, grid[:, None].expand(-1, 3)) / 3)
        at_low, at_high = (
            float(torch.exp(-shares.losses(features, pull, torch.full((n, 3), edge)) / 3)[0]) for edge in (-EDGE, EDGE)
        )
    width = float(grid[1] - grid[0]) / scale
    inside = float(density.sum()) * width
    assert at_low + inside + at_high == pytest.approx(1, abs=1e-3)
    drawn = shares.offset + shares.scale * values
    below = float(density[grid < 1].sum()) * width + at_low
    for k in range(shares.n_values):
        assert float((drawn[:, k] <= -EDGE + 1e-3).float().mean()) == pytest.approx(at_low, abs=0.01)
        assert float((drawn[:, k] >= EDGE - 1e-3).float().mean()) == pytest.approx(at_high, abs=0.01)
        assert float((drawn[:, k] < 1).float().mean()) == pytest.approx(below, abs=0.01)
    assert float(drawn.abs().max()) < EDGE + 1e-3


def test_shares_are_learnt(layered: Detector) -> None:
    """Two kinds of showers, early and late, whose shares depend on the condition."""
    if len(layered.cell_layers) > 4:
        pytest.skip("the same for every layer")
    n, random = 4000, torch.Generator().manual_seed(2)
    features = torch.rand(n, 2, generator=random) * 2 - 1
    shares = LayerShares(layered, 2, 32)
    late = torch.rand(n, generator=random) < 0.3 + 0.2 * features[:, 0]
    logits = torch.randn(n, shares.n_values, generator=random) * 0.3 - 1 + 2 * late[:, None] + features[:, 1:]
    logits[:, 1:] += logits[:, :-1] / 2
    shares.standardise_with(logits)
    pull = torch.zeros(n, 1)
    optimizer = torch.optim.Adam(shares.parameters(), 3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        torch.autograd.backward(shares.losses(features, pull, logits).mean())
        optimizer.step()
    with torch.no_grad():
        drawn = shares.draw(features, pull, torch.randn(n, shares.noise_width, generator=random))
        wanted = (logits - shares.offset) / shares.scale
    for k in range(shares.n_values):
        distance = (drawn[:, k].sort().values - wanted[:, k].sort().values).abs().mean()
        assert float(distance) < 0.08, (k, float(distance))
    torch.testing.assert_close(torch.corrcoef(drawn.T), torch.corrcoef(wanted.T), rtol=0, atol=0.08)


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.filterwarnings("ignore")  # of the exporter, about its own internals
def test_every_family_is_exported_as_it_samples(family: str) -> None:
    """export_onnx compares with torch; here that a shower does not depend on its place in a batch."""
    import onnxruntime

    detector = load_detector("atlas-barrel")
    generator = made(detector, family, SMALL[family])
    for parameter in generator.pulls.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # untrained ones do nothing
    graph = export_onnx(generator, detector)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    conditions, noise = (item.numpy() for item in some(detector, generator, 200))

    def run(rows: slice) -> np.ndarray:
        found: np.ndarray = session.run(["showers"], {"conditions": conditions[rows], "noise": noise[rows]})[0]
        return found

    whole = run(slice(None))
    for start, size in ((0, 1), (3, 5), (40, 33), (100, 100)):
        np.testing.assert_array_equal(run(slice(start, start + size)), whole[start : start + size])


def test_bfloat16_keeps_the_energies_of_the_layers(layered: Detector) -> None:
    """Only products are rounded: where response and shares do not come from one, the layers hold what they should."""
    openvino = pytest.importorskip("openvino")
    if len(layered.cell_layers) > 4:
        pytest.skip("its graph takes minutes to export")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no products in bfloat16")
    generator = made(layered, "vae", SMALL["vae"])
    with torch.no_grad():
        for network in (generator.response.network, *(mixture.network for mixture in generator.layers.mixtures)):
            assert isinstance(network, torch.nn.Sequential)
            assert isinstance(network[-1], torch.nn.Linear)
            network[-1].weight.zero_()  # the sums of products are rounded as well
            network[-1].bias.zero_()
    graph = export_onnx(generator, layered)
    conditions, noise = (item.numpy() for item in some(layered, generator, 100))
    found = []
    for precision in ("f32", "bf16"):
        core = openvino_core()
        model = core.compile_model(core.read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": precision})
        found.append(torch.from_numpy(model({"conditions": conditions, "noise": noise})["showers"]))
    assert float((found[1] / found[0].clamp_min(0.1) - 1).abs().max()) > 1e-3  # single cells are rounded
    exact, rounded = (layers_of(layered, energies) for energies in found)
    torch.testing.assert_close(rounded, exact, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("family", ["vae", "wgan-gp"])
def test_pulls_are_given_the_shares_that_were_drawn(family: str) -> None:
    detector = load_detector("atlas-barrel")
    generator = made(detector, family, SMALL[family])
    given: list[Any] = []
    generator.pulls.register_forward_pre_hook(lambda module, arguments: given.append(arguments[0]))
    conditions, noise = some(detector, generator, 20)
    folded = generator.fold.conditions(conditions, generator.fold.flips(conditions))
    with torch.no_grad():
        energies = generator.folded(folded, noise)
        torch.testing.assert_close(given[0], generator.drawn_context(folded, noise)[0])
        torch.testing.assert_close(given[0], generator.context(folded, energies), rtol=1e-3, atol=2e-2)
        seen = pull_batch(generator, energies, folded, torch.Generator())
    torch.testing.assert_close(seen.context, generator.context(folded, energies))


def test_training_from_a_file_to_showers(tmp_path: Path) -> None:
    """Early showers fill the middle of the second layer, late ones less of it, and the rest; the first may be empty."""
    detector = load_detector("atlas-barrel")
    n = 1100
    conditions = draw_conditions(detector, 1, 0, n, 22)
    random = np.random.default_rng(1)
    high = conditions.column("energy") > 50e3
    late = random.random(n) < np.where(high, 0.8, 0.2)
    first, second, third, fourth = (layer.index for layer in detector.cell_layers)
    parts = 0.5 + random.random((n, detector.n_cells))
    parts[:, first] *= ((random.random(n) < np.where(high, 0.9, 0.3)) * 0.2)[:, None]
    middle = np.abs(detector.cell_centres[:, 0]) < 25
    middle[: second.start] = middle[second.stop :] = False
    parts[np.ix_(late, middle)] *= 0.05
    shares = np.stack([np.full(n, 0.05), np.where(late, 0.15, 0.55), np.full(n, 0.2), np.full(n, 0.1)], 1)
    shares *= 0.9 + 0.2 * random.random((n, 4))
    for number, layer in enumerate((first, second, third, fourth)):
        parts[:, layer] *= (shares[:, number] / np.maximum(parts[:, layer].sum(1), 1e-9))[:, None] * (
            parts[:, layer].sum(1) > 0.1
        )[:, None]
    energies = 0.2 * conditions.column("energy")[:, None] * parts / parts.sum(1, keepdims=True)
    layers = np.full((n, detector.n_layers), 1.0)
    showers = Showers(detector, conditions, energies.astype(np.float32), layers, layers)
    save(tmp_path / "full.h5", showers, source="geant4", provenance={})
    settings = {"model": "vae", "epochs": 1, "batch_size": 50, "pretraining_steps": 1000, "validation_events": 100}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump({**settings, "network": {"latent": 2, "hidden": 24}}))
    train("atlas-barrel", tmp_path / "full.h5", tmp_path / "m.caloforge", config=tmp_path / "train.yaml")
    made = generate("atlas-barrel", 1000, model=tmp_path / "m.caloforge", engine="onnxruntime")
    assert isinstance(made, Showers)

    def told(showers: Showers) -> tuple[Any, ...]:
        visible = showers.energies.sum(1)
        of_second = showers.energies[:, second].sum(1)
        inner = showers.energies[:, middle].sum(1) / of_second
        return (
            visible / showers.conditions.column("energy"),
            of_second / visible,
            inner,
            showers.energies[:, first].sum(1),
        )

    response, share, inner, presampler = told(made)
    _, true_share, true_inner, _ = told(showers)
    assert response.mean() == pytest.approx(0.2, rel=0.05)
    above = made.conditions.column("energy") > 50e3
    for here, there in ((above, high), (~above, ~high)):
        assert share[here].mean() == pytest.approx(true_share[there].mean(), rel=0.12)
    assert (presampler[above] < 1).mean() == pytest.approx(0.1, abs=0.12)
    assert (presampler[~above] < 1).mean() == pytest.approx(0.7, abs=0.15)
    assert np.corrcoef(share, inner)[0, 1] > 0.9 * np.corrcoef(true_share, true_inner)[0, 1]
