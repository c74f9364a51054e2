"""Truths about simulated showers: energy is conserved, events are reproducible, geometry is where it should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caloforge.cli import main
from caloforge.detector.materials import nist_materials
from caloforge.errors import WorkError
from caloforge.fullsim import simulate
from caloforge.fullsim.physics_data import PhysicsData, prepare_physics_data
from caloforge.runs.work import work_folder
from caloforge.showers import ShowerFile, load


def test_energy_is_conserved(full: Path) -> None:
    showers = load(full)
    assert showers.layer_energies is not None
    assert showers.absorber_energies is not None
    np.testing.assert_allclose(showers.energies.sum(axis=1), showers.layer_energies.sum(axis=1), rtol=1e-5)
    total = showers.layer_energies.sum(axis=1) + showers.absorber_energies.sum(axis=1)
    share = total / showers.conditions.column("energy")
    assert share.max() < 1 + 1e-5
    assert share.mean() > 0.93  # the rest leaks out, mostly as photons of low energy through the face
    assert (showers.absorber_energies.sum(axis=1) > showers.layer_energies.sum(axis=1)).mean() > 0.95


def test_showers_lie_where_the_particles_point(full: Path) -> None:
    showers = load(full)
    weights = showers.energies.sum(axis=0) / showers.energies.sum()
    x, y = weights @ showers.detector.cell_centres
    depth = showers.detector.reference_depth
    conditions = showers.conditions
    assert x == pytest.approx(conditions.column("x").mean(), abs=3.0)
    expected = depth * np.tan(conditions.column("angle_yz")).mean()
    assert y == pytest.approx(expected, abs=5.0)
    assert expected > 5.0
    assert showers.layer_energies is not None
    profile = showers.layer_energies.sum(axis=0)
    assert 2 <= int(profile.argmax()) <= 9  # a maximum after about 4 radiation lengths of 5.6 mm of lead
    assert profile[-1] < 0.02 * profile.max()


def test_provenance_says_how(full: Path) -> None:
    with ShowerFile(full) as file:
        assert file.source == "geant4"
        facts = file.provenance
    assert facts["geant4"].startswith("11.")
    assert facts["bindings"].startswith("geant4_pybind ")
    assert facts["physics"] == "G4EmStandardPhysics_option1"
    assert (facts["cut_mm"], facts["seed"], facts["particle"]) == (0.7, 3, 11)
    assert facts["seconds_per_event_core"] > 0
    assert facts["tables"]


def test_an_event_is_the_same_in_any_run(
    full: Path, small: Path, tmp_path: Path, assert_same: Callable[[Path, Path], None]
) -> None:
    two = simulate(small, 60, output=tmp_path / "two.h5", seed=3, workers=2)
    assert_same(two, full)
    few = load(simulate(small, 7, output=tmp_path / "few.h5", seed=3, workers=1))
    np.testing.assert_array_equal(few.energies, load(full, 0, 7).energies)
    other = load(simulate(small, 7, output=tmp_path / "other.h5", seed=4, workers=1))
    assert (other.energies != few.energies).any(axis=1).all()


def test_a_script_needs_no_guard(small: Path, geant4: None, tmp_path: Path) -> None:
    """Its processes do not run it once more, as those of multiprocessing would."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import caloforge\ncaloforge.simulate({str(small)!r}, 3, output={str(tmp_path / 'full.h5')!r}, workers=2)\n"
        "print('once')\n"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("once\n", "")
    assert len(load(tmp_path / "full.h5")) == 3


def test_conditions_of_a_file(full: Path, small: Path, tmp_path: Path) -> None:
    line = ["simulate", str(small), "--like", str(full), "-n", "5", "--seed", "9", "--workers", "1", "--json"]
    assert main([*line, "-o", str(tmp_path / "like.h5")]) == 0
    like, original = load(tmp_path / "like.h5"), load(full, 0, 5)
    np.testing.assert_allclose(like.conditions.matrix, original.conditions.matrix, rtol=1e-6, atol=1e-9)
    assert (like.energies != original.energies).any(axis=1).all()  # another seed, other showers


def test_settings_of_the_detector_reach_geant4(small: Path, geant4: None, tmp_path: Path) -> None:
    """Photons of 500 MeV; with a coarse production cut, fewer electrons leave the absorber they are born in."""
    text = small.read_text(encoding="utf-8") + "\n[simulation]\nproduction_cut = 50.0\n"
    coarse = tmp_path / "coarse.toml"
    coarse.write_text(text, encoding="utf-8")
    visible = []
    for detector in (small, coarse):
        path = simulate(detector, 20, output=tmp_path / f"{detector.stem}.h5", particle=22, energy=500.0, workers=1)
        showers = load(path)
        assert set(showers.conditions.pdg.tolist()) == {22}
        assert set(showers.conditions.column("energy").tolist()) == {500.0}
        visible.append(showers.energies.sum())
    with ShowerFile(tmp_path / "coarse.h5") as file:
        assert file.provenance["cut_mm"] == 50.0
    assert visible[1] < 0.7 * visible[0]


def test_geant4_aborting_is_an_error_with_its_message(
    small: Path, geant4: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nothing").mkdir()
    empty = dict.fromkeys(
        ("G4LEDATA", "G4LEVELGAMMADATA", "G4ENSDFSTATEDATA", "G4PARTICLEXSDATA"), str(tmp_path / "nothing")
    )
    data = PhysicsData(environment={"GEANT4_DATA_DIR": str(tmp_path), **empty}, description="none", approximate=False)
    monkeypatch.setattr(sys.modules["caloforge.fullsim.simulate"], "prepare_physics_data", lambda *arguments: data)
    output = tmp_path / "full.h5"
    with pytest.raises(
        WorkError, match=r"Geant4 ended its process \(signal SIGABRT\).*not found.*the same command goes on"
    ) as caught:
        simulate(small, 10, output=output, workers=1)
    assert str(work_folder(output)) in str(caught.value)
    assert not output.exists()
    assert capfd.readouterr() == ("", "")  # the chatter is in the log
    assert "G4Exception" in (work_folder(output) / "geant4-0.log").read_text()


def test_the_table_of_materials_is_that_of_geant4(geant4: None) -> None:
    """In a process of its own, as importing Geant4 here would prepare it for good."""
    script = (
        "import geant4_pybind as g4, json\n"
        "nist = g4.G4NistManager.Instance()\n"
        "found = {}\n"
        "for name in map(str, nist.GetNistMaterialNames()):\n"
        "    made = nist.FindOrBuildMaterial(name)\n"
        "    elements = {round(made.GetElement(i).GetZ()) for i in range(made.GetNumberOfElements())}\n"
        "    found[name] = sorted(elements)\n"
        "print('FOUND', json.dumps(found))\n"
    )
    data = prepare_physics_data("G4EmStandardPhysics_option1", [1, 6, 82])
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **data.environment},
    )
    found = json.loads(done.stdout.partition("FOUND")[2])
    assert {name: list(elements) for name, elements in nist_materials().items()} == found
