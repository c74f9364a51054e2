"""Conversion loses nothing that the target format can hold."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from caloforge.errors import FormatError, RequestError
from caloforge.showers import ShowerFile, Showers, load, save
from caloforge.showers.convert import convert, format_names
from caloforge.showers.lhcb_npz import read_lhcb_npz, write_lhcb_npz


@pytest.fixture
def hdf5(tmp_path: Path, showers: Showers) -> Path:
    path = tmp_path / "in.h5"
    save(path, showers, source="geant4", provenance={"seed": 3})
    return path


@pytest.fixture
def npz(tmp_path: Path, hdf5: Path) -> Path:
    assert convert(hdf5, tmp_path / "in.npz", "lhcb-npz") == 40
    return tmp_path / "in.npz"


def test_npz_has_the_published_layout(npz: Path, showers: Showers) -> None:
    with np.load(npz, allow_pickle=False) as file:
        assert set(file.files) == {"EnergyDeposit", "ParticleMomentum", "ParticlePoint", "ParticlePDG"}
        assert file["EnergyDeposit"].shape == (40, 30, 30, 1)
        np.testing.assert_array_equal(file["EnergyDeposit"].reshape(40, 900), showers.energies)
        np.testing.assert_array_equal(file["ParticlePDG"], showers.conditions.pdg)
        energy = np.linalg.norm(file["ParticleMomentum"].astype(np.float64), axis=1)
        np.testing.assert_allclose(energy, showers.conditions.column("energy"), rtol=1e-6)
        np.testing.assert_allclose(file["ParticlePoint"][:, 1], showers.conditions.column("y"), rtol=1e-6)


def test_there_and_back(tmp_path: Path, npz: Path, showers: Showers) -> None:
    assert convert(npz, tmp_path / "back.h5", "caloforge") == 40
    back = load(tmp_path / "back.h5")
    np.testing.assert_array_equal(back.energies, showers.energies)
    np.testing.assert_allclose(back.conditions.matrix, showers.conditions.matrix, rtol=1e-6, atol=1e-6)
    with ShowerFile(tmp_path / "back.h5") as file:
        assert file.source == "import"
        assert file.provenance["converted_from"] == "in.npz"


def test_the_same_format_keeps_source_and_provenance(tmp_path: Path, hdf5: Path, npz: Path) -> None:
    convert(hdf5, tmp_path / "again.h5", "caloforge")
    with ShowerFile(tmp_path / "again.h5") as file:
        assert (file.source, file.provenance["seed"], len(file)) == ("geant4", 3, 40)
    convert(npz, tmp_path / "again.npz", "lhcb-npz")
    with np.load(npz) as one, np.load(tmp_path / "again.npz") as other:
        np.testing.assert_array_equal(one["EnergyDeposit"], other["EnergyDeposit"])


def test_unknown_format_and_existing_output(tmp_path: Path, hdf5: Path) -> None:
    with pytest.raises(RequestError, match="unknown format 'lhcb-npy'; did you mean 'lhcb-npz'"):
        convert(hdf5, tmp_path / "x", "lhcb-npy")
    with pytest.raises(RequestError, match="exists"):
        convert(hdf5, hdf5, "caloforge")
    assert convert(hdf5, hdf5, "caloforge", overwrite=True) == 40
    assert len(load(hdf5)) == 40
    assert format_names() == ("caloforge", "calochallenge", "calogan", "lhcb-npz")


def test_what_is_said_of_a_file_that_says_it_itself(tmp_path: Path, hdf5: Path, npz: Path) -> None:
    with pytest.raises(RequestError, match="in.h5 is in the format caloforge, for which no particle can be given"):
        convert(hdf5, tmp_path / "x.npz", "lhcb-npz", particle=11)
    with pytest.raises(RequestError, match="in.npz is in the format lhcb-npz, for which no binning can be given"):
        convert(npz, tmp_path / "x.h5", "caloforge", binning="binning.xml")


def test_extrapolated_showers_are_not_written_without_their_flag(tmp_path: Path, showers: Showers) -> None:
    flags = np.zeros(len(showers), dtype=bool)
    save(tmp_path / "in.h5", dataclasses.replace(showers, extrapolated=flags), source="model", provenance={})
    assert convert(tmp_path / "in.h5", tmp_path / "in.npz", "lhcb-npz") == 40
    flags[7] = True
    save(tmp_path / "out.h5", dataclasses.replace(showers, extrapolated=flags), source="model", provenance={})
    with pytest.raises(RequestError, match="flagged as extrapolated, .*no place for that flag"):
        convert(tmp_path / "out.h5", tmp_path / "out.npz", "lhcb-npz")
    assert not (tmp_path / "out.npz").exists()
    assert convert(tmp_path / "out.h5", tmp_path / "again.h5", "caloforge") == 40


def test_a_wrong_number_of_showers_writes_nothing(tmp_path: Path, showers: Showers) -> None:
    with pytest.raises(RequestError, match="announced 41 showers, got 40"):
        write_lhcb_npz(tmp_path / "x.npz", showers.detector, 41, [showers])
    assert list(tmp_path.iterdir()) == []


ARRAYS = {
    "EnergyDeposit": np.ones((3, 30, 30, 1)),
    "ParticleMomentum": np.tile([0.0, 0.0, 5000.0], (3, 1)),
    "ParticlePoint": np.zeros((3, 2)),
    "ParticlePDG": np.full(3, 11),
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("EnergyDeposit", np.ones((3, 20, 30, 1)), r"has shape \(3, 20, 30, 1\); lhcb-ecal needs \(N, 30, 30, 1\)"),
        ("EnergyDeposit", np.full((3, 30, 30, 1), -1.0), r"showers\[0, 0\] is -1 MeV"),
        ("EnergyDeposit", np.full((3, 30, 30, 1), np.nan), r"showers\[0, 0\] is nan MeV"),
        ("EnergyDeposit", np.ones((2, 30, 30, 1)), r"must have shape \(3, 900\)"),
        ("ParticleMomentum", np.zeros((3, 3)), r"momentum of event 0 is \(0, 0, 0\) MeV"),
        ("ParticleMomentum", np.ones((3, 2)), r"momentum must have shape \(3, 3\)"),
        ("ParticlePDG", np.array(["e-", "e-", "e-"]), "pdg must be real numbers"),
        ("ParticlePDG", np.array([11, 11.5, 11]), "whole PDG codes"),
        ("EnergyDeposit", np.full((3, 30, 30, 1), 1j), "showers must be real numbers; got the type complex128"),
        ("EnergyDeposit", np.full((3, 30, 30, 1), "1.0"), "showers must be real numbers"),
        ("ParticlePDG", None, "lacks the array 'ParticlePDG'"),
        ("ParticlePDG", np.array([11, None, {}], dtype=object), "not a readable npz file"),
    ],
)
def test_a_wrong_npz_is_refused(
    tmp_path: Path, name: str, value: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None, message: str
) -> None:
    arrays = {**ARRAYS, name: value}
    np.savez(
        tmp_path / "x.npz", allow_pickle=True, **{key: array for key, array in arrays.items() if array is not None}
    )
    with pytest.raises(FormatError, match=message):
        convert(tmp_path / "x.npz", tmp_path / "x.h5", "caloforge")
    assert not (tmp_path / "x.h5").exists()


def test_a_cut_or_foreign_file_is_refused(tmp_path: Path, npz: Path, showers: Showers) -> None:
    content = npz.read_bytes()
    npz.write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match="not a readable npz file"):
        convert(npz, tmp_path / "x.h5", "caloforge")
    npz.write_bytes(content[:3000] + bytes([content[3000] ^ 255]) + content[3001:])
    with pytest.raises(FormatError, match="not a readable npz file"):
        convert(npz, tmp_path / "x.h5", "caloforge")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(FormatError, match="none of the formats that can be read: caloforge, calochallenge, calogan, "):
        convert(tmp_path / "text", tmp_path / "x.h5", "caloforge")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(FormatError, match="none of the formats .*; at its root stand images"):
        convert(tmp_path / "other.h5", tmp_path / "x.h5", "caloforge")
    with pytest.raises(FormatError, match="No such file"):
        convert(tmp_path / "none", tmp_path / "x.h5", "caloforge")
    with pytest.raises(FormatError, match="no such file"):
        read_lhcb_npz(tmp_path / "none.npz", showers.detector)
