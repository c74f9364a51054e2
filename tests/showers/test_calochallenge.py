"""CaloChallenge's files: the published layout out and in, and what is wrong in a file is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.detector import Conditions, Detector, PolarCells, detector_from_toml, draw_conditions, load_detector
from caloforge.errors import FormatError, RequestError
from caloforge.showers import ShowerFile, Showers, ShowerWriter, load, save
from caloforge.showers.binning import binning_text, check_binning, read_binning
from caloforge.showers.convert import convert

# Layers of different binning: the photons of dataset 1, simplified; the second has no sectors.
SMALL = """
name = "small"
particles = [22]
layers = [{ repeat = 4, slabs = [{ material = "G4_Si", thickness = 1.0, active = true }] }]
face = [200.0, 200.0]
[[cells]]
layers = 1
radii = [0.0, 5.0, 10.5, 30.0]
sectors = 8
[[cells]]
layers = 1
radii = [0.0, 50.0]
sectors = 1
[[cells]]
layers = 2
radii = [0.0, 2.0, 4.0]
sectors = 6
[[conditions]]
name = "energy"
unit = "GeV"
low = 1.0
high = 10.0
density = "1/E"
"""
SMALL_XML = """<Bins>
   <Bin pid="22" etaMin="0" etaMax="130" name="photon">
      <Layer id="0" r_edges="0,5,10.5,30" n_bin_alpha="8" />
      <Layer id="1" r_edges="0" n_bin_alpha="1" />
      <Layer id="2"  r_edges="0,50." n_bin_alpha="1"/>
      <!-- nothing -->
      <Layer id="12" r_edges="0, 2, 4" n_bin_alpha="6" />
   </Bin>
