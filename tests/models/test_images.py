"""The published baselines: the transform in them, what depends on the conditions and what does not, the export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import onnxruntime  # noqa: E402
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
from caloforge.transforms import BoxCoxTransform  # noqa: E402

SMALL = ImageSettings(latent=6, channels=2, critic_channels=4, hidden=8)


def fitted(showers: Showers) -> BoxCox:
    transform = BoxCox(1e-3)
    transform.fit(showers.energies)
    return transform


def small_generator(lhcb: Detector, showers: Showers, *, conditional: bool) -> ImageGenerator:
    torch.manual_seed(5)
    generator = ImageGenerator(lhcb, (11,), SMALL, conditional=conditional)
    generator.box_cox.fit(showers.energies)
    for parameter in generator.network.parameters():
        parameter.data *= 2  # new weights make a flat image
    return generator.eval()


def two_conditions(lhcb: Detector, count: int = 4) -> tuple[Tensor, Tensor]:
    matrix = draw_conditions(lhcb, 3, 0, 2 * count).inputs
    return torch.from_numpy(matrix[:count]), torch.from_numpy(matrix[count:])


def test_box_cox_is_that_of_the_transform_and_its_inverse_gives_the_energies_back(showers: Showers) -> None:
    ours = fitted(showers)
    theirs = BoxCoxTransform(1e-3).fit(showers.energies, np.ones(len(showers)))
    energies = torch.from_numpy(showers.energies)
    values = ours(energies)
    np.testing.assert_allclose(values.numpy(), theirs.forward(showers.energies, np.ones(len(showers))), atol=1e-3)
    back = ours.inverse(values)
    torch.testing.assert_close(back, energies, rtol=1e-4, atol=1e-6)
    assert torch.equal(back == 0, energies == 0)


@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_box_cox_is_finite_and_not_negative_for_any_value(power: float) -> None:
    """The exponent comes out positive, about zero and negative."""
    normal = 5 + np.random.default_rng(1).standard_normal((50, 100))
    transform = BoxCox(1e-3)
    transform.fit({0.5: normal**2, 1.0: np.exp(normal), 3.0: normal**-3.0}[power].clip(0).astype(np.float32))
    values = torch.tensor([-torch.inf, -1e30, -5.0, 0.0, 5.0, 1e30, torch.inf])
    energies = transform.inverse(values)
    assert torch.isfinite(energies).all()
    assert (energies.diff() >= 0).all()
    assert energies[0] == energies[1] == 0


@pytest.mark.parametrize("conditional", [False, True])
def test_showers_depend_on_the_conditions_of_conditional_families_only(
    lhcb: Detector, showers: Showers, conditional: bool
) -> None:
    generator = small_generator(lhcb, showers, conditional=conditional)
    noise = torch.randn(4, generator.noise_width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        first, second = (generator(conditions, noise) for conditions in two_conditions(lhcb))
    assert first.shape == (4, lhcb.n_cells)
    assert (first >= 0).all()
    assert (first > 0).any()
    assert torch.equal(first, second) is not conditional


@pytest.mark.parametrize("conditional", [False, True])
def test_the_discriminator_sees_the_conditions_of_conditional_families_only(
    lhcb: Detector, showers: Showers, conditional: bool
) -> None:
    torch.manual_seed(5)
    discriminator = Discriminator(lhcb, len(lhcb.conditions), SMALL, conditional=conditional)
    images = fitted(showers)(torch.from_numpy(showers.energies[:4]))
    features = ConditionFeatures(lhcb, (11,), folded=False)
    with torch.no_grad():
        first, second = (discriminator(images, features(conditions)) for conditions in two_conditions(lhcb))
    assert first.shape == (4,)
    assert torch.equal(first, second) is not conditional


def test_unfolded_features_cover_both_signs_of_the_angles(lhcb: Detector) -> None:
    ends = torch.from_numpy(Conditions(lhcb, np.stack([lhcb.low, lhcb.high]), np.array([11, 11])).inputs)
    expected = torch.tensor([[-1.0], [1.0]]).expand(2, len(lhcb.conditions))
    torch.testing.assert_close(ConditionFeatures(lhcb, (11,), folded=False)(ends), expected, rtol=0, atol=1e-5)


def test_a_grid_that_is_no_multiple_of_eight_is_cut_from_the_middle(lhcb: Detector) -> None:
    detector = detector_from_toml(lhcb.toml.replace("[30, 30]", "[9, 14]"))
    generator = ImageGenerator(detector, (11,), SMALL, conditional=False)
    conditions, _ = two_conditions(detector)
    images = generator.images(conditions, torch.zeros(4, generator.noise_width))
    assert images.shape == (4, 9 * 14)
    whole = generator.box_cox.clamp(generator.network(torch.zeros(4, generator.noise_width))[:, 0])
    torch.testing.assert_close(images.view(4, 9, 14), whole[:, 3:12, 1:15])


@pytest.mark.parametrize("family", ["gan", "conditional-wgan"])
def test_the_export_gives_the_showers_of_torch_in_any_batch(
    tmp_path: Path, lhcb: Detector, showers: Showers, family: str, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = small_generator(lhcb, showers, conditional=IMAGE_FAMILIES[family].keywords["conditional"])
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
