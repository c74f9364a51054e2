"""The published baselines: the transform in them, what depends on the conditions and what does not, the export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnxruntime  # noqa: E402
from scipy.special import boxcox  # noqa: E402
from torch import Tensor  # noqa: E402

from caloforge.cli import main  # noqa: E402
from caloforge.detector import Conditions, Detector, detector_from_toml, draw_conditions  # noqa: E402
from caloforge.generation import generate  # noqa: E402
from caloforge.models.bundle import Domain, write_bundle  # noqa: E402
from caloforge.models.networks.box_cox import BoxCox  # noqa: E402
from caloforge.models.networks.conditions import ConditionFeatures  # noqa: E402
from caloforge.models.networks.families import IMAGE_FAMILIES  # noqa: E402
from caloforge.models.networks.images import Discriminator, ImageGenerator  # noqa: E402
from caloforge.models.networks.sampler import TorchSampler, export_onnx, save_weights  # noqa: E402
from caloforge.models.networks.settings import ImageSettings  # noqa: E402
from caloforge.random import normals  # noqa: E402
from caloforge.showers import Showers  # noqa: E402
from caloforge.training.config import NetworkTraining, make_config  # noqa: E402
from caloforge.training.data import Sample  # noqa: E402
from caloforge.training.pretraining import Pretraining  # noqa: E402

SMALL = ImageSettings(latent=6, maps=2, channels=2, critic_channels=4, hidden=8)


BOX_COX = BoxCox(0.3, 1e5)


def small_generator(detector: Detector, *, conditional: bool) -> ImageGenerator:
    torch.manual_seed(5)
    generator = ImageGenerator(detector, (11,), SMALL, conditional=conditional)
    for parameter in generator.network.parameters():
        parameter.data = torch.randn(parameter.shape) / 3  # new weights make a flat image
    return generator.eval()


def noise_of(generator: ImageGenerator, count: int = 4) -> Tensor:
    noise: Tensor = torch.randn(count, generator.noise_width, generator=torch.Generator().manual_seed(1))
    return noise


def two_conditions(lhcb: Detector, count: int = 4) -> tuple[Tensor, Tensor]:
    matrix = draw_conditions(lhcb, 3, 0, 2 * count).inputs
    return torch.from_numpy(matrix[:count]), torch.from_numpy(matrix[count:])


def test_box_cox_is_scipys_and_its_inverse_gives_the_energies_back(showers: Showers) -> None:
    energies = torch.from_numpy(showers.energies)
    values = BOX_COX(energies)
    np.testing.assert_allclose(values.numpy(), boxcox(1 + showers.energies / 0.3, 0.25), rtol=1e-5, atol=1e-5)
    back = BOX_COX.inverse(values)
    torch.testing.assert_close(back, energies, rtol=1e-5, atol=1e-6)
    assert torch.equal(back == 0, values == 0)


def test_box_cox_is_finite_and_not_negative_for_any_value() -> None:
    energies = BOX_COX.inverse(torch.tensor([-torch.inf, -1e30, -5.0, 0.0, 5.0, 1e30, torch.inf]))
    assert (energies[:4] == 0).all()
    torch.testing.assert_close(energies[5:], torch.tensor([1e5, 1e5]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("conditional", [False, True])
def test_showers_depend_on_the_conditions_of_conditional_families_only(lhcb: Detector, conditional: bool) -> None:
    generator = small_generator(lhcb, conditional=conditional)
    noise = noise_of(generator)
    with torch.no_grad():
        first, second = (generator(conditions, noise) for conditions in two_conditions(lhcb))
    assert first.shape == (4, lhcb.n_cells)
    assert (first >= 0).all()
    assert (first > 0).any()
    assert torch.equal(first, second) is not conditional


def test_a_mirrored_request_gives_the_mirrored_shower(lhcb: Detector) -> None:
    generator = small_generator(lhcb, conditional=True)
    conditions, _ = two_conditions(lhcb)
    mirrored = conditions.clone()
    mirrored[:, [lhcb.column("x"), lhcb.column("angle_xz")]] *= -1
    noise = noise_of(generator)
    with torch.no_grad():
        image, reflected = (generator(asked, noise).view(4, *lhcb.cells.shape) for asked in (conditions, mirrored))
    assert torch.equal(image.flip(1), reflected)


def test_a_family_without_conditions_draws_them_evenly_over_the_domain(lhcb: Detector) -> None:
    generator = ImageGenerator(lhcb, (11,), SMALL, conditional=False)
    conditions, _ = two_conditions(lhcb, 1)
    ends = torch.cat([torch.full((1, generator.noise_width), end) for end in (-9.0, 9.0)])
    expected = torch.from_numpy(Conditions(lhcb, np.stack([lhcb.low, lhcb.high]), np.array([11, 11])).inputs)
    torch.testing.assert_close(generator.asked(conditions, ends), expected, rtol=1e-5, atol=1e-6)
    ours = generator.drawn(generator.asked(conditions, noise_of(generator, 4000)))
    even = torch.linspace(-1, 1, 4000)[:, None].expand_as(ours)
    torch.testing.assert_close(ours.sort(dim=0).values, even, rtol=0, atol=0.06)


@pytest.mark.parametrize("conditional", [False, True])
def test_the_discriminator_sees_the_conditions_of_conditional_families_only(
    lhcb: Detector, showers: Showers, conditional: bool
) -> None:
    torch.manual_seed(5)
    discriminator = Discriminator(lhcb, len(lhcb.conditions), SMALL, conditional=conditional)
    generator = small_generator(lhcb, conditional=conditional)
    images = BOX_COX(torch.from_numpy(showers.energies[:4]))
    with torch.no_grad():
        first, second = (discriminator(images, conditions, generator) for conditions in two_conditions(lhcb))
    assert first.shape == (4,)
    assert torch.equal(first, second) is not conditional


def test_features_of_conditions_give_the_conditions_back(lhcb: Detector) -> None:
    ends = torch.from_numpy(Conditions(lhcb, np.stack([lhcb.low, lhcb.high]), np.array([11, 11])).inputs)
    expected = torch.tensor([[-1.0], [1.0]]).expand(2, len(lhcb.conditions))
    features = ConditionFeatures(lhcb, (11,), folded=False)
    torch.testing.assert_close(features(ends), expected, rtol=0, atol=1e-5)
    conditions, _ = two_conditions(lhcb)
    torch.testing.assert_close(features.inverse(features(conditions)), conditions, rtol=1e-5, atol=1e-5)
    several = ConditionFeatures(lhcb, (11, 22, 211), folded=False)
    mixed = torch.from_numpy(draw_conditions(lhcb, 3, 0, 40, {11: 1, 22: 1, 211: 1}).inputs)
    torch.testing.assert_close(several.inverse(several(mixed)), mixed, rtol=1e-5, atol=1e-5)


def test_pretraining_finds_mean_and_deviation_of_cells_that_are_normal_in_the_transform(lhcb: Detector) -> None:
    """The cells of every shower are relu(2 + 0.5 normal) in v, or off; latent numbers are not asked."""
    detector = detector_from_toml(lhcb.toml.replace("[30, 30]", "[4, 5]"))
    generator = ImageGenerator(detector, (11,), SMALL, conditional=True)
    conditions = draw_conditions(detector, 3, 0, 2000)
    values = 2 + 0.5 * np.random.default_rng(1).standard_normal((2000, 20))
    values[:, 7] = 0
    energies = BOX_COX.inverse(torch.from_numpy(values).float()).numpy()
    config = make_config({"model": "conditional-gan", "pretraining_steps": 300})
    assert isinstance(config, NetworkTraining)
    Pretraining(Sample(energies, conditions), config, torch.device("cpu"), lambda done: None).images(generator)
    noise = torch.zeros(2000, generator.noise_width)
    with torch.no_grad():
        maps = generator.network.maps(torch.cat([generator.features(two_conditions(detector)[0]), noise[:4, :6]], 1))
        marginals = generator.network.marginals(maps)
    others = np.arange(20) != 7
    np.testing.assert_allclose(marginals.location[:, others], 2.0, atol=0.1)
    np.testing.assert_allclose(marginals.log_scale.exp()[:, others], 0.5, atol=0.1)
    assert ((marginals.location / marginals.log_scale.exp())[:, 7] < -1.5).all()


@pytest.mark.parametrize("family", ["gan", "conditional-wgan"])
def test_the_export_gives_the_showers_of_torch_in_any_batch(
    tmp_path: Path, lhcb: Detector, family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = small_generator(lhcb, conditional=IMAGE_FAMILIES[family].keywords["conditional"])
    graph = export_onnx(generator, lhcb)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    conditions = draw_conditions(lhcb, 3, 0, 20).inputs
    noise = normals(3, "noise", 0, 20, generator.noise_width)

    def run(rows: slice) -> np.ndarray:
        made: np.ndarray = session.run(["showers"], {"conditions": conditions[rows], "noise": noise[rows]})[0]
        return made

    together = run(slice(None))
    np.testing.assert_array_equal(np.concatenate([run(slice(i, i + 1)) for i in range(20)]), together)
    expected = TorchSampler(lhcb, generator).sample(conditions, noise)
    assert (np.abs(together - expected) <= 1e-5 * expected.max(axis=1, keepdims=True)).all()

    path = write_bundle(
        tmp_path / "model.caloforge",
        family=family,
        detector=lhcb,
        domain=replace(Domain.of(lhcb), particles=(11,)),
        noise_width=generator.noise_width,
        config={"network": SMALL.model_dump()},
        metrics={},
        provenance={},
        parts={"weights.safetensors": save_weights(generator), "sampler.onnx": graph},
    )
    made = [generate(lhcb, 20, model=path, engine=engine, threads=1) for engine in ("onnxruntime", "torch")]
    ours, theirs = (showers.energies for showers in made if isinstance(showers, Showers))
    assert (np.abs(ours - theirs) <= 1e-5 * theirs.max(axis=1, keepdims=True)).all()
    assert main(["generate", "lhcb-ecal", "-n", "5", "--model", str(path), "-o", str(tmp_path / "made.h5")]) == 0
    assert ("the model takes no conditions" in capsys.readouterr().out) is not generator.conditional