</Bins>
"""


def round_showers(detector: Detector, n: int, seed: int = 1) -> Showers:
    """Showers of a tenth of the energy, most of it at 0.3 of the depth; cells hold 0.9 of what their layer does."""
    generator = np.random.default_rng(seed)
    conditions = draw_conditions(detector, seed, 0, n)
    radius = np.hypot(*detector.cell_centres.T)
    depth = np.repeat(np.linspace(0, 1, len(detector.cell_layers)), [len(item.cells) for item in detector.cell_layers])
    energies = generator.exponential(np.exp(-radius / 8 - (depth - 0.3) ** 2 / 0.05), (n, detector.n_cells))
    energies *= 0.1 * conditions.column("energy")[:, None] / energies.sum(axis=1, keepdims=True)
    cells = energies.astype(np.float32)
    layers = np.zeros((n, detector.n_layers))
    for item in detector.cell_layers:
        share = cells[:, item.index].sum(axis=1, keepdims=True) / 0.9 / (item.stop - item.first)
        layers[:, item.first : item.stop] = share
    return Showers(detector, conditions, cells, layers.astype(np.float32), (2 * layers).astype(np.float32))


@pytest.fixture(scope="module")
def small() -> Detector:
    return detector_from_toml(SMALL)


@pytest.fixture(scope="module")
def challenge() -> Detector:
    return load_detector("calochallenge-2")


@pytest.fixture
def xml(tmp_path: Path) -> Path:
    path = tmp_path / "binning.xml"
    path.write_text(SMALL_XML)
    return path


def arrays_of(path: Path) -> dict[str, NDArray[Any]]:
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}


def write(path: Path, arrays: dict[str, NDArray[Any]]) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def test_what_is_written_has_the_published_layout(tmp_path: Path, challenge: Detector) -> None:
    showers = round_showers(challenge, 30)
    save(tmp_path / "in.h5", showers, source="geant4", provenance={})
    assert convert(tmp_path / "in.h5", tmp_path / "out.hdf5", "calochallenge") == 30
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.h5", "out.hdf5", "out.xml"]
    found = arrays_of(tmp_path / "out.hdf5")
    assert {name: values.shape for name, values in found.items()} == {
        "incident_energies": (30, 1),
        "showers": (30, 6480),
    }
    np.testing.assert_array_equal(found["showers"], showers.energies)
    np.testing.assert_allclose(found["incident_energies"][:, 0], showers.conditions.column("energy"), rtol=1e-6)
    # The centre of energy in the tenth layer by their definition: alpha from -pi, the ring runs fastest.
    layer = found["showers"].reshape(30, 45, 16, 9)[:, 9].astype(np.float64)
    edges = np.linspace(-np.pi, np.pi, 17)
    radius = np.arange(9) * 4.65 + 2.325
    eta = np.cos((edges[1:] + edges[:-1]) / 2)[:, None] * radius
    place = challenge.cell_layers[9].index
    expected = showers.energies[:, place] @ challenge.cell_centres[place, 0]
    np.testing.assert_allclose((layer * eta).sum(axis=(1, 2)), expected, rtol=1e-4, atol=1e-3)
    lines = (tmp_path / "out.xml").read_text().splitlines()
    assert lines[1].strip() == '<Bin pid="11" name="electron">'
    assert lines[2] == (
        '      <Layer id="0" r_edges="0,4.65,9.3,13.95,18.6,23.25,27.9,32.55,37.2,41.85" n_bin_alpha="16" />'
    )
    assert len(lines) == 45 + 4


def test_there_and_back(tmp_path: Path, challenge: Detector) -> None:
    showers = round_showers(challenge, 20)
    save(tmp_path / "in.h5", showers, source="model", provenance={})
    convert(tmp_path / "in.h5", tmp_path / "out.hdf5", "calochallenge")
    binning = tmp_path / "out.xml"
    convert(tmp_path / "out.hdf5", tmp_path / "back.h5", "caloforge", detector="calochallenge-2", binning=binning)
    with ShowerFile(tmp_path / "back.h5") as file:
        assert (file.detector, file.source) == (challenge, "import")
        assert file.provenance["binning"] == "out.xml"
        back = file.read()
    np.testing.assert_array_equal(back.energies, showers.energies)
    np.testing.assert_array_equal(back.conditions.pdg, showers.conditions.pdg)
    np.testing.assert_allclose(back.conditions.matrix, showers.conditions.matrix, rtol=1e-6)
    assert back.layer_energies is None
    convert(tmp_path / "out.hdf5", tmp_path / "again.hdf5", "calochallenge", detector=challenge)
    assert all((arrays_of(tmp_path / "again.hdf5")[k] == v).all() for k, v in arrays_of(tmp_path / "out.hdf5").items())


def test_layers_of_different_binning_and_without_voxels(tmp_path: Path, small: Detector, xml: Path) -> None:
    showers = round_showers(small, 500)
    arrays: dict[str, NDArray[Any]] = {
        "incident_energies": showers.conditions.matrix,
        "showers": showers.energies.astype(np.float64),
    }
    path = write(tmp_path / "in.hdf5", arrays)
    assert convert(path, tmp_path / "out.h5", "caloforge", detector=small, binning=xml) == 500
    back = load(tmp_path / "out.h5")
    np.testing.assert_array_equal(back.energies, showers.energies)
    assert set(back.conditions.pdg.tolist()) == {22}
    assert convert(path, tmp_path / "out.h5", "caloforge", detector=small, particle=-11, overwrite=True) == 500
    assert set(load(tmp_path / "out.h5").conditions.pdg.tolist()) == {-11}
    with pytest.raises(RequestError, match="binning.xml is of the particle 22, not of 11"):
        convert(path, tmp_path / "x.h5", "caloforge", detector=small, binning=xml, particle=11)


def test_blocks_are_read_one_at_a_time(tmp_path: Path, small: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    showers = round_showers(small, 50)
    assert showers.layer_energies is not None
    arrays: dict[str, NDArray[Any]] = {"incident_energies": showers.conditions.matrix, "showers": showers.energies}
    path = write(tmp_path / "in.hdf5", {**arrays, "layer_energies": showers.layer_energies})
    monkeypatch.setattr("caloforge.showers.arrays._BLOCK_NUMBERS", 7 * small.n_cells)
    seen: list[int] = []
    append = ShowerWriter.append

    def count(writer: ShowerWriter, block: Showers) -> None:
        seen.append(len(block))
        append(writer, block)

    monkeypatch.setattr(ShowerWriter, "append", count)
    assert convert(path, tmp_path / "out.h5", "caloforge", detector=small) == 50
    assert seen == [7] * 7 + [1]
    back = load(tmp_path / "out.h5")
    np.testing.assert_array_equal(back.energies, showers.energies)
    assert back.layer_energies is not None
    np.testing.assert_array_equal(back.layer_energies, showers.layer_energies)
    energies = showers.energies.copy()
    energies[45, 3] = -1
    write(path, {**arrays, "showers": energies})
    with pytest.raises(FormatError, match=r"in.hdf5, showers 42 to 48: showers\[3, 3\] is -1 MeV"):
        convert(path, tmp_path / "x.h5", "caloforge", detector=small)
    assert not (tmp_path / "x.h5").exists()


def test_an_empty_file_stays_one(tmp_path: Path, small: Detector) -> None:
    path = write(tmp_path / "in.hdf5", {"incident_energies": np.empty((0, 1)), "showers": np.empty((0, small.n_cells))})
    assert convert(path, tmp_path / "out.hdf5", "calochallenge", detector=small) == 0
    assert arrays_of(tmp_path / "out.hdf5")["showers"].shape == (0, small.n_cells)
    assert read_binning(tmp_path / "out.xml").particle == 22


rings = st.lists(st.floats(0.01, 500.0), min_size=1, max_size=5).map(lambda steps: (0.0, *np.cumsum(steps).tolist()))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.builds(PolarCells, rings, st.integers(1, 60)), min_size=1, max_size=5), st.sampled_from([11, -321]))
def test_a_binning_file_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, grids: list[PolarCells], particle: int
) -> None:
    template = detector_from_toml(SMALL)
    layers = tuple(dataclasses.replace(template.cell_layers[0], cells=cells) for cells in grids)
    detector = dataclasses.replace(template, cell_layers=layers)
    path = tmp_path_factory.mktemp("binning") / "x.xml"
    path.write_text(binning_text(detector, particle))
    binning = read_binning(path)
    assert binning.particle == particle
    assert binning.layers == tuple(enumerate(grids))
    check_binning(binning, detector)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"0,5,10.5,30"', '"0,5,10.6,30"', r"layer 0 has r_edges 0,5,10.6,30 in 8 sectors; cell layer 1 of small has "),
        ('n_bin_alpha="6"', 'n_bin_alpha="7"', "layer 12 has r_edges 0,2,4 in 7 sectors; cell layer 3 of small has "),
        ('id="1" r_edges="0"', 'id="1" r_edges="0,5"', "layer 1 has r_edges 0,5 in 1 sectors; cell layer 2 of small"),
        ('r_edges="0,50."', 'r_edges="0"', "layer 12 has .*; cell layer 2 of small"),
        ('r_edges="0, 2, 4"', 'r_edges="0"', "has 2 layers with voxels; small has 3 cell layers"),
        ('r_edges="0, 2, 4"', 'r_edges="0,4,2"', "layer 12 has r_edges='0,4,2'; ascending numbers are needed"),
        ('r_edges="0, 2, 4"', 'r_edges="0,nan"', "layer 12 has r_edges='0,nan'; ascending"),
        ('r_edges="0, 2, 4"', 'r_edges="0;2"', "layer 12 has r_edges='0;2'; ascending"),
        (' r_edges="0, 2, 4"', "", "layer 12 has r_edges=None; ascending"),
        ('n_bin_alpha="6"', 'n_bin_alpha="0"', "layer 12 has n_bin_alpha=0; at least 1"),
        ('n_bin_alpha="6"', 'n_bin_alpha="6.0"', "layer 12 has n_bin_alpha='6.0'; a whole number is needed"),
        ('id="12" ', "", "a layer has id=None; a whole number is needed"),
        ('id="12"', 'id="1"', "layer 1 comes after layer 2; the ids must ascend"),
        ('pid="22" ', "", "the <Bin> has pid=None; a whole number"),
        ("</Bins>", "", "not a readable XML file"),
        ("</Bin>", '</Bin><Bin pid="11" name="electron"/>', r"has <Bins> with 2 \(photon, electron\)"),
        ("Bins", "Detector", "this one has <Detector> with 1"),
    ],
)
def test_a_binning_that_is_none_or_of_another_detector(
    tmp_path: Path, small: Detector, xml: Path, old: str, new: str, message: str
) -> None:
    assert old in SMALL_XML
    xml.write_text(SMALL_XML.replace(old, new))
    path = write(tmp_path / "in.hdf5", {"incident_energies": np.ones((3, 1)), "showers": np.ones((3, small.n_cells))})
    with pytest.raises(FormatError, match=message) as caught:
        convert(path, tmp_path / "x.h5", "caloforge", detector=small, binning=xml)
    assert "binning.xml" in str(caught.value)


ENERGY = np.full((3, 1), 1000.0)
CELLS = np.ones((3, 37))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"showers": None}, "lacks the array 'showers'"),
        ({"incident_energies": None}, "lacks the array 'incident_energies'"),
        ({"showers": CELLS[:, :-1]}, r"'showers' has shape \(3, 36\); small with 3 showers needs \(3, 37\)"),
        ({"incident_energies": ENERGY[:2]}, r"'incident_energies' has shape \(2, 1\); small with 3 showers needs"),
        ({"incident_energies": ENERGY[:, 0]}, r"'incident_energies' has shape \(3,\)"),
        ({"showers": CELLS.astype("S3")}, "'showers' is of the type |S3; real numbers are needed"),
        ({"showers": CELLS * np.nan}, r"showers 0 to 2: showers\[0, 0\] is nan MeV"),
        ({"showers": -CELLS}, r"showers\[0, 0\] is -1 MeV"),
        ({"showers": CELLS * 1e300}, r"showers\[0, 0\] is inf MeV"),
        ({"incident_energies": -ENERGY}, "the energy of event 0 is -1000 MeV"),
        ({"incident_energies": ENERGY * np.nan}, "'energy' of event 0 is nan"),
        ({"incident_energies": ENERGY / 1000}, "hold 37 times the energy .* MeV for 'incident_energies'"),
        ({"showers": CELLS / 1000}, "hold 3.7e-05 times the energy"),
        ({"layer_energies": CELLS[:, :5]}, r"'layer_energies' has shape \(3, 5\); small with 3 showers needs \(3, 4\)"),
        ({"layer_energies": CELLS[:, :4]}, "cell layer 1 hold 24 MeV in shower 0 of this part, more than the 1 MeV"),
        ({"layer_energies": CELLS[:, :3] * np.nan}, "more than the nan MeV"),
    ],
)
def test_a_wrong_file_is_refused(
    tmp_path: Path, small: Detector, change: dict[str, NDArray[Any] | None], message: str
) -> None:
    arrays: dict[str, NDArray[Any] | None] = {"incident_energies": ENERGY, "showers": CELLS, **change}
    path = write(tmp_path / "in.hdf5", {name: values for name, values in arrays.items() if values is not None})
    with pytest.raises(FormatError, match=message):
        convert(path, tmp_path / "x.h5", "caloforge", detector=small)
    assert list(tmp_path.iterdir()) == [path]


def test_a_cut_or_damaged_file_is_refused(tmp_path: Path, small: Detector) -> None:
    showers = round_showers(small, 500)
    save(tmp_path / "in.h5", showers, source="geant4", provenance={})
    convert(tmp_path / "in.h5", tmp_path / "whole.hdf5", "calochallenge")
    content = (tmp_path / "whole.hdf5").read_bytes()
    broken = tmp_path / "broken.hdf5"
    broken.write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match="the HDF5 file is cut or damaged"):
        convert(broken, tmp_path / "x.h5", "caloforge", detector=small)
    middle = len(content) // 2
    broken.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    with pytest.raises(FormatError, match="a block is damaged or cut"):
        convert(broken, tmp_path / "x.h5", "caloforge", detector=small)
    assert not (tmp_path / "x.h5").exists()


def reordered(energies: NDArray[np.float32], order: str) -> NDArray[np.float32]:
    voxels = energies.reshape(-1, 45, 16, 9)
    if order == "layers exchanged":
        voxels = voxels[:, [1, 0, *range(2, 45)]]
    axes = {"sector fastest": (0, 1, 3, 2), "layer fastest": (0, 3, 2, 1), "rings, layers, sectors": (0, 2, 1, 3)}
    return voxels.transpose(axes.get(order, (0, 1, 2, 3))).reshape(len(energies), -1)


@pytest.mark.parametrize("order", ["layer fastest", "layers exchanged", "rings, layers, sectors"])
def test_layer_energies_betray_another_order(tmp_path: Path, challenge: Detector, order: str) -> None:
    showers = round_showers(challenge, 5)
    assert showers.layer_energies is not None
    arrays: dict[str, NDArray[Any]] = {"incident_energies": showers.conditions.matrix, "showers": showers.energies}
    in_pairs = showers.layer_energies.reshape(5, 45, 2).sum(axis=2)
    for layers in (showers.layer_energies, in_pairs):
        path = write(tmp_path / "in.hdf5", {**arrays, "layer_energies": layers})
        assert convert(path, tmp_path / "x.h5", "caloforge", detector=challenge, overwrite=True) == 5
        write(path, {**arrays, "showers": reordered(showers.energies, order), "layer_energies": layers})
        with pytest.raises(FormatError, match="the voxels are in another order than the detector's"):
            convert(path, tmp_path / "y.h5", "caloforge", detector=challenge)


@pytest.mark.parametrize("order", ["sector fastest", "layer fastest"])
@pytest.mark.parametrize("n", [100, 300])
def test_showers_that_are_not_round_are_refused(tmp_path: Path, challenge: Detector, order: str, n: int) -> None:
    showers = round_showers(challenge, n)
    arrays: dict[str, NDArray[Any]] = {
        "incident_energies": showers.conditions.matrix,
        "showers": reordered(showers.energies, order),
    }
    with pytest.raises(FormatError, match="where showers of particles in the middle are round"):
        convert(write(tmp_path / "in.hdf5", arrays), tmp_path / "x.h5", "caloforge", detector=challenge)
    assert not (tmp_path / "x.h5").exists()


def test_few_showers_need_not_be_round(tmp_path: Path, small: Detector) -> None:
    energies = np.zeros((3, small.n_cells))
    energies[:, 0] = 50.0
    energies[1:, 4:6] = 20.0
    path = write(tmp_path / "in.hdf5", {"incident_energies": ENERGY, "showers": energies})
    assert convert(path, tmp_path / "x.h5", "caloforge", detector=small) == 3


MIDDLE = (
    SMALL.replace("face =", 'reference_depth = { value = 1, unit = "mm" }\nface =')
    + """
