"""Where Geant4's data come from: the user's datasets first, else tables in the cache; errors before Geant4 starts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import caloforge
from caloforge.cache import absent, cache_folder, write_files
from caloforge.errors import RequestError
from caloforge.fullsim import datasets
from caloforge.fullsim.physics_data import PhysicsData, prepare_physics_data, tables_folder

ELECTRONS = "G4EmStandardPhysics_option1"
HADRONS = "G4EmStandardPhysics_option1+FTFP_BERT"
ALL = (datasets.ELECTROMAGNETIC, datasets.NEUTRONS, datasets.LEVELS, datasets.STATES)

Official = Callable[[Path], Path]


pytestmark = pytest.mark.usefixtures("bare")


def make_official(parent: Path, elements: tuple[int, ...] = (6, 82)) -> Path:
    """Folders laid out as the official datasets, with the files that lead and carbon need."""
    for dataset in ALL:
        for name in dataset.files(elements):
            path = parent / dataset.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("" if dataset is datasets.STATES else "1\n")
        (parent / dataset.folder).mkdir(parents=True, exist_ok=True)
    return parent


def test_without_data_tables_are_computed_into_the_cache(geant4: None, tmp_path: Path) -> None:
    data = prepare_physics_data(HADRONS, [82, 1, 6, 6])
    assert data.approximate
    assert "built-in tables version 1" in data.description
    for dataset in ALL:
        folder = Path(data.environment[dataset.variable])
        assert folder.parent == tables_folder()
        assert tmp_path / "cache" / "caloforge" in folder.parents
        assert dataset.missing(folder, [1, 6, 82]) == []
    assert Path(data.environment[datasets.DATA_DIR]).is_dir()
    left = [path for path in (tmp_path / "cache").rglob("*") if "partial" in path.name]
    assert left == []


def test_tables_are_computed_once_and_only_what_is_lacking(geant4: None) -> None:
    folder = Path(prepare_physics_data(ELECTRONS, [6]).environment["G4LEDATA"])
    assert not (folder.parent / datasets.NEUTRONS.folder).exists()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    prepare_physics_data(ELECTRONS, [6, 13])
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert before.items() < after.items()
    assert (folder / "brem_SB" / "br13").is_file()


def test_a_cut_table_in_the_cache_is_made_again(geant4: None) -> None:
    folder = Path(prepare_physics_data(ELECTRONS, [6]).environment["G4LEDATA"])
    whole = (folder / "brem_SB" / "br6").read_text()
    (folder / "brem_SB" / "br6").write_text("")
    prepare_physics_data(ELECTRONS, [6])
    assert (folder / "brem_SB" / "br6").read_text() == whole


def test_processes_that_start_at_once_share_a_whole_cache(geant4: None, tmp_path: Path) -> None:
    code = f"from caloforge.fullsim.physics_data import prepare_physics_data as p; p({HADRONS!r}, [1, 6, 26])"
    path = str(Path(caloforge.__file__).parents[1])
    starts = [
        subprocess.Popen([sys.executable, "-c", f"import sys; sys.path.insert(0, {path!r}); {code}"]) for _ in range(3)
    ]
    assert [start.wait() for start in starts] == [0, 0, 0]
    together = {p.relative_to(tables_folder()): p.read_bytes() for p in tables_folder().rglob("*") if p.is_file()}
    assert not any("partial" in path.name for path in together)
    for dataset in ALL:
        assert dataset.missing(tables_folder() / dataset.folder, [1, 6, 26]) == []


def test_readers_never_see_half_a_table(tmp_path: Path) -> None:
    """The old text stays until the new one is whole, even when writing fails on the way."""
    write_files(tmp_path, {"a": "old"})
    with pytest.raises(UnicodeEncodeError):
        write_files(tmp_path, {"a": "new\N{GREEK SMALL LETTER ALPHA}"})
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


@pytest.mark.parametrize("physics_list", [ELECTRONS, HADRONS])
def test_the_folder_of_all_datasets_is_used(physics_list: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(datasets.DATA_DIR, str(make_official(tmp_path / "data")))
    data = prepare_physics_data(physics_list, [6, 82])
    assert not data.approximate
    assert data.environment["G4LEDATA"] == str(tmp_path / "data" / "G4EMLOW8.8")
    assert ("G4PARTICLEXSDATA" in data.environment) == (physics_list == HADRONS)
    assert "G4EMLOW8.8 (GEANT4_DATA_DIR)" in data.description
    assert not (tmp_path / "cache").exists()


def test_the_variable_of_a_dataset_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(datasets.DATA_DIR, str(make_official(tmp_path / "data")))
    mine = make_official(tmp_path / "mine") / "G4EMLOW8.8"
    monkeypatch.setenv("G4LEDATA", str(mine))
    data = prepare_physics_data(ELECTRONS, [6, 82])
    assert data.environment["G4LEDATA"] == str(mine)
    assert data.environment["G4ENSDFSTATEDATA"] == str(tmp_path / "data" / "G4ENSDFSTATE3.0")


def test_what_geant4_pybind_downloaded_is_used(tmp_path: Path) -> None:
    make_official(tmp_path / "home" / ".geant4_pybind")
    data = prepare_physics_data(ELECTRONS, [6, 82])
    assert not data.approximate
    assert data.environment["G4LEDATA"] == str(tmp_path / "home" / ".geant4_pybind" / "G4EMLOW8.8")


def test_a_download_that_was_cut_is_passed_over(geant4: None, tmp_path: Path) -> None:
    downloads = make_official(tmp_path / "home" / ".geant4_pybind")
    (downloads / "G4EMLOW8.8" / "brem_SB" / "br6").unlink()
    data = prepare_physics_data(ELECTRONS, [6, 82])
    assert data.approximate
    assert Path(data.environment["G4LEDATA"]).parent == tables_folder()
    assert data.environment["G4ENSDFSTATEDATA"] == str(downloads / "G4ENSDFSTATE3.0")


def test_the_latest_other_version_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_official(tmp_path / "data")
    for version in ("8.9", "8.10"):
        (make_official(tmp_path / version) / "G4EMLOW8.8").rename(data / f"G4EMLOW{version}")
    (data / "G4EMLOW8.8").rename(data / "unused")
    monkeypatch.setenv(datasets.DATA_DIR, str(data))
    assert prepare_physics_data(ELECTRONS, [6]).environment["G4LEDATA"] == str(data / "G4EMLOW8.10")


@pytest.mark.parametrize("variable", ["G4LEDATA", "G4ENSDFSTATEDATA", "G4LEVELGAMMADATA", datasets.DATA_DIR])
def test_a_variable_that_points_nowhere(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(datasets.DATA_DIR, str(make_official(tmp_path / "data")))
    monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
    with pytest.raises(RequestError, match=rf"{variable} points to .*nowhere, which is not a folder; install .* unset"):
        prepare_physics_data(ELECTRONS, [6, 82])


def test_a_dataset_that_is_not_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv(datasets.DATA_DIR, str(tmp_path / "empty"))
    with pytest.raises(RequestError, match=r"has no folder G4EMLOW8\.8; install .* unset GEANT4_DATA_DIR"):
        prepare_physics_data(ELECTRONS, [6])


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("G4EMLOW8.8/brem_SB/br82", "remove"),
        ("G4EMLOW8.8/epics2017/phot/pe-ss-cs-82.dat", "empty"),
        ("G4PARTICLEXS4.2/neutron/el79", "remove"),
        ("G4ENSDFSTATE3.0/ENSDFSTATE.dat", "remove"),
    ],
)
def test_a_file_that_is_missing_or_empty(
    name: str, action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_official(tmp_path / "data")
    if action == "remove":
        (data / name).unlink()
    else:
        (data / name).write_text("")
    monkeypatch.setenv(datasets.DATA_DIR, str(data))
    with pytest.raises(RequestError, match=f"lacks the file {name.split('/', 1)[1]} or has it empty; install"):
        prepare_physics_data(HADRONS, [6, 82])


def test_elements_beyond_uranium_need_the_official_data(geant4: None) -> None:
    with pytest.raises(RequestError, match="from hydrogen to uranium .* not the atomic number 95; .*GEANT4_DATA_DIR"):
        prepare_physics_data(ELECTRONS, [95])


def test_an_unknown_physics_list() -> None:
    with pytest.raises(RequestError, match="unknown physics list 'FTFP'"):
        prepare_physics_data("FTFP", [6])


def test_a_cache_that_cannot_be_written(geant4: None, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(RequestError, match="cannot write to .* set XDG_CACHE_HOME"):
        prepare_physics_data(ELECTRONS, [6])


def test_the_cache_follows_the_standard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "cache" / "caloforge"
    for unusable in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        assert cache_folder() == tmp_path / "home" / ".cache" / "caloforge"


def test_absent_knows_missing_from_empty(tmp_path: Path) -> None:
    write_files(tmp_path, {"full": "1", "empty": ""})
    assert absent(tmp_path, ["full", "empty", "none"]) == ["empty", "none"]
    assert absent(tmp_path, ["full", "empty", "none"], 0) == ["none"]


def test_geant4_itself_takes_the_tables(geant4: None, tmp_path: Path) -> None:
    """An electron of 200 MeV in lead, with hadron physics built too: all its energy is found in the block."""
    data = prepare_physics_data(HADRONS, [82])
    assert isinstance(data, PhysicsData)
    done = subprocess.run(
        [sys.executable, "-c", _BLOCK],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **data.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    energies = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("DEPOSITED")]
    assert len(energies) == 5
    # The block ends 35 radiation lengths from its middle: only soft photons leave it.
    assert min(energies) > 195
    assert max(energies) < 200.001


_BLOCK = """
import geant4_pybind as g4

