"""The published baseline for several layers: locally connected streams, with attention from one to the next."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from caloforge.detector import Detector, RectangularCells, draw_conditions, load_detector, mirror_cells  # noqa: E402
from caloforge.errors import RequestError  # noqa: E402
from caloforge.models.networks.sampler import export_onnx  # noqa: E402
from caloforge.models.networks.settings import StreamSettings  # noqa: E402
from caloforge.models.networks.streams import (  # noqa: E402
    LocallyConnected,
    StreamDiscriminator,
    StreamGenerator,
    overlap,
)
from caloforge.random import normals  # noqa: E402

SMALL = StreamSettings(latent=12, maps=2, channels=3, local=2, critic_channels=4, hidden=8)


def made(detector: Detector) -> StreamGenerator:
    torch.manual_seed(1)
    generator = StreamGenerator(detector, detector.particles[:1], SMALL)
    generator.share.copy_(torch.rand(detector.n_cells) / detector.n_cells)
    return generator.eval()


def noise_of(generator: StreamGenerator, n: int) -> NDArray[np.float32]:
    return normals(3, "noise", 0, n, generator.noise_width)


def test_the_overlap_of_grids_is_their_shared_area() -> None:
    fine, coarse = RectangularCells((4, 2), (10.0, 20.0)), RectangularCells((2, 2), (20.0, 20.0))
    expected = np.zeros((4, 8))
    for cell, inside in enumerate([(0, 2), (1, 3), (4, 6), (5, 7)]):
        expected[cell, list(inside)] = 0.5
    np.testing.assert_allclose(overlap(fine, coarse), expected, atol=1e-12)
    np.testing.assert_allclose(overlap(coarse, fine), 2 * expected.T, atol=1e-12)
    # Cells that stick out of the other grid, or lie across its edges.
    wide = overlap(RectangularCells((1, 1), (30.0, 30.0)), RectangularCells((3, 1), (20.0, 30.0)))
    np.testing.assert_allclose(wide[:, 0], [0.25, 1.0, 0.25], atol=1e-12)


def test_a_locally_connected_layer_with_the_same_weights_everywhere_is_a_convolution() -> None:
    torch.manual_seed(2)
    local, image = LocallyConnected((3, 5), 2, 4), torch.randn(6, 2, 3, 5)
    kernel = torch.randn(4, 2, 3, 3)
    with torch.no_grad():
        local.weight.copy_(kernel.permute(2, 3, 1, 0).reshape(1, 18, 4).expand(15, 18, 4))
        local.bias.copy_(torch.arange(4.0).expand(15, 1, 4))
        expected = torch.nn.functional.conv2d(image, kernel, torch.arange(4.0), padding=1)
        torch.testing.assert_close(local(image), expected, rtol=1e-5, atol=1e-5)


def test_energies_follow_the_incident_energy_and_are_not_negative() -> None:
    detector = load_detector("calogan")
    generator = made(detector)
    conditions = torch.from_numpy(draw_conditions(detector, 3, 0, 40, -11).inputs)
    with torch.no_grad():
        energies = generator(conditions, torch.from_numpy(noise_of(generator, 40)))
        again = generator.energies(generator.relative(energies, conditions), conditions)
    assert bool((energies >= 0).all())
    assert bool((energies == 0).any())
    torch.testing.assert_close(again, energies)


def test_mirrored_conditions_give_mirrored_showers() -> None:
    detector = load_detector("atlas-barrel")
    generator = made(detector)
    conditions = draw_conditions(detector, 3, 0, 50, 22)
    noise, everywhere = torch.from_numpy(noise_of(generator, 50)), np.ones(50, dtype=bool)
    with torch.no_grad():
        straight = generator(torch.from_numpy(conditions.inputs), noise).numpy()
        mirrored = generator(torch.from_numpy(conditions.mirrored(everywhere, everywhere).inputs), noise).numpy()
    np.testing.assert_allclose(mirrored, mirror_cells(straight, detector, everywhere, everywhere), rtol=1e-5)


def test_cells_in_rings_are_refused() -> None:
    with pytest.raises(RequestError, match="calochallenge-2 has 9 rings .* take another family"):
        made(load_detector("calochallenge-2"))


def test_training_showers_have_unit_size_and_the_discriminator_numbers_of_unit_size() -> None:
    detector = load_detector("atlas-barrel")
    generator, discriminator = made(detector), StreamDiscriminator(detector, 3, SMALL)
    conditions = torch.from_numpy(draw_conditions(detector, 3, 0, 500, 22).inputs)
    energies = 0.1 * conditions[:, :1] * torch.rand(500, detector.n_cells).square() / detector.n_cells
    energies[:, 3] = 0  # a cell that no shower reaches
    generator.standardise_with(energies, conditions)
    relative = generator.relative(energies, conditions)
    sizes = relative.square().mean(0).sqrt()
    torch.testing.assert_close(sizes, (torch.arange(detector.n_cells) != 3).float(), rtol=1e-4, atol=1e-4)
    assert float(generator.response) == pytest.approx(float((energies.sum(1) / conditions[:, 0]).mean()), rel=1e-5)
    discriminator.standardise_with(relative, generator.share)
    numbers = (discriminator._numbers(relative, generator.share) - discriminator.mean) / discriminator.deviation
    torch.testing.assert_close(numbers.std(0), torch.ones(9), rtol=1e-3, atol=1e-3)
    assert discriminator(relative, torch.zeros(500, 3), generator.share).shape == (500,)


@pytest.mark.filterwarnings("ignore")  # of the exporter, about its own internals
def test_it_is_exported_as_it_samples() -> None:
    import onnxruntime

    detector = load_detector("calogan")
    generator = made(detector)
    session = onnxruntime.InferenceSession(export_onnx(generator, detector), providers=["CPUExecutionProvider"])
    conditions, noise = draw_conditions(detector, 3, 0, 100, -11).inputs, noise_of(generator, 100)
    whole = session.run(["showers"], {"conditions": conditions, "noise": noise})[0]
    for start, size in ((0, 1), (3, 5), (40, 33)):
        rows = slice(start, start + size)
        part = session.run(["showers"], {"conditions": conditions[rows], "noise": noise[rows]})[0]
        np.testing.assert_array_equal(part, whole[rows])
