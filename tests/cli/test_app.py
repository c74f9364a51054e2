"""The command line: exit codes, where messages go, help."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

import caloforge
from caloforge.cli import main
from caloforge.cli.app import INTERRUPTED
from caloforge.cli.verbs import VERBS
from caloforge.detector import detector_names
from caloforge.errors import WorkError
from caloforge.showers import Showers, load, save

Output = pytest.CaptureFixture[str]


def one_error_line(output: Output) -> str:
    """The message of the only line on stderr; nothing may be on stdout."""
    captured = output.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_help_lists_every_verb(capsys: Output) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in VERBS:
        assert f" {verb.name} " in text


def test_version(capsys: Output) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"caloforge {caloforge.__version__}\n"


@pytest.mark.parametrize("arguments", [["frobnicate"], ["detectors", "--frob"], ["convert"], []])
def test_usage_errors_exit_with_2(arguments: list[str]) -> None:
    assert main(arguments) == 2


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_a_function_of_its_name_and_help_with_an_example(
    verb: object, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = next(known for known in VERBS if known is verb)
    assert callable(getattr(caloforge, found.function))
    monkeypatch.setenv("COLUMNS", "200")
    assert main([found.name, "--help"]) == 0
    assert f"Example: {found.example}" in capsys.readouterr().out


def test_detectors(capsys: Output, tmp_path: Path) -> None:
    assert main(["detectors"]) == 0
    assert capsys.readouterr().out.startswith("lhcb-ecal ")
    assert main(["detectors", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == list(detector_names())
    assert main(["detectors", "lhcb-ecal"]) == 0
    text = capsys.readouterr().out
    for part in ("e- (11)", "1 GeV to 100 GeV", "-20 deg to 20 deg", "30 x 30 cells", "back at 396 mm"):
        assert part in text
    picture = tmp_path / "ecal.png"
    assert main(["detectors", "lhcb-ecal", "--json", "--draw", str(picture)]) == 0
    facts = json.loads(capsys.readouterr().out)
    (layer,) = facts["cell_layers"]
    assert layer["cells"] == {"shape": [30, 30], "size": [20.0, 20.0]}
    assert (facts["n_cells"], facts["face"], layer["first"], layer["stop"]) == (900, [600.0, 600.0], 0, 66)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["detectors", "lhcb-ecal", "--draw", str(picture)]) == 2
    assert "exists" in one_error_line(capsys)


def test_show(capsys: Output, tmp_path: Path, make_showers: Callable[..., Showers]) -> None:
    showers = make_showers(30)
    save(tmp_path / "some.h5", showers, source="import", provenance={"who": "a test"})
    picture = tmp_path / "mean.png"
    assert main(["show", str(tmp_path / "some.h5"), "--draw", str(picture)]) == 0
    text = capsys.readouterr().out
    for part in ("30 showers of lhcb-ecal, made by import: 30 of e- (11)", "angle_xz", "who: a test"):
        assert part in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["show", str(tmp_path / "some.h5"), "--draw", str(picture)]) == 2
    assert "exists" in one_error_line(capsys)
    assert main(["show", str(tmp_path / "some.h5"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(facts["mean"], showers.energies.mean(axis=0), rtol=1e-5)
    energy = showers.conditions.column("energy")
    assert facts["ranges"]["energy"] == pytest.approx([energy.min(), energy.max()], rel=1e-6)
    assert facts["response"] == pytest.approx(showers.energies.sum() / energy.sum(), rel=1e-5)


def test_half_a_picture_never_has_the_name(capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(figure: object, path: Path, **options: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    picture = tmp_path / "ecal.png"
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", broken)
    assert main(["detectors", "lhcb-ecal", "--draw", str(picture)]) == 1
    assert "No space left" in one_error_line(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["detectors", "lhcb"], "unknown detector 'lhcb'; did you mean 'lhcb-ecal'"),
        (["detectors", "none.toml"], "cannot read the detector file none.toml"),
        (["detectors", "--draw", "x.png"], "--draw needs the name of a detector"),
        (["detectors", "lhcb-ecal", "--draw", "x.doc"], "must end in .png"),
        (["convert", "none.h5", "x.npz", "--to", "lhcb-npz"], "none.h5: No such file"),
        (["convert", "none.h5", "x.npz", "--to", "npz"], "unknown format 'npz'"),
    ],
)
def test_bad_requests_are_one_line_and_exit_with_2(
    arguments: list[str], message: str, capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in one_error_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_convert(capsys: Output, tmp_path: Path, showers: Showers) -> None:
    source, npz, back = (str(tmp_path / name) for name in ("a.h5", "a.npz", "b.h5"))
    save(source, showers, source="geant4", provenance={})
    assert main(["convert", source, npz, "--to", "lhcb-npz"]) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{npz}: 40 showers, lhcb-npz (no place for: detector, layer_energies, absorber_energies, ")
    assert main(["convert", npz, back, "--to", "caloforge", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "output": back,
        "format": "caloforge",
        "showers": 40,
        "no_place_for": [],
    }
    assert (load(back).energies == showers.energies).all()
    content = Path(back).read_bytes()
    Path(source).write_bytes(Path(source).read_bytes()[:5000])
    assert main(["convert", source, back, "--to", "caloforge", "--overwrite"]) == 2
    assert "cut or damaged" in one_error_line(capsys)
    assert Path(back).read_bytes() == content


def test_convert_other_peoples_files(capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with h5py.File("gamma.hdf5", "w") as file:
        file["energy"] = np.full((2, 1), 10.0)
        for number, shape in enumerate([(3, 96), (12, 12), (12, 6)]):
            file[f"layer_{number}"] = np.full((2, *shape), 10.0)
        file["overflow"] = np.ones((2, 3))
    words = ["convert", "gamma.hdf5", "gamma.h5", "--to", "caloforge", "--detector", "calogan", "--particle", "gamma"]
    assert main(words) == 0
    assert capsys.readouterr().out == "gamma.h5: 2 showers, caloforge (no place for: overflow)\n"
    assert load("gamma.h5").conditions.pdg.tolist() == [22, 22]
    assert main([*words, "--overwrite", "--binning", "b.xml"]) == 2
    assert "gamma.hdf5 is in the format calogan, for which no binning can be given" in one_error_line(capsys)
    with h5py.File("voxels.hdf5", "w") as file:
        file["incident_energies"] = np.full((2, 1), 10_000.0)
        file["showers"] = np.ones((2, 6480))
    words = ["convert", "voxels.hdf5", "voxels.h5", "--to", "caloforge", "--detector", "calochallenge-2"]
    assert main(words[:5]) == 2
    assert "cell layer 1 of lhcb-ecal has 30 x 30 cells" in one_error_line(capsys)
    assert main([*words, "--binning", "none.xml"]) == 2
    assert "none.xml: No such file" in one_error_line(capsys)
    assert main(words) == 0
    assert main(["convert", "voxels.h5", "again.hdf5", "--to", "calochallenge"]) == 0
    assert main([*words, "--overwrite", "--binning", "again.xml"]) == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WorkError("it\nfailed"), 1),
        (OSError(28, "No space left on device"), 1),
        (KeyboardInterrupt(), INTERRUPTED),
    ],
)
def test_errors_during_work(
    error: BaseException, code: int, capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("caloforge.showers.convert.convert", fail)
    monkeypatch.chdir(tmp_path)
    Path("a").write_bytes(b"PK\x03\x04")
    assert main(["convert", "a", "b", "--to", "caloforge"]) == code
    if code == 1:
        assert "failed" in (line := one_error_line(capsys)) or "No space left" in line


def test_sigterm_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, showers: Showers) -> None:
    save(tmp_path / "a.h5", showers, source="geant4", provenance={})
    present: list[int] = []

    def append(*arguments: object) -> None:
        present.append(len(list(tmp_path.iterdir())))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("caloforge.showers.hdf5.ShowerWriter.append", append)
    assert main(["convert", str(tmp_path / "a.h5"), str(tmp_path / "b.h5"), "--to", "caloforge"]) == 143
    assert present == [2]  # the input and the unfinished output, which is gone now
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
