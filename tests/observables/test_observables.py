"""Observables: exact values, symmetries, and the same from numpy and torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.detector import Detector, detector_from_toml, draw_conditions, load_detector, mirror_cells
from caloforge.errors import RequestError
from caloforge.observables import compute, observables_for, shower_axis, soft_sparsities
from caloforge.random import uniforms
from caloforge.showers import Showers

DETECTOR = load_detector("lhcb-ecal")
STRAIGHT = np.array([[1000.0, 0.0, 0.0, 0.0, 0.0]])


def image(*cells: tuple[int, int, float]) -> NDArray[np.float64]:
    energies = np.zeros((1, 30, 30))
    for ix, iy, energy in cells:
        energies[0, ix, iy] = energy
    return energies.reshape(1, 900)


def one(energies: NDArray[np.float64], conditions: NDArray[np.float64] = STRAIGHT) -> dict[str, float]:
    return {name: float(values[0]) for name, values in compute(energies, conditions, DETECTOR).items()}


def test_two_cells_have_the_values_worked_out_by_hand() -> None:
    # Cells at x = +10 and +50 mm, both at y = 10 mm, energies 30 and 10: mean x 20, variance 300.
    found = one(image((15, 15, 30.0), (17, 15, 10.0)))
    assert found["response"] == pytest.approx(0.04)
    assert found["fraction_1x1"] == pytest.approx(0.03)
    assert found["fraction_3x3"] == pytest.approx(0.03)
    assert found["fraction_5x5"] == pytest.approx(0.04)
    assert found["hottest_ratio"] == pytest.approx(0.5)
    assert found["barycentre_along"] == pytest.approx(20.0)
    assert found["barycentre_across"] == pytest.approx(10.0)
    assert found["width_along"] == pytest.approx(300**0.5)
    assert found["width_across"] == 0.0
    assert found["asymmetry_along"] == pytest.approx(1.0)
    assert found["sparsity_5"] == pytest.approx(2 / 900)
    assert found["sparsity_10"] == pytest.approx(1 / 900)  # above, not at, the threshold
    # From the axis at (0, 0): sqrt(10^2 + 10^2) and sqrt(50^2 + 10^2) mm.
    near, far = 200**0.5, 2600**0.5
    assert found["radius"] == pytest.approx(0.75 * near + 0.25 * far)
    assert found["radial_width"] == pytest.approx((far - near) * (0.75 * 0.25) ** 0.5)
    assert [found[f"within_{r}mm"] for r in (20, 40, 80)] == pytest.approx([0.75, 0.75, 1.0])
    # Two of the four ordered pairs are 40 mm apart: further than neighbours, sqrt(2) 20 mm, are.
    assert found["pair_distance"] == pytest.approx(2 * 0.75 * 0.25 * 40)
    assert found["pairs_within_30mm"] == 0
    assert one(image((3, 3, 1.0), (4, 4, 3.0)))["pairs_within_30mm"] == pytest.approx(2 * 0.25 * 0.75)


def test_asymmetry_is_about_the_point_where_the_axis_crosses_the_reference_depth() -> None:
    slope = 10.0 / DETECTOR.reference_depth
    conditions = np.array([[1000.0, 0.0, 0.0, np.arctan(slope), 0.0]])  # crosses at x = 10 mm
    found = one(image((14, 15, 1.0), (15, 15, 5.0), (16, 15, 3.0)), conditions)
    assert found["asymmetry_along"] == pytest.approx((3 - 1) / 9)
    assert found["barycentre_along"] == pytest.approx((-20 + 3 * 20) / 9)


def test_along_turns_with_the_direction_of_the_particle() -> None:
    cells = image((10, 15, 1.0), (20, 15, 1.0))
    in_x = one(cells, np.array([[1000.0, 0.0, 0.0, 0.1, 0.0]]))
    in_y = one(cells, np.array([[1000.0, 0.0, 0.0, 0.0, 0.1]]))
    assert in_x["width_along"] == pytest.approx(100.0)
    assert in_x["width_across"] == pytest.approx(0.0, abs=1e-6)
    assert in_y["width_across"] == pytest.approx(100.0)
    for found in (in_x, in_y):  # the cells lie at x = -90 and 110 mm, y = 10 mm
        assert found["barycentre_x"] == pytest.approx(10.0 - DETECTOR.reference_depth * (found is in_x) * np.tan(0.1))
        assert found["barycentre_y"] == pytest.approx(10.0 - DETECTOR.reference_depth * (found is in_y) * np.tan(0.1))


def test_squares_at_the_edge_count_the_cells_that_exist() -> None:
    energies = np.ones((1, 900))
    energies[0, 0] = 2.0  # the corner is hottest: the 5x5 square has 9 cells inside
    assert one(energies)["fraction_5x5"] == pytest.approx((2.0 + 8.0) / 1000)


def test_squares_agree_with_a_plain_sum(showers: Showers) -> None:
    found = compute(showers.energies.astype(np.float64), showers.conditions.matrix, DETECTOR)
    for event in range(len(showers)):
        cells = showers.energies[event].reshape(30, 30)
        ix, iy = np.unravel_index(cells.argmax(), cells.shape)
        for side in DETECTOR.squares:
            half = side // 2
            window = cells[max(ix - half, 0) : ix + half + 1, max(iy - half, 0) : iy + half + 1]
            expected = window.sum() / showers.conditions.column("energy")[event]
            assert found[f"fraction_{side}x{side}"][event] == pytest.approx(expected, rel=1e-6)


def test_an_empty_shower_has_zeros_and_no_nan() -> None:
    assert set(one(np.zeros((1, 900))).values()) == {0.0}


@pytest.mark.parametrize(("flip_x", "flip_y"), [(True, False), (False, True), (True, True)])
def test_mirroring_turns_the_signs_that_it_must_and_no_others(showers: Showers, flip_x: bool, flip_y: bool) -> None:
    flags = [np.full(len(showers), flip) for flip in (flip_x, flip_y)]
    energies = showers.energies.astype(np.float64)
    before = compute(energies, showers.conditions.matrix, DETECTOR)
    mirrored = mirror_cells(energies, DETECTOR, *flags)
    after = compute(mirrored, showers.conditions.mirrored(*flags).matrix, DETECTOR)
    odd = {"asymmetry_across", "barycentre_across"} if flip_x != flip_y else set()
    odd |= {name for name, flip in (("barycentre_x", flip_x), ("barycentre_y", flip_y)) if flip}
    for name, values in before.items():
        np.testing.assert_allclose(after[name], -values if name in odd else values, atol=1e-9)


@given(factor=st.floats(0.01, 100.0))
def test_scaling_all_cells_scales_energies_and_leaves_shapes(factor: float) -> None:
    rng = np.random.default_rng(5)
    energies = rng.exponential(size=(3, 900)) * np.exp(-np.arange(900) % 30 / 5)
    conditions = np.array([[5000.0, 1.0, -2.0, 0.1, 0.05]] * 3)
    names = [n for n in observables_for(DETECTOR) if not n.startswith("sparsity")]
    before = compute(energies, conditions, DETECTOR, names)
    after = compute(energies * factor, conditions, DETECTOR, names)
    for name in names:
        scale = factor if name.startswith(("response", "fraction")) else 1.0
        np.testing.assert_allclose(after[name], scale * before[name], rtol=1e-9, atol=1e-9)


def test_torch_gives_the_same_values_and_finite_gradients(showers: Showers) -> None:
    torch = pytest.importorskip("torch")
    energies = np.concatenate([showers.energies, np.zeros((1, 900), np.float32), image((3, 3, 1.0)).astype(np.float32)])
    conditions = np.concatenate([showers.conditions.matrix, STRAIGHT, STRAIGHT])
    expected = compute(energies, conditions, DETECTOR)
    tensor = torch.tensor(energies, requires_grad=True)
    found = compute(tensor, torch.tensor(conditions), DETECTOR)
    for name, values in found.items():
        np.testing.assert_allclose(values.detach().numpy(), expected[name], rtol=1e-4, atol=1e-3, err_msg=name)
    for name, observable in observables_for(DETECTOR).items():
        if observable.differentiable:
            (gradient,) = torch.autograd.grad(found[name].sum(), tensor, retain_graph=True)
            assert torch.isfinite(gradient).all(), name
            assert (gradient[:-2] != 0).any(), name


def test_the_gradient_of_the_width_is_the_slope_of_the_width(showers: Showers) -> None:
    torch = pytest.importorskip("torch")
    energies = torch.tensor(showers.energies[:2], dtype=torch.float64, requires_grad=True)
    conditions = torch.tensor(showers.conditions.matrix[:2])

    def width(cells: Any) -> Any:
        return compute(cells, conditions, DETECTOR, ["width_along"])["width_along"].sum()

    (gradient,) = torch.autograd.grad(width(energies), energies)
    step = torch.zeros_like(energies)
    step[0, 450] = 1e-3
    slope = (width(energies + step) - width(energies - step)) / 2e-3
    assert float(gradient[0, 450]) == pytest.approx(float(slope.detach()), rel=1e-5)


def test_soft_sparsities_tend_to_sparsity(showers: Showers) -> None:
    thresholds = DETECTOR.sparsity_thresholds
    names = [f"sparsity_{threshold:g}" for threshold in thresholds]
    hard = compute(showers.energies, showers.conditions.matrix, DETECTOR, names)
    expected = np.stack([hard[name] for name in names], axis=1)
    np.testing.assert_allclose(soft_sparsities(showers.energies, thresholds, width=1e-4), expected, atol=1 / 900)
    wide = soft_sparsities(showers.energies, thresholds, width=1.0)
    assert np.abs(wide - expected).max() > 1 / 900


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, c: (e[:, :-1], c, None), "900"),
        (lambda e, c: (e, c[:, :-1], None), "expected \\(N, 5\\)"),
        (lambda e, c: (e, c[:-1], None), "as many"),
        (lambda e, c: (e.astype(int), c, None), "float32 or float64"),
        (lambda e, c: (e, c, ["widht_along"]), "width_along"),
    ],
)
def test_bad_input_is_refused_with_what_was_expected(
    showers: Showers, change: Callable[[Any, Any], tuple[Any, Any, Any]], message: str
) -> None:
    energies, conditions, names = change(showers.energies, showers.conditions.matrix)
    with pytest.raises(RequestError, match=message):
        compute(energies, conditions, DETECTOR, names)


def test_the_axis_is_a_unit_vector_and_normal_incidence_has_a_convention(lhcb: Detector) -> None:
    axis = shower_axis(np.array([[1e4, 1.0, 2.0, 0.3, -0.1], [1e4, 0.0, 0.0, 0.0, 0.0]]), lhcb)
    np.testing.assert_allclose((axis.along**2).sum(axis=1), 1.0)
    np.testing.assert_allclose((axis.along * axis.across).sum(axis=1), 0.0, atol=1e-15)
    np.testing.assert_array_equal(axis.along[1], [1.0, 0.0])
    assert axis.point[0, 0] == pytest.approx(1.0 + lhcb.reference_depth * np.tan(0.3))


def test_a_detector_without_angles_and_positions_has_its_axis_in_the_middle() -> None:
    detector = load_detector("calogan")
    axis = shower_axis(np.array([[5e4]]), detector)
    np.testing.assert_array_equal(axis.point, [[0.0, 0.0]])
    np.testing.assert_array_equal(axis.at(300.0), [[0.0, 0.0]])
    assert not any(name.endswith(("along", "across")) for name in observables_for(detector))


LAYERED = ["atlas-barrel", "calogan", "calochallenge-2"]


def layered(name: str, events: int = 20) -> tuple[Detector, NDArray[np.float64], NDArray[np.float64]]:
    """A detector with layers, and showers without any shape in it."""
    detector = load_detector(name)
    energies = uniforms(3, "test", 0, events, detector.n_cells) ** 8
    return detector, energies, draw_conditions(detector, 1, 0, events).matrix


@pytest.mark.parametrize("name", ["lhcb-ecal", *LAYERED])
def test_the_mean_square_distance_from_the_axis_is_that_in_both_directions(name: str) -> None:
    detector, energies, conditions = layered(name)
    found = compute(energies, conditions, detector)
    directions = [key.removeprefix("width_") for key in found if key.startswith("width_")]
    squares = sum(found[f"barycentre_{d}"] ** 2 + found[f"width_{d}"] ** 2 for d in directions)
    np.testing.assert_allclose(found["radius"] ** 2 + found["radial_width"] ** 2, squares)
    # sum_ij e_i e_j d_ij^2 / (sum e)^2 is twice the variance, and a mean is below the root of a mean square.
    spread = np.sqrt(2 * sum(found[f"width_{d}"] ** 2 for d in directions))
    assert (found["pair_distance"] < spread).all()
    assert (found["pair_distance"] > 0.7 * spread).all()
    rings = np.stack([values for key, values in found.items() if key.startswith("within")])
    assert (np.diff(rings, axis=0) >= 0).all()
    assert (rings <= 1).all()


def test_a_quarter_turn_leaves_distances(showers: Showers) -> None:
    names = ["radius", "radial_width", "within_20mm", "within_40mm", "pair_distance", "pairs_within_30mm"]
    energies = showers.energies.astype(np.float64)
    energy, x, y, xz, yz = showers.conditions.matrix.T
    turned = np.rot90(energies.reshape(-1, 30, 30), axes=(1, 2)).reshape(-1, 900)  # x -> -y, y -> x
    before = compute(energies, showers.conditions.matrix, DETECTOR, names)
    after = compute(turned, np.stack([energy, -y, x, -yz, xz], axis=1), DETECTOR, names)
    for name in names:
        np.testing.assert_allclose(after[name], before[name], err_msg=name)


def test_turning_round_cells_by_a_sector_leaves_distances() -> None:
    detector, energies, conditions = layered("calochallenge-2")
    names = [n for n in observables_for(detector) if "radi" in n or n.startswith(("within", "pair"))]
    assert len(names) == 2 * 46 + 3 + 2
    turned = np.roll(energies.reshape(-1, 45, 16, 9), 1, axis=2).reshape(-1, detector.n_cells)
    before, after = (compute(cells, conditions, detector, names) for cells in (energies, turned))
    for name in names:
        np.testing.assert_allclose(after[name], before[name], err_msg=name)


@pytest.mark.parametrize("name", ["lhcb-ecal", *LAYERED])
def test_pairs_agree_with_a_plain_sum(name: str) -> None:
    detector, energies, conditions = layered(name, 2)
    key = next(key for key in observables_for(detector) if key.startswith("pairs_within"))
    found = compute(energies, conditions, detector, ["pair_distance", key])
    if name == "calochallenge-2":  # layers with one grid count as one
        energies = energies.reshape(2, 45, -1).sum(axis=1)
    places = detector.cell_centres[: energies.shape[1]]
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    near = (apart <= 1.5 * detector.pitch) & ~np.eye(len(apart), dtype=bool)
    for event in range(2):
        product = np.outer(energies[event], energies[event]) / energies[event].sum() ** 2
        assert found["pair_distance"][event] == pytest.approx((product * apart).sum())
        assert found[key][event] == pytest.approx(product[near].sum())


def test_a_grid_too_large_for_all_pairs_has_none() -> None:
    large = detector_from_toml(DETECTOR.toml.replace("shape = [30, 30]", "shape = [60, 60]"))
    assert set(observables_for(DETECTOR)) - set(observables_for(large)) == {"pair_distance", "pairs_within_30mm"}


def test_calogans_ratios_and_sparsities_are_those_of_each_layer() -> None:
    detector, energies, conditions = layered("calogan")
    energies[:5, -72:] = 0.05  # nothing above the threshold in the last layer
    found = compute(energies, conditions, detector)
    for number, layer in enumerate(detector.cell_layers):
        cells = energies[:, layer.index]
        second, first = np.sort(cells, axis=1)[:, -2:].T
        np.testing.assert_allclose(found[f"layer_{number}_hottest_ratio"], (first - second) / (first + second))
        np.testing.assert_allclose(found[f"layer_{number}_sparsity"], (cells > 0.1).mean(axis=1))
        np.testing.assert_allclose(found[f"layer_{number}_share"], cells.sum(axis=1) / energies.sum(axis=1))
    np.testing.assert_array_equal(found["deepest_layer"], [1.0] * 5 + [2.0] * 15)
    middles = np.array([(layer.front + layer.back) / 2 for layer in detector.cell_layers])
    deposits = np.stack([energies[:, layer.index].sum(axis=1) for layer in detector.cell_layers], axis=1)
    np.testing.assert_allclose(found["depth_weighted_energy"], deposits @ middles / conditions[:, 0])


def test_calochallenges_features_are_those_of_its_formulas() -> None:
    # Centre and width in r: sum e r / sum e and sqrt(sum e r^2 / sum e - centre^2), r half-way between the radii.
    detector, energies, conditions = layered("calochallenge-2")
    found = compute(energies, conditions, detector)
    r = np.tile(4.65 * (np.arange(9) + 0.5), 16)
    for number in (0, 7, 44):
        cells = energies.reshape(-1, 45, 144)[:, number]
        centre = cells @ r / cells.sum(axis=1)
        np.testing.assert_allclose(found[f"layer_{number}_radius"], centre)
        expected = np.sqrt(cells @ r**2 / cells.sum(axis=1) - centre**2)
        np.testing.assert_allclose(found[f"layer_{number}_radial_width"], expected)
        np.testing.assert_allclose(found[f"layer_{number}_sparsity"], (cells > 0.0005).mean(axis=1))
    assert "layer_0_share" not in found  # of few layers only: forty-five shares more tell little that is new


@pytest.mark.parametrize("name", LAYERED)
def test_layers_in_torch_are_those_of_numpy_with_finite_gradients(name: str) -> None:
    torch = pytest.importorskip("torch")
    detector, energies, conditions = layered(name, 4)
    energies[3] = 0.0
    expected = compute(energies, conditions, detector)
    tensor = torch.tensor(energies, requires_grad=True)
    found = compute(tensor, torch.tensor(conditions), detector)
    assert all((values[3] == 0).all() for values in expected.values())
    single = compute(energies.astype(np.float32), conditions, detector)
    total = torch.zeros(())
    for key, observable in observables_for(detector).items():
        np.testing.assert_allclose(found[key].detach().numpy(), expected[key], rtol=1e-9, atol=1e-9, err_msg=key)
        assert single[key].dtype == np.float32
        np.testing.assert_allclose(single[key], expected[key], rtol=1e-4, atol=2e-3, err_msg=key)
        if observable.differentiable:
            total = total + found[key].sum()
    (gradient,) = torch.autograd.grad(total, tensor)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", LAYERED)
def test_layers_share_the_response_and_place_the_depth(name: str) -> None:
    detector, energies, conditions = layered(name)
    found = compute(energies, conditions, detector)
    layers = detector.cell_layers
    shares = np.stack([found[f"layer_{number}_fraction"] for number in range(len(layers))], axis=1)
    np.testing.assert_allclose(shares.sum(axis=1), found["response"])
    middles = np.array([(layer.front + layer.back) / 2 for layer in layers])
    np.testing.assert_allclose(found["mean_depth"], shares @ middles / found["response"])
    variance = shares @ middles**2 / found["response"] - found["mean_depth"] ** 2
    np.testing.assert_allclose(found["depth_spread"], np.sqrt(variance))


@pytest.mark.parametrize("name", ["atlas-barrel", "calochallenge-2"])
def test_an_observable_of_a_layer_sees_that_layer_alone(name: str) -> None:
    detector = load_detector(name)
    number = len(detector.cell_layers) - 2
    layer = detector.cell_layers[number]
    energies = np.zeros((1, detector.n_cells))
    cells = [layer.offset + 1, layer.offset + len(layer.cells) - 2]
    energies[0, cells] = 1.0
    conditions = draw_conditions(detector, 1, 0, 1)
    entry = [conditions.column(c)[0] if c in detector.condition_names else 0.0 for c in ("x", "y")]
    found = compute(energies, conditions.matrix, detector)
    first, second = detector.cell_centres[cells]
    for column, direction in enumerate("xy"):
        centre = (first[column] + second[column]) / 2 - entry[column]
        assert found[f"layer_{number}_barycentre_{direction}"][0] == pytest.approx(centre)
        spread = abs(first[column] - second[column]) / 2
        assert found[f"layer_{number}_width_{direction}"][0] == pytest.approx(spread, abs=1e-6)
        assert found[f"layer_{number + 1}_width_{direction}"][0] == 0
    assert found["mean_depth"][0] == pytest.approx((layer.front + layer.back) / 2)
    assert found["depth_spread"][0] == 0


def test_the_axis_of_a_layer_lies_where_the_particle_crosses_it(lhcb: Detector) -> None:
    axis = shower_axis(np.array([[1e4, 1.0, 2.0, 0.3, -0.1]]), lhcb)
    np.testing.assert_allclose(axis.at(0.0), [[1.0, 2.0]])
    np.testing.assert_allclose(axis.at(100.0), [[1 + 100 * np.tan(0.3), 2 + 100 * np.tan(-0.1)]])
