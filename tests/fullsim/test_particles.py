"""What hadrons must do that electrons do not, and which physics that takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.cli import main
from caloforge.detector import draw_conditions
from caloforge.fullsim import simulate
from caloforge.showers import ShowerFile, Showers, load

ENERGY = 1000.0
EVENTS = 120
PARTICLES = {"e-": 11, "pi+": 211, "proton": 2212}
HADRONIC = "G4EmStandardPhysics_option1+FTFP_BERT"


@pytest.fixture(scope="module")
def taking(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small detector for more particles, deep enough for one or two nuclear interaction lengths."""
    path = tmp_path_factory.mktemp("detector") / "taking.toml"
    text = small.read_text(encoding="utf-8").replace("[11, 22]", "[11, 22, 211, -211, 2212, 2112]")
    path.write_text(text.replace("repeat = 30", "repeat = 50"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def mixed(geant4: None, taking: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Electrons, pions and protons of 1 GeV in one file."""
    output = tmp_path_factory.mktemp("mixed") / "mixed.h5"
    line = ["simulate", str(taking), "-n", str(3 * EVENTS), "--particle", "e-,pi+,proton", "--seed", "5", "--json"]
    assert main([*line, "--energy", str(ENERGY), str(ENERGY), "--workers", "1", "-o", str(output)]) == 0
    return output


@pytest.fixture(scope="module")
def showers(mixed: Path) -> dict[str, Showers]:
    whole = load(mixed)
    return {name: whole[whole.conditions.pdg == code] for name, code in PARTICLES.items()}


def deposited(showers: Showers) -> NDArray[np.float64]:
    """All energy left in the detector, (N,) MeV."""
    assert showers.layer_energies is not None
    assert showers.absorber_energies is not None
    layers = showers.layer_energies.astype(np.float64) + showers.absorber_energies.astype(np.float64)
    return np.asarray(layers.sum(axis=1))


def test_a_mixture_is_simulated_with_hadronic_physics(mixed: Path, taking: Path, showers: dict[str, Showers]) -> None:
    with ShowerFile(mixed) as file:
        facts = file.provenance
        conditions = file.conditions()
        drawn = draw_conditions(file.detector, 5, 0, len(file), dict.fromkeys(PARTICLES.values(), 1), ENERGY)
    assert facts["physics"] == HADRONIC
    assert facts["particle"] == pytest.approx({"11": 1 / 3, "211": 1 / 3, "2212": 1 / 3})
    np.testing.assert_array_equal(conditions.pdg, drawn.pdg)
    assert min(map(len, showers.values())) > 0.7 * EVENTS


def test_no_particle_leaves_more_than_it_brought(showers: dict[str, Showers]) -> None:
    """The pion brings its mass besides, which its decay and its absorption set free."""
    assert deposited(showers["e-"]).max() < ENERGY * (1 + 1e-5)
    assert deposited(showers["proton"]).max() < ENERGY * (1 + 1e-5)
    assert deposited(showers["pi+"]).max() < ENERGY + 139.6 + 1e-2


def test_hadron_showers_are_deeper_and_fluctuate_more(showers: dict[str, Showers]) -> None:
    depth, spread = {}, {}
    for name, some in showers.items():
        assert some.layer_energies is not None
        profile = some.layer_energies.sum(axis=0, dtype=np.float64)
        depth[name] = float(profile @ np.arange(len(profile)) / profile.sum())
        visible = some.layer_energies.sum(axis=1, dtype=np.float64)
        spread[name] = float(visible.std() / visible.mean())
    for name in ("pi+", "proton"):
        assert depth[name] > 1.5 * depth["e-"]
        assert spread[name] > 1.5 * spread["e-"]
    # Nuclear binding energy, neutrons and neutrinos are lost; hardly anything of an electron is.
    assert deposited(showers["proton"]).mean() < 0.9 * deposited(showers["e-"]).mean()


def test_an_electrons_event_does_not_depend_on_the_shard_it_is_in(mixed: Path, taking: Path, tmp_path: Path) -> None:
    first = simulate(
        taking,
        7,
        output=tmp_path / "few.h5",
        seed=5,
        workers=1,
        energy=ENERGY,
        particle={11: 1, 211: 1, 2212: 1},
    )
    np.testing.assert_array_equal(load(first).energies, load(mixed, 0, 7).energies)


def test_electrons_alone_take_electromagnetic_physics(taking: Path, geant4: None, tmp_path: Path) -> None:
    with ShowerFile(simulate(taking, 2, output=tmp_path / "e.h5", workers=1)) as file:
        assert file.provenance["physics"] == "G4EmStandardPhysics_option1"
        assert file.provenance["particle"] == 11


def test_conditions_of_a_table(taking: Path, geant4: None, tmp_path: Path) -> None:
    table = tmp_path / "beam.csv"
    table.write_text("pdg,energy,x,angle_yz,run\n11,500,1,0.1,7\n211,800,2,0,7\n2112,600,-3,0.2,7\n")
    output = tmp_path / "full.h5"
    assert main(["simulate", str(taking), "--like", str(table), "-o", str(output), "--workers", "1", "--json"]) == 0
    with ShowerFile(output) as file:
        facts, found = file.provenance, file.conditions()
    assert (facts["physics"], facts["particle"], facts["conditions"]) == (HADRONIC, None, "those of beam.csv")
    assert found.pdg.tolist() == [11, 211, 2112]
    expected = np.array([[500, 1, 0.1], [800, 2, 0], [600, -3, 0.2]])
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-6, atol=1e-7)
