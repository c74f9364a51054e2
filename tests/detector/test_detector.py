"""The shipped detector is the published one, and a wrong file is refused by naming the key at fault."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from caloforge.detector import Detector, detector_from_toml, detector_names, detectors, load_detector
from caloforge.detector.draw import draw_picture, draw_text
from caloforge.errors import RequestError


def test_geometry_is_the_published_one(lhcb: Detector) -> None:
    assert lhcb.n_layers == 66
    assert lhcb.depth == 66 * 6
    assert [(slab.material, slab.thickness, slab.active) for slab in lhcb.layers[0].slabs] == [
        ("G4_Pb", 2.0, False),
        ("G4_POLYSTYRENE", 4.0, True),
    ]
    assert lhcb.layers[65].front == 390
    assert lhcb.cells.shape == (30, 30)
    assert lhcb.cells.extent == (600.0, 600.0)
    assert lhcb.n_cells == 900
    assert lhcb.particles == (11, -11, 22, 211, -211, 2212, 2112)


def test_cell_index_is_30_ix_plus_iy(lhcb: Detector) -> None:
    for ix, iy in ((0, 0), (0, 1), (1, 0), (14, 15), (29, 29)):
        assert lhcb.cell_centres[30 * ix + iy].tolist() == [(ix - 14.5) * 20, (iy - 14.5) * 20]
    with pytest.raises(ValueError, match="read-only"):
        lhcb.cell_centres[0, 0] = 1.0


def test_conditions_are_in_internal_units(lhcb: Detector) -> None:
    assert lhcb.condition_names == ("energy", "x", "y", "angle_xz", "angle_yz")
    assert [spec.unit for spec in lhcb.conditions] == ["MeV", "mm", "mm", "rad", "rad"]
    np.testing.assert_allclose(lhcb.high, [1e5, 5, 5, math.radians(20), math.radians(10)])
    np.testing.assert_allclose(lhcb.low, [1e3, -5, -5, -math.radians(20), -math.radians(10)])
    assert [spec.density for spec in lhcb.conditions] == ["1/E"] + ["uniform"] * 4
    assert lhcb.column("y") == 2
    with pytest.raises(RequestError, match="unknown condition of lhcb-ecal 'angle_x'; did you mean 'angle_xz'"):
        lhcb.column("angle_x")


def test_a_detector_is_frozen_and_equal_to_its_own_text(lhcb: Detector) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        lhcb.name = "other"  # type: ignore[misc]
    again = detector_from_toml(lhcb.toml)
    assert again == lhcb
    assert again.digest == lhcb.digest
    assert detector_from_toml(lhcb.toml + "\n").digest != lhcb.digest


def test_a_users_own_file(tmp_path: Path, lhcb: Detector) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(lhcb.toml.replace('name = "lhcb-ecal"', 'name = "mine"').replace("repeat = 66", "repeat = 30"))
    mine = load_detector(path)
    assert (mine.name, mine.n_layers, mine.depth) == ("mine", 30, 180)
    assert load_detector(str(path)) == mine
    assert load_detector(mine) is mine


def test_unknown_detector_lists_the_valid_ones() -> None:
    with pytest.raises(RequestError) as caught:
        load_detector("lhcb-ecla")
    for name in detector_names():
        assert name in str(caught.value)
    assert "did you mean 'lhcb-ecal'" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "lhcb-ecal"', 'nmae = "lhcb-ecal"', "unknown key; did you mean 'name'|name: Field required"),
        ("repeat = 66", "repaet = 66", "layers.0.repaet: unknown key; did you mean 'repeat'"),
        ("repeat = 66", "repeat = 0", "layers.0.repeat: .*greater than or equal to 1"),
        ("thickness = 2.0", "thickness = -2.0", "line 18: layers.0.slabs.0.thickness: .*greater than 0"),
        ("thickness = 4.0", "thickness = 0", "line 19: layers.0.slabs.1.thickness: .*greater than 0"),
        ('"G4_Pb"', '"G4_PB"', "line 18: .*unknown material 'G4_PB'; did you mean 'G4_Pb'.*NIST table"),
        ("size = [20.0, 20.0]", "radii = [0.0, 9.0]", "line 22: cells: .*rectangular, with shape and size, or round"),
        ("reference_depth =", "# reference_depth =", "particles come at an angle .* for instance reference_depth = {"),
        ("thickness = 2.0", "thickness = nan", "thickness"),
        ("low = 1000.0", "low = 200000.0", "conditions.0: low .* must be below high"),
        ("low = 1000.0", "low = -1.0", "density 1/E needs low > 0"),
        ('unit = "deg"', 'unit = "degrees"', "unknown unit 'degrees'"),
        ("active = true", "active = false", "line 17: layers.0.slabs: a layer needs an active slab.*active = true$"),
        ('density = "1/E"', 'density = "gauss"', "density"),
        ('name = "y"', 'name = "x"', "must differ"),
        ("value = 124.0", "value = 1240.0", "depth of 396 mm"),
        ("squares = [1, 3", "squares = [1, 2", "line 63: observables.squares: .*odd numbers of cells; got 2"),
        ("low = -5.0", "low = -4.0", "mirror_x changes the sign of x, .*symmetric about 0; got -4.0 to 5.0"),
        ("low = -10.0", "low = 0.0", "mirror_y changes the sign of angle_yz"),
        ('unit = "MeV"', 'unit = "mm"', "energy needs a unit such as MeV; got 'mm'"),
        ('unit = "deg"', 'unit = "1"', "angle_xz needs a unit such as rad; got '1'"),
        ("low = -20.0\nhigh = 20.0", "low = -90.0\nhigh = 90.0", "angle_xz must stay below 90 degrees"),
        (
            'low = 1000.0\nhigh = 100000.0\ndensity = "1/E"',
            'low = 0.0\nhigh = 9.0\ndensity = "uniform"',
            "low > 0; got 0",
        ),
        ("[cells]", "[cells", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, lhcb: Detector, old: str, new: str, message: str) -> None:
    assert old in lhcb.toml
    path = tmp_path / "wrong.toml"
    path.write_text(lhcb.toml.replace(old, new))
    with pytest.raises(RequestError, match=message) as caught:
        load_detector(path)
    assert str(path) in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot read the detector file .*No such file"):
        load_detector(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequestError, match="not a text file"):
        load_detector(tmp_path / "binary.toml")


def test_drawings(tmp_path: Path, lhcb: Detector) -> None:
    rows = [line for line in draw_text(lhcb).splitlines() if "·" in line]
    assert len(rows) == 30
    assert {len(row.split()) for row in rows} == {30}
    assert "".join(rows).count("■") == 4  # +-5 mm round the corner where four cells meet
    draw_picture(lhcb, tmp_path / "ecal", "png")
    assert (tmp_path / "ecal").read_bytes().startswith(b"\x89PNG")


def test_detectors_are_all_shipped_ones_or_the_one_asked_for(lhcb: Detector) -> None:
    assert [detector.name for detector in detectors()] == list(detector_names())
    assert detectors("lhcb-ecal") == (lhcb,)
    with pytest.raises(RequestError, match="unknown detector 'lhcb'"):
        detectors("lhcb")
