"""Observables: exact values, symmetries, and the same from numpy and torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.detector import Detector, draw_conditions, load_detector, mirror_cells
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
def test_mirroring_turns_the_sign_of_across_and_nothing_else(showers: Showers, flip_x: bool, flip_y: bool) -> None:
    flags = [np.full(len(showers), flip) for flip in (flip_x, flip_y)]
    energies = showers.energies.astype(np.float64)
    before = compute(energies, showers.conditions.matrix, DETECTOR)
    mirrored = mirror_cells(energies, DETECTOR, *flags)
    after = compute(mirrored, showers.conditions.mirrored(*flags).matrix, DETECTOR)
    odd = {"asymmetry_across", "barycentre_across"} if flip_x != flip_y else set()
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


@pytest.mark.parametrize("name", ["atlas-barrel", "calogan", "calochallenge-2"])
def test_layers_share_the_response_and_place_the_depth(name: str) -> None:
    detector = load_detector(name)
    energies = uniforms(3, "test", 0, 20, detector.n_cells) ** 8
    conditions = draw_conditions(detector, 1, 0, 20).matrix
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
