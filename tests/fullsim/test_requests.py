"""Bad requests are refused before Geant4 starts, which takes no time and leaves no file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caloforge.cli import main
from caloforge.detector import Conditions, Detector, Particle, detector_from_toml, load_detector
from caloforge.errors import MissingExtraError, RequestError
from caloforge.fullsim import simulate
from caloforge.fullsim.job import BINDINGS, SHARD, Job, make_job
from caloforge.fullsim.log import last_words
from caloforge.fullsim.primaries import event_seeds, make_primaries
from caloforge.showers import Showers, save


@pytest.fixture(autouse=True)
def no_geant4(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may get as far as a worker."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("Geant4 was started")

    monkeypatch.setattr("caloforge.fullsim.farm.simulate_shards", refuse)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == BINDINGS else find_spec(name))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("G4_Pb", "G4_PB", "unknown material 'G4_PB'; did you mean 'G4_Pb'?"),
        ("[cells]", "[simulation]\nphysic_list = 'x'\n[cells]", "unknown key; did you mean 'physics_list'?"),
        ("[cells]", "[simulation]\nphysics_list = 'QGSP'\n[cells]", "unknown physics list 'QGSP'"),
        ("[cells]", "[simulation]\nproduction_cut = 0.0\n[cells]", "production_cut: Input should be greater than 0"),
        (
            "[11, 22]",
            "[211]\nsimulation = { physics_list = 'G4EmStandardPhysics_option1' }",
            "does not simulate the particle with PDG code 211; in [simulation] leave physics_list out, or set it to",
        ),
        ("[11, 22]", "[12]", "no physics list here simulates the particle with PDG code 12; those that can be"),
        ('name = "x"', 'name = "time"', "condition 'time' of small cannot be derived"),
        ("high = 25.0", "high = 160.0", "a particle with x 160 mm does not enter the face of small"),
    ],
)
def test_a_detector_that_cannot_be_simulated(small: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    text = small.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(RequestError) as caught:
        simulate(path, 10, output=tmp_path / "full.h5")
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say how many showers (-n N)"),
        (["-n", "0"], "at least 1, not 0"),
        (["-n", "5", "--seed", "-1"], "the seed must be an integer from 0"),
        (["-n", "5", "--workers", "0"], "workers must be at least 1"),
        (["-n", "5", "--particle", "pi+"], "does not take the particle with PDG code 211"),
        (["-n", "5", "--particle", "e-,pi+"], "does not take the particle with PDG code 211"),
        (["-n", "5", "--particle", "e-:-1"], "weight of the particle 11 in a mixture must be positive; got -1"),
        (["-n", "5", "--particle", "gama"], "did you mean 'gamma'?"),
        (["-n", "5", "--energy", "-5", "10"], "the energy must be positive"),
        (["-n", "5", "--energy", "10", "5"], "a range ascending"),
        (["-n", "5", "--like", "none.h5"], "none.h5: no such file"),
        (["--like", "none.h5", "--energy", "5", "10"], "--like takes energy and particle from its file"),
    ],
)
def test_a_bad_request_is_one_line_and_exit_code_2(
    small: Path,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", str(small), "-o", "full.h5", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_exists_is_kept(small: Path, tmp_path: Path) -> None:
    output = tmp_path / "full.h5"
    output.write_text("precious")
    with pytest.raises(RequestError, match="exists; choose another name or pass --overwrite"):
        simulate(small, 10, output=output)
    assert output.read_text() == "precious"


def test_conditions_of_another_detector(small: Path, make_showers: Callable[..., Showers], tmp_path: Path) -> None:
    save(tmp_path / "lhcb.h5", make_showers(3), source="model", provenance={})
    with pytest.raises(RequestError, match="small needs energy, x, angle_yz"):
        simulate(small, output=tmp_path / "full.h5", like=tmp_path / "lhcb.h5")
    with pytest.raises(RequestError, match="has the conditions of 3 showers; 4 were asked for"):
        simulate("lhcb-ecal", 4, output=tmp_path / "full.h5", like=tmp_path / "lhcb.h5")


def test_without_geant4_the_error_says_what_brings_it(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'caloforge\[fullsim\]'"):
        simulate(small, 10, output=tmp_path / "full.h5")
    assert list(tmp_path.iterdir()) == []


def test_primaries_are_the_conditions_a_file_holds(small: Path) -> None:
    detector = load_detector(small)
    conditions = Conditions(detector, np.array([[500.0, 3.0, 0.2], [800.0, -4.0, 0.0]]), np.array([11, 22]))
    primaries = make_primaries(conditions, seed=1, start=7)
    assert primaries.events.tolist() == [7, 8]
    assert primaries.pdg.tolist() == [11, 22]
    np.testing.assert_array_equal(primaries.energies, [500.0, 800.0])
    np.testing.assert_array_equal(primaries.positions, [[3.0, 0.0], [-4.0, 0.0]])
    np.testing.assert_allclose(primaries.directions, [[0, np.sin(0.2), np.cos(0.2)], [0, 0, 1]], atol=1e-7)
    np.testing.assert_allclose(np.linalg.norm(primaries.directions, axis=1), 1, rtol=1e-15)


def test_seeds_differ_between_events_and_runs() -> None:
    seeds = np.concatenate([event_seeds(seed, 0, 100_000) for seed in (0, 1)])
    assert len(np.unique(seeds)) == len(seeds)
    assert seeds.min() > 0
    assert (seeds >> 61 & 1).mean() == pytest.approx(0.5, abs=0.01)  # all 62 bits are in use
    np.testing.assert_array_equal(event_seeds(1, 40, 3), seeds[100_040:100_043])


def test_shards_cover_every_event_once(small: Path) -> None:
    for n in (1, SHARD - 1, SHARD, SHARD + 1, 10 * SHARD + 3):
        job = make_job(small, n, seed=0, like=None, energy=None, particle=None)
        events = [event for start, stop in job.shards() for event in range(start, stop)]
        assert events == list(range(n))
        assert max(stop - start for start, stop in job.shards()) <= SHARD


def test_what_a_table_says_is_part_of_a_jobs_identity(small: Path, tmp_path: Path) -> None:
    """So that a run with another table does not go on where this one was interrupted."""
    identities, table = [], tmp_path / "beam.csv"
    for rows in ("500,1,0.1,11", "500,1,0.1,22", "501,1,0.1,11"):
        table.write_text(f"energy,x,angle_yz,pdg\n{rows}\n")
        identities.append(make_job(small, None, seed=0, like=table, energy=None, particle=None).identity())
    assert len({str(identity["conditions"]) for identity in identities}) == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("energy,x,angle_yz,pdg\n500,1,0.1,211\n", "does not take the particle with PDG code 211"),
        ("energy,x,angle_yz\n500,170,0.1\n", "a particle with x 170 mm does not enter the face of small"),
        ("energy,x,angle_yz\n-500,1,0.1\n", "energy is -500 in line 2; energies are positive"),
        ("energy,x\n500,1\n", "lacks the column 'angle_yz'"),
    ],
)
def test_a_table_that_cannot_be_simulated(small: Path, tmp_path: Path, rows: str, message: str) -> None:
    table = tmp_path / "beam.csv"
    table.write_text(rows)
    with pytest.raises(RequestError, match=message):
        simulate(small, output=tmp_path / "full.h5", like=table)
    assert list(tmp_path.iterdir()) == [table]


def test_the_particles_decide_the_physics_list() -> None:
    electromagnetic, hadronic = "G4EmStandardPhysics_option1", "G4EmStandardPhysics_option1+FTFP_BERT"

    def job(particle: Particle | None, detector: str | Detector = "lhcb-ecal") -> Job:
        return make_job(detector, 1, seed=0, like=None, energy=None, particle=particle)

    assert [job(code).physics_list for code in (None, -11, 22)] == [electromagnetic] * 3
    assert [job(code).physics_list for code in (211, -211, 2212, 2112)] == [hadronic] * 4
    # One hadron in a thousand: also an electron's event must not depend on which others are simulated beside it.
    mixed = job({11: 999, 211: 1})
    assert mixed.physics_list == hadronic
    assert mixed.identity() != job(11).identity()
    assert mixed.identity() != job({11: 998, 211: 1}).identity()
    assert mixed.identity() == job({211: 2, 11: 1998.0}).identity()
    named = load_detector("lhcb-ecal").toml + f"physics_list = '{hadronic}'\n"  # in its last table
    assert job(11, detector_from_toml(named)).physics_list == hadronic


def test_last_words_of_geant4(tmp_path: Path) -> None:
    log = tmp_path / "geant4.log"
    assert last_words(log) == "nothing in its log"
    log.write_text("hello\n\nSegmentation fault\n\n")
    assert last_words(log) == "Segmentation fault"
    log.write_text(
        "-------- WWWW ------- G4Exception-START -------- WWWW -------\n*** G4Exception : mat1\n"
        "      issued by : A::B\nOnly a warning\n*** This is just a warning message. ***\n"
        "-------- WWWW ------- G4Exception-END -------- WWWW -------\nmore\n"
        "-------- EEEE ------- G4Exception-START -------- EEEE -------\n*** G4Exception : had014\n"
        "      issued by : G4GammaNuclearXS::RetrieveVector(..)\nData file <x> is not opened!\n second line\n\n"
        "*** Fatal Exception *** core dump ***\n **** Track information is not available at this moment\n"
        "-------- EEEE -------- G4Exception-END --------- EEEE -------\n\n*** G4Exception: Aborting execution ***\n"
    )
    assert (
        last_words(log) == "Data file <x> is not opened! second line (had014 in G4GammaNuclearXS::RetrieveVector(..))"
    )


def test_a_file_without_showers_gives_no_conditions(tmp_path: Path, showers: Showers) -> None:
    save(tmp_path / "none.h5", showers[:0], source="import", provenance={})
    with pytest.raises(RequestError, match=r"none\.h5 has no showers"):
        simulate(like=tmp_path / "none.h5", output=tmp_path / "full.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["none.h5"]
