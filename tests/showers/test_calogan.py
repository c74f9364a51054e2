"""CaloGAN's files: the published layout out and in for any rectangular cells, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from caloforge.detector import Conditions, Detector, detector_from_toml, draw_conditions, load_detector
from caloforge.errors import FormatError, RequestError
from caloforge.showers import Showers, load, save
from caloforge.showers.convert import convert, no_place_for


@pytest.fixture(scope="module")
def calogan() -> Detector:
    return load_detector("calogan")


@pytest.fixture(scope="module")
def made(calogan: Detector) -> Showers:
    """30 showers; beside the cells of the three layers there are 1, 2 and 3 MeV."""
    generator = np.random.default_rng(3)
    conditions = draw_conditions(calogan, 3, 0, 30)
    energies = generator.exponential(1.0, (30, calogan.n_cells))
    energies *= 0.8 * conditions.column("energy")[:, None] / energies.sum(axis=1, keepdims=True)
    layers = np.zeros((30, calogan.n_layers))
    for number, item in enumerate(calogan.cell_layers):
        layers[:, item.first] = energies[:, item.index].sum(axis=1)
        layers[:, item.stop - 1] += number + 1
    return Showers(calogan, conditions, energies.astype(np.float32), layers.astype(np.float32))


def arrays_of(path: Path) -> dict[str, NDArray[Any]]:
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}


def write(path: Path, arrays: dict[str, NDArray[Any]]) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def test_what_is_written_has_the_published_layout(tmp_path: Path, calogan: Detector, made: Showers) -> None:
    save(tmp_path / "in.h5", made, source="geant4", provenance={})
    assert convert(tmp_path / "in.h5", tmp_path / "out.hdf5", "calogan") == 30
    found = arrays_of(tmp_path / "out.hdf5")
    assert {name: values.shape for name, values in found.items()} == {
        "energy": (30, 1),
        "layer_0": (30, 3, 96),
        "layer_1": (30, 12, 12),
        "layer_2": (30, 12, 6),
        "overflow": (30, 3),
    }
    np.testing.assert_allclose(found["energy"][:, 0], made.conditions.column("energy") / 1000, rtol=1e-6)  # GeV
    np.testing.assert_allclose(found["overflow"], np.tile([1.0, 2.0, 3.0], (30, 1)), atol=0.02)  # MeV
    cell = int(np.argmin(np.abs(calogan.cell_centres[:288] - [160.0, -237.5]).sum(axis=1)))  # the last in x, first in y
    np.testing.assert_array_equal(found["layer_0"][:, 2, 0], made.energies[:, cell])
    np.testing.assert_array_equal(found["layer_2"].reshape(30, -1), made.energies[:, -72:])


def test_there_and_back(tmp_path: Path, calogan: Detector, made: Showers) -> None:
    save(tmp_path / "in.h5", made, source="geant4", provenance={})
    convert(tmp_path / "in.h5", tmp_path / "out.hdf5", "calogan")
    assert convert(tmp_path / "out.hdf5", tmp_path / "back.h5", "caloforge", detector="calogan") == 30
    back = load(tmp_path / "back.h5")
    np.testing.assert_array_equal(back.energies, made.energies)
    np.testing.assert_array_equal(back.conditions.column("energy"), made.conditions.column("energy").astype(np.float32))
    assert set(back.conditions.pdg.tolist()) == {calogan.particles[0]}
    convert(tmp_path / "out.hdf5", tmp_path / "pi.h5", "caloforge", detector="calogan", particle=211)
    assert set(load(tmp_path / "pi.h5").conditions.pdg.tolist()) == {211}
    assert no_place_for("caloforge", tmp_path / "out.hdf5") == ("overflow",)
    assert no_place_for("caloforge", tmp_path / "in.h5") == ()
    # Nothing is known of what was beside the cells.
    convert(tmp_path / "back.h5", tmp_path / "again.hdf5", "calogan")
    assert not arrays_of(tmp_path / "again.hdf5")["overflow"].any()


def image_detector(shapes: list[tuple[int, int]]) -> Detector:
    cells = "".join(f"[[cells]]\nlayers = 1\nshape = [{nx}, {ny}]\nsize = [2.0, 3.0]\n" for nx, ny in shapes)
    slab = '{ material = "G4_Si", thickness = 1.0, active = true }'
    energy = '[[conditions]]\nname = "energy"\nunit = "GeV"\nlow = 1.0\nhigh = 10.0\ndensity = "1/E"\n'
    head = (
        f'name = "images"\nparticles = [22, 11]\nface = [100.0, 100.0]\nlayers = [{{ repeat = {len(shapes)}, slabs = '
    )
    return detector_from_toml(f"{head}[{slab}] }}]\n{cells}{energy}")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=4), st.integers(0, 9))
def test_any_rectangular_cells_come_back(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[tuple[int, int]], n: int
) -> None:
    detector = image_detector(shapes)
    folder = tmp_path_factory.mktemp("images")
    energies = np.random.default_rng(n).uniform(0.0, 1000.0 / detector.n_cells, (n, detector.n_cells))
    energies[:, 0] = 500.0
    showers = Showers(detector, draw_conditions(detector, 1, 0, n), energies.astype(np.float32))
    save(folder / "in.h5", showers, source="geant4", provenance={})
    assert convert(folder / "in.h5", folder / "out.hdf5", "calogan") == n
    found = arrays_of(folder / "out.hdf5")
    assert [found[f"layer_{number}"].shape for number in range(len(shapes))] == [(n, *shape) for shape in shapes]
    assert convert(folder / "out.hdf5", folder / "back.h5", "caloforge", detector=detector) == n
    back = load(folder / "back.h5")
    np.testing.assert_array_equal(back.energies, showers.energies)
    np.testing.assert_allclose(back.conditions.matrix, showers.conditions.matrix, rtol=1e-6)


def test_blocks_are_read_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = image_detector([(2, 3), (4, 1)])
    monkeypatch.setattr("caloforge.showers.arrays._BLOCK_NUMBERS", 4 * detector.n_cells)
    arrays: dict[str, NDArray[Any]] = {
        "energy": np.linspace(1, 10, 30)[:, None],
        "layer_0": np.arange(180.0).reshape(30, 2, 3),
        "layer_1": np.arange(120.0).reshape(30, 4, 1),
    }
    assert convert(write(tmp_path / "in.hdf5", arrays), tmp_path / "x.h5", "caloforge", detector=detector) == 30
    back = load(tmp_path / "x.h5")
    np.testing.assert_array_equal(back.energies[:, :6], arrays["layer_0"].reshape(30, 6))
    np.testing.assert_array_equal(back.energies[:, 6:], arrays["layer_1"].reshape(30, 4))
    arrays["layer_1"][13, 2, 0] = np.nan
    with pytest.raises(FormatError, match=r"in.hdf5, showers 12 to 15: showers\[1, 8\] is nan MeV"):
        convert(write(tmp_path / "in.hdf5", arrays), tmp_path / "y.h5", "caloforge", detector=detector)
    assert not (tmp_path / "y.h5").exists()


ARRAYS: dict[str, NDArray[Any]] = {
    "energy": np.full((3, 1), 50.0),
    "layer_0": np.full((3, 3, 96), 50.0),
    "layer_1": np.full((3, 12, 12), 100.0),
    "layer_2": np.full((3, 12, 6), 10.0),
    "overflow": np.ones((3, 3)),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer_1": None}, "lacks the array 'layer_1'"),
        ({"energy": None}, "lacks the array 'energy'"),
        (
            {"layer_0": ARRAYS["layer_0"][:2]},
            r"'layer_0' has shape \(2, 3, 96\); calogan with 3 showers needs \(3, 3, 96",
        ),
        ({"layer_0": ARRAYS["layer_0"].transpose(0, 2, 1)}, r"'layer_0' has shape \(3, 96, 3\); calogan with 3"),
        (
            {"layer_2": ARRAYS["layer_2"].astype(complex)},
            "'layer_2' is of the type complex128; real numbers are needed",
        ),
        (
            {"layer_3": ARRAYS["layer_2"]},
            "has an array 'layer_3'; calogan has 3 cell layers, layer_0, layer_1, layer_2",
        ),
        ({"layer_2": -ARRAYS["layer_2"]}, r"showers 0 to 2: showers\[0, 432\] is -10 MeV"),
        ({"layer_1": np.full((3, 12, 12), np.inf)}, r"showers\[0, 288\] is inf MeV"),
        ({"energy": np.zeros((3, 1))}, "the energy of event 0 is 0 MeV; it must be positive"),
        ({"energy": ARRAYS["energy"][:, 0]}, r"'energy' has shape \(3,\); calogan with 3 showers needs \(3, 1\)"),
        ({"energy": ARRAYS["energy"] * 1000}, "cells hold 0.00059 times .* GeV for 'energy' and MeV for the layers"),
        ({"energy": ARRAYS["energy"] / 1000}, "cells hold 590 times the energy"),
        ({name: ARRAYS[name] / 1000 for name in ("layer_0", "layer_1", "layer_2")}, "cells hold 0.00059 times"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, change: dict[str, NDArray[Any] | None], message: str) -> None:
    arrays: dict[str, NDArray[Any] | None] = {**ARRAYS, **change}
    path = write(tmp_path / "in.hdf5", {name: values for name, values in arrays.items() if values is not None})
    with pytest.raises(FormatError, match=message):
        convert(path, tmp_path / "x.h5", "caloforge", detector="calogan")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_without_overflow_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "in.hdf5", {name: ARRAYS[name] for name in ARRAYS if name != "overflow"})
    assert convert(path, tmp_path / "x.h5", "caloforge", detector="calogan") == 3


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "in.hdf5", ARRAYS)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(FormatError, match="the HDF5 file is cut or damaged"):
        convert(path, tmp_path / "x.h5", "caloforge", detector="calogan")


def test_showers_that_the_format_cannot_tell_are_refused(tmp_path: Path, showers: Showers, calogan: Detector) -> None:
    save(tmp_path / "off.h5", showers, source="model", provenance={})
    with pytest.raises(
        RequestError, match="calogan is for particles in the middle of the face and perpendicular to it"
    ):
        convert(tmp_path / "off.h5", tmp_path / "x.hdf5", "calogan")
    two = Conditions(calogan, np.full((2, 1), 5000.0), np.array([22, 211], dtype=np.int32))
    save(tmp_path / "two.h5", Showers(calogan, two, np.ones((2, 504), dtype=np.float32)), source="model", provenance={})
    with pytest.raises(RequestError, match="holds one kind of particle; these showers are of the PDG codes 22 and 211"):
        convert(tmp_path / "two.h5", tmp_path / "x.hdf5", "calogan")
    path = write(tmp_path / "in.hdf5", ARRAYS)
    with pytest.raises(RequestError, match="images of rectangular cells; cell layer 1 of calochallenge-2 has 9 rings"):
        convert(path, tmp_path / "x.h5", "caloforge", detector="calochallenge-2")
    assert not list(tmp_path.glob("*x.h*"))