kept = []

class Block(g4.G4VUserDetectorConstruction):
    def Construct(self):
        solid = g4.G4Box("block", 200.0, 200.0, 200.0)
        self.volume = g4.G4LogicalVolume(solid, g4.G4NistManager.Instance().FindOrBuildMaterial("G4_Pb"), "block")
        placed = g4.G4PVPlacement(None, g4.G4ThreeVector(), self.volume, "block", None, False, 0, False)
        kept.extend([solid, placed])
        return placed

    def ConstructSDandField(self):
        detector, scorer = g4.G4MultiFunctionalDetector("d"), g4.G4PSEnergyDeposit("e")
        detector.RegisterPrimitive(scorer)
        kept.extend([detector, scorer])
        g4.G4SDManager.GetSDMpointer().AddNewDetector(detector)
        self.SetSensitiveDetector(self.volume, detector)

class Physics(g4.G4VModularPhysicsList):
    def __init__(self):
        super().__init__()
        for part in (g4.G4EmStandardPhysics_option1, g4.G4DecayPhysics, g4.G4HadronElasticPhysics,
                     g4.G4HadronPhysicsFTFP_BERT, g4.G4StoppingPhysics, g4.G4NeutronTrackingCut):
            kept.append(part())
            self.RegisterPhysics(kept[-1])

class Gun(g4.G4VUserPrimaryGeneratorAction):
    def __init__(self):
        super().__init__()
        self.gun = g4.G4ParticleGun(1)
        self.gun.SetParticleDefinition(g4.G4ParticleTable.GetParticleTable().FindParticle("e-"))
        self.gun.SetParticleEnergy(200.0)
        self.gun.SetParticleMomentumDirection(g4.G4ThreeVector(0, 0, 1))

    def GeneratePrimaries(self, event):
        self.gun.GeneratePrimaryVertex(event)

class Event(g4.G4UserEventAction):
    def EndOfEventAction(self, event):
        print("DEPOSITED", sum(v for _, v in event.GetHCofThisEvent().GetHC(0)), flush=True)

class Actions(g4.G4VUserActionInitialization):
    def Build(self):
        self.kept = [Gun(), Event()]
        for action in self.kept:
            self.SetUserAction(action)

manager = g4.G4RunManagerFactory.CreateRunManager(g4.G4RunManagerType.SerialOnly)
parts = [Block(), Physics(), Actions()]
for part in parts:
    manager.SetUserInitialization(part)
manager.Initialize()
manager.BeamOn(5)
"""
