"""Truths about grids of cells, and about detectors that have several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.detector import (
    Cells,
    Detector,
    PolarCells,
    RectangularCells,
    detector_from_toml,
    detectors,
    load_detector,
    mirror_cells,
)
from caloforge.detector.draw import draw_energies, draw_picture, draw_text, front_views
from caloforge.errors import RequestError

lengths = st.floats(0.1, 100.0)
rectangles = st.builds(RectangularCells, st.tuples(st.integers(1, 9), st.integers(1, 9)), st.tuples(lengths, lengths))
circles = st.builds(
    lambda steps, half: PolarCells((0.0, *np.cumsum(steps).tolist()), 2 * half),
    st.lists(lengths, min_size=1, max_size=6),
    st.integers(1, 9),
)

# 20 lines: a tungsten alloy and silicon, two layers of cells.
TWO = """
name = "two"
particles = [22]
face = [120.0, 90.0]
materials = [{ name = "heavy", density = 17.9, fractions = { G4_W = 0.93, G4_Ni = 0.05, G4_Cu = 0.02 } }]
layers = [
  { repeat = 6, slabs = [
    { material = "heavy", thickness = 3.0 },
    { material = "G4_Si", thickness = 0.5, active = true },
  ] },
]
[[cells]]
layers = 2
shape = [4, 3]
size = [30.0, 30.0]
[[cells]]
layers = 2
repeat = 2
radii = [0.0, 10.0, 25.0, 45.0]
sectors = 8
[[conditions]]
name = "energy"
unit = "GeV"
low = 1.0
high = 10.0
density = "uniform"
"""


@given(st.one_of(rectangles, circles), st.booleans(), st.booleans())
def test_a_mirror_image_is_where_the_mirror_says(cells: Cells, flip_x: bool, flip_y: bool) -> None:
    image = cells.mirrored(flip_x, flip_y)
    sign = np.array([-1.0 if flip_x else 1.0, -1.0 if flip_y else 1.0])
    np.testing.assert_allclose(cells.centres()[image], cells.centres() * sign, atol=1e-9 * max(cells.extent))
    np.testing.assert_array_equal(image[image], np.arange(len(cells)))


@given(st.one_of(rectangles, circles))
def test_centres_lie_inside_and_balance(cells: Cells) -> None:
    centres = cells.centres()
    assert centres.shape == (len(cells), 2)
    assert (np.abs(centres) < np.array(cells.extent) / 2).all()
    np.testing.assert_allclose(centres.sum(axis=0), 0, atol=1e-7 * max(cells.extent))


def test_round_cells_have_the_order_of_calochallenge() -> None:
    cells = PolarCells((0.0, 2.0, 6.0), 4)
    radius, angle = np.hypot(*cells.centres().T), np.degrees(np.arctan2(cells.centres()[:, 1], cells.centres()[:, 0]))
    np.testing.assert_allclose(radius, [1, 4] * 4)  # the ring runs fastest
    np.testing.assert_allclose(angle % 360, np.repeat([225, 315, 45, 135], 2))  # from -pi on


def test_the_shipped_detectors_are_the_published_ones() -> None:
    found = {detector.name: detector for detector in detectors()}
    barrel, gan, challenge = found["atlas-barrel"], found["calogan"], found["calochallenge-2"]
    assert [len(layer.cells) for layer in barrel.cell_layers] == [6, 48, 21, 14]
    assert [len(layer.cells) for layer in gan.cell_layers] == [288, 144, 72]
    np.testing.assert_allclose([layer.back - layer.front for layer in gan.cell_layers], [90, 347, 43])
    assert gan.depth == 480
    assert {layer.cells.extent for layer in gan.cell_layers} == {(480.0, 480.0)}
    assert [len(layer.cells) for layer in challenge.cell_layers] == [144] * 45
    np.testing.assert_allclose([layer.back - layer.front for layer in challenge.cell_layers], 3.4)
    lead, tungsten, argon = 5.612, 3.504, 140.0  # radiation lengths, mm (PDG)
    for layer, expected in zip(barrel.cell_layers[1:], (4.3, 16.0, 2.0), strict=True):
        slabs = [slab for item in barrel.layers[layer.first : layer.stop] for slab in item.slabs]
        depth = sum(slab.thickness / (lead if slab.material == "G4_Pb" else argon) for slab in slabs)
        assert depth == pytest.approx(expected, abs=0.15)
    assert 45 * 2 * 1.4 / tungsten == pytest.approx(36, abs=0.1)


def test_several_grids_make_one_row_of_cells() -> None:
    two = detector_from_toml(TWO)
    assert (two.n_cells, two.n_layers, two.title) == (12 + 2 * 24, 6, "two")
    assert [(layer.first, layer.stop, layer.offset) for layer in two.cell_layers] == [(0, 2, 0), (2, 4, 12), (4, 6, 36)]
    assert [(layer.front, layer.back) for layer in two.cell_layers] == [(0, 7), (7, 14), (14, 21)]
    np.testing.assert_array_equal(two.cell_centres[36:], two.cell_centres[12:36])
    with pytest.raises(RequestError, match="one rectangular grid of cells; two has 3 cell layers"):
        _ = two.cells


@pytest.mark.parametrize("name", ["atlas-barrel", "calogan", "calochallenge-2"])
def test_mirrors_act_on_every_layer(name: str) -> None:
    detector = load_detector(name)
    # Energies that say where they are, so that the mirror image is known without the mirror.
    x, y = detector.cell_centres.T
    energies = np.stack([x + 500, y + 500])
    flips = np.array([True, False]), np.array([False, True])
    np.testing.assert_allclose(mirror_cells(energies, detector, *flips), np.stack([500 - x, 500 - y]), atol=1e-9)


def test_views_show_every_cell_once() -> None:
    for detector in (*detectors(), detector_from_toml(TWO)):
        values = np.arange(1.0, detector.n_cells + 1)
        views = front_views(detector)
        assert sum(view.sum(values).sum() for view in views) == pytest.approx(values.sum())
        assert all(view.sum(values).shape == (len(view.cells),) for view in views)


def test_every_detector_can_be_drawn(tmp_path: Path) -> None:
    for detector in (*detectors(), detector_from_toml(TWO)):
        assert "Side view" in draw_text(detector)
        draw_picture(detector, tmp_path / "detector.png", "png")
        draw_energies(detector, np.linspace(0, 1, detector.n_cells), tmp_path / "energies.svg", "svg", "a title")
        assert (tmp_path / "detector.png").read_bytes().startswith(b"\x89PNG")
        assert "a title" in (tmp_path / "energies.svg").read_text() or (tmp_path / "energies.svg").stat().st_size > 1e4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("layers = 2\nshape", "layers = 3\nshape", "line 17: cells.1.layers: .* reach through 7 layers.* has 6"),
        ("layers = 2\nshape", "shape", "line 12: cells.0: say how many layers"),
        ("size = [30.0, 30.0]", "size = [31.0, 30.0]", "line 15: cells.0.size: .* 124 x 90 mm.*face of 120 x 90 mm"),
        ("radii = [0.0, 10.0", "radii = [0.0, 30.0", "line 19: cells.1.radii: radii must begin with 0 and ascend"),
        ("45.0]", "46.0]", "line 19: cells.1.radii: .* 92 x 92 mm.* enlarge the face"),
        ("face = [120.0, 90.0]\n", "", "cells.1.radii: .*round cells do not tile the plates; give these face"),
        ("G4_Cu = 0.02", "G4_Cu = 0.03", "line 5: materials.0.fractions: the shares by mass add up to 1.01"),
        ("G4_Ni", "G4_Nix", "line 5: materials.0.fractions.G4_Nix: unknown material 'G4_Nix'; did you mean 'G4_Ni'"),
        ('name = "heavy"', 'name = "G4_W"', "line 5: materials.0.name: the name G4_W is taken"),
        ('material = "heavy"', 'material = "hevy"', "line 8: .*unknown material 'hevy'; did you mean 'heavy'"),
        ("sectors = 8", "sectors = 8\nrings = 3", "line 21: cells.1.rings: unknown key"),
        ("[[conditions]]", "[observables]\nsquares = [3]\n[[conditions]]", "line 22: .*one rectangular grid"),
        ("particles = [22]", 'particles = [22]\nsymmetries = ["mirror_x"]', None),
        ("repeat = 6", "repeat = 6.5", "line 7: layers.0.repeat"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(old: str, new: str, message: str | None) -> None:
    assert old in TWO
    if message is None:
        assert detector_from_toml(TWO.replace(old, new)).symmetries
        odd = TWO.replace(old, new).replace("sectors = 8", "sectors = 9")
        with pytest.raises(RequestError, match="odd number of sectors is not symmetric under mirror_x"):
            detector_from_toml(odd)
        return
    with pytest.raises(RequestError, match=message):
        detector_from_toml(TWO.replace(old, new))


def test_grids_without_a_face_tile_the_same_rectangle(lhcb: Detector) -> None:
    text = lhcb.toml.replace(
        "[cells]", "[[cells]]\nlayers = 30\nshape = [20, 20]\nsize = [31.0, 30.0]\n\n[[cells]]\nlayers = 36"
    )
    text = text.replace("squares = [1, 3, 5, 7, 9]", "squares = []")
    with pytest.raises(RequestError, match="cells.1.size: .*they do not tile the same plate; change size or shape"):
        detector_from_toml(text)
    assert len(detector_from_toml(text.replace("31.0", "30.0")).cell_layers) == 2