[[conditions]]
name = "x"
unit = "mm"
low = -5.0
high = 5.0
density = "uniform"
[[conditions]]
name = "angle_xz"
unit = "rad"
value = 0.1
"""
)


def test_showers_that_the_format_cannot_tell_are_refused(tmp_path: Path, showers: Showers) -> None:
    detector = detector_from_toml(MIDDLE)
    assert detector.condition_names == ("energy", "x", "angle_xz")
    matrix = np.array([[2000.0, 0.0, 0.1], [3000.0, 0.0, 0.1], [4000.0, 0.0, 0.1]])
    energies = np.full((3, detector.n_cells), 5.0)
    pdg = np.full(3, 211, dtype=np.int32)
    good = Showers(detector, Conditions(detector, matrix, pdg), energies)
    save(tmp_path / "good.h5", good, source="geant4", provenance={})
    assert convert(tmp_path / "good.h5", tmp_path / "good.hdf5", "calochallenge") == 3
    assert 'pid="211" name="pion"' in (tmp_path / "good.xml").read_text()
    convert(tmp_path / "good.hdf5", tmp_path / "back.h5", "caloforge", detector=detector, particle=211)
    np.testing.assert_allclose(load(tmp_path / "back.h5").conditions.matrix, matrix, rtol=1e-6)

    moved, two = matrix.copy(), pdg.copy()
    moved[2, 1] = -3.5
    two[1] = 22
    for number, (bad, message) in enumerate(
        (
            (dataclasses.replace(good, conditions=Conditions(detector, moved, pdg)), "x of shower 2 is -3.5 mm"),
            (dataclasses.replace(good, conditions=Conditions(detector, matrix, two)), "the PDG codes 211 and 22"),
            (dataclasses.replace(good, extrapolated=np.array([False, False, True])), "flagged as extrapolated"),
        )
    ):
        save(tmp_path / f"{number}.h5", bad, source="model", provenance={})
        with pytest.raises(RequestError, match=message):
            convert(tmp_path / f"{number}.h5", tmp_path / "bad.hdf5", "calochallenge")
    save(tmp_path / "square.h5", showers, source="model", provenance={})
    with pytest.raises(RequestError, match="cell layer 1 of lhcb-ecal has 30 x 30 cells"):
        convert(tmp_path / "square.h5", tmp_path / "bad.hdf5", "calochallenge")
    with pytest.raises(RequestError, match="the binning file gets this name"):
        convert(tmp_path / "good.h5", tmp_path / "bad.xml", "calochallenge")
    assert not list(tmp_path.glob("*bad*"))


def test_neither_of_the_two_outputs_is_written_over(tmp_path: Path, small: Detector) -> None:
    save(tmp_path / "in.h5", round_showers(small, 3), source="geant4", provenance={})
    (tmp_path / "out.xml").write_text("mine")
    with pytest.raises(RequestError, match="out.xml exists"):
        convert(tmp_path / "in.h5", tmp_path / "out.hdf5", "calochallenge")
    assert not (tmp_path / "out.hdf5").exists()
    assert convert(tmp_path / "in.h5", tmp_path / "out.hdf5", "calochallenge", overwrite=True) == 3
    assert len(read_binning(tmp_path / "out.xml").layers) == 3
