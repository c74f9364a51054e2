"""Clusters: exact answers, symmetries, and cells beside the grid of the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.detector import Detector, detector_from_toml, load_detector, mirror_cells
from caloforge.detector.cells import RectangularCells
from caloforge.errors import RequestError
from caloforge.observables import compute
from caloforge.random import uniforms
from caloforge.reconstruction import Clusters, find_clusters, has_clusters, seed_grid
from caloforge.showers import Showers

DETECTOR = load_detector("lhcb-ecal")
KERNEL = np.outer([1.0, 3.0, 12.0, 3.0, 1.0], [1.0, 3.0, 12.0, 3.0, 1.0])


def at(column: int, row: int, image: NDArray[np.float64] = KERNEL) -> NDArray[np.float64]:
    """(1, 900) with an image in the middle of the cell of this column and row."""
    energies = np.zeros((30, 30))
    half = len(image) // 2
    energies[column - half : column + half + 1, row - half : row + half + 1] = image
    return energies.reshape(1, 900)


def centre(column: int, row: int) -> tuple[float, float]:
    return (column - 14.5) * 20, (row - 14.5) * 20


def test_all_energy_in_one_cell() -> None:
    found = find_clusters(at(3, 20, np.array([[70.0]])), DETECTOR)
    assert found.seed == found.square3 == found.energy == 70.0
    np.testing.assert_allclose(found.position, [centre(3, 20)])
    np.testing.assert_array_equal(found.width, 0.0)
    np.testing.assert_array_equal(found.layers, 1.0)


@pytest.mark.parametrize("cell", [(2, 2), (15, 7), (27, 27)])
def test_a_symmetric_shower_lies_exactly_in_the_middle_of_its_cell_wherever_that_is(cell: tuple[int, int]) -> None:
    found = find_clusters(at(*cell), DETECTOR)
    np.testing.assert_allclose(found.position, [centre(*cell)], atol=1e-12)
    assert found.seed[0] == 144.0
    assert found.square3[0] == 18.0**2
    assert found.energy[0] == 20.0**2
    variance = (2 * 1 * 4 + 2 * 3 * 1) / 20 * 400  # mm^2, by hand
    np.testing.assert_allclose(found.width, np.sqrt(variance))


def test_the_position_follows_the_formula_worked_out_by_hand() -> None:
    # Shares 0.8, 0.19 and 0.01 at 0, 20 and -20 mm from the hottest cell; ln 0.01 = -4.6 is below -w0.
    energies = np.zeros((1, 900))
    energies[0, [30 * 15 + 15, 30 * 16 + 15, 30 * 14 + 15]] = [80.0, 19.0, 1.0]
    weights = 4 + np.log([0.8, 0.19])
    expected = 10.0 + 20.0 * weights[1] / weights.sum()
    np.testing.assert_allclose(find_clusters(energies, DETECTOR).position, [[expected, 10.0]])


def test_squares_are_those_of_the_observables(showers: Showers) -> None:
    energies = showers.energies.astype(np.float64)
    table = compute(energies, showers.conditions.matrix, DETECTOR)
    found, incident = find_clusters(showers.energies, DETECTOR), showers.conditions.column("energy")
    for side, values in ((1, found.seed), (3, found.square3), (5, found.energy)):
        np.testing.assert_allclose(values / incident, table[f"fraction_{side}x{side}"], rtol=1e-12)


def test_beyond_the_edge_there_is_nothing() -> None:
    energies = np.ones((1, 900))
    energies[0, 0] = 2.0  # the corner is hottest: 9 of the 5 x 5 cells are inside
    found = find_clusters(energies, DETECTOR)
    assert (found.square3[0], found.energy[0]) == (5.0, 10.0)


def test_an_empty_shower_has_no_energy_and_no_nan() -> None:
    found = find_clusters(np.zeros((2, 900)), DETECTOR)
    assert not found.energy.any()
    for values in (found.position, found.width, found.layers):
        assert np.isfinite(values).all()


@given(factor=st.floats(1e-3, 1e3))
def test_a_factor_of_all_energies_moves_nothing(factor: float) -> None:
    energies = uniforms(3, "test", 0, 5, 900) ** 20
    before, after = find_clusters(energies, DETECTOR), find_clusters(factor * energies, DETECTOR)
    np.testing.assert_allclose(after.energy, factor * before.energy)
    np.testing.assert_allclose(after.position, before.position)
    np.testing.assert_allclose(after.width, before.width)


@pytest.mark.parametrize("name", ["lhcb-ecal", "atlas-barrel", "calogan"])
def test_mirror_images_have_mirrored_clusters(name: str) -> None:
    detector = load_detector(name)
    energies = (uniforms(3, "test", 0, 20, detector.n_cells) ** 20).astype(np.float32)
    before = find_clusters(energies, detector)
    flip = np.ones(20, dtype=bool)
    after = find_clusters(mirror_cells(energies, detector, flip, ~flip), detector)
    np.testing.assert_allclose(after.position, before.position * [-1, 1], atol=1e-9)
    for field in ("energy", "square3", "seed", "width", "layers"):
        np.testing.assert_allclose(getattr(after, field), getattr(before, field), atol=1e-9)


@pytest.mark.parametrize(("name", "layer"), [("atlas-barrel", 2), ("calogan", 1)])
def test_the_seed_lies_in_the_grid_that_is_deepest(name: str, layer: int) -> None:
    detector = load_detector(name)
    assert seed_grid(detector) == detector.cell_layers[layer].cells
    energies = np.full((1, detector.n_cells), 1e-9)
    energies[0, detector.cell_layers[0].offset] = 100.0  # hotter, but in front of it
    cell = detector.cell_layers[layer].offset + len(detector.cell_layers[layer].cells) // 2
    energies[0, cell] = 50.0
    found = find_clusters(energies, detector)
    assert found.seed[0] == 50.0
    np.testing.assert_allclose(found.position, detector.cell_centres[[cell]], atol=1e-6)


@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("name", ["atlas-barrel", "calogan"])
def test_of_other_grids_the_cells_count_that_the_window_reaches_into(name: str, side: int) -> None:
    detector = load_detector(name)
    grid = seed_grid(detector)
    seed = next(layer.offset for layer in detector.cell_layers if layer.cells == grid) + len(grid) // 2 + 1
    energies = uniforms(1, "test", 0, 1, detector.n_cells)
    energies[0, seed] = 2.0
    expected = 0.0
    for layer in detector.cell_layers:
        assert isinstance(layer.cells, RectangularCells)
        reach = (np.array(layer.cells.size) + side * np.array(grid.size)) / 2 - 1e-3
        distance = np.abs(detector.cell_centres[layer.index] - detector.cell_centres[seed])
        expected += energies[0, layer.index][(distance < reach).all(axis=1)].sum()
    found = find_clusters(energies, detector)
    assert (found.square3 if side == 3 else found.energy)[0] == pytest.approx(expected)
    assert found.layers.sum() == pytest.approx(1.0)


def test_layers_with_one_grid_are_added_up_to_towers() -> None:
    single = load_detector("calogan")
    text = single.toml[: single.toml.index("[[cells]]")] + single.toml[single.toml.index("[[conditions]]") :]
    cells = "\n".join(f"[[cells]]\nlayers = {layers}\nshape = [12, 12]\nsize = [40.0, 40.0]\n" for layers in (40, 41))
    detector = detector_from_toml(text.replace("[[conditions]]", f"{cells}\n[[conditions]]", 1))
    energies = np.zeros((1, 288))
    energies[0, [5, 12 + 5, 144 + 12 + 5]] = [3.0, 2.0, 2.0]  # the hottest cell, and a hotter tower
    found = find_clusters(energies, detector)
    assert (found.seed[0], found.energy[0]) == (4.0, 7.0)
    np.testing.assert_allclose(found.layers, [[5 / 7, 2 / 7]])


def test_detectors_without_clusters_say_why() -> None:
    detector = load_detector("calochallenge-2")
    assert not has_clusters(detector)
    with pytest.raises(RequestError, match="rings"):
        find_clusters(np.zeros((1, detector.n_cells)), detector)
    small = load_detector("calogan").toml.replace(
        "shape = [12, 12]\nsize = [40.0, 40.0]", "shape = [2, 2]\nsize = [240.0, 240.0]"
    )
    with pytest.raises(RequestError, match="2 x 2 cells"):
        seed_grid(detector_from_toml(small))


def test_another_number_of_cells_is_refused(lhcb: Detector) -> None:
    with pytest.raises(RequestError, match="expected \\(N, 900\\)"):
        find_clusters(np.zeros((1, 899)), lhcb)


def test_parts_join_in_their_order(showers: Showers) -> None:
    whole = find_clusters(showers.energies, DETECTOR)
    parts = Clusters.joined([find_clusters(showers.energies[:7], DETECTOR), whole[7:]])
    assert len(parts) == len(showers)
    np.testing.assert_array_equal(parts.position, whole.position)
    np.testing.assert_array_equal(parts[np.array([8, 3])].energy, whole.energy[[8, 3]])
