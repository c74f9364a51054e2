"""Several bundles at once: their files, the table of the verb, and what is refused before any work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caloforge.cli import main
from caloforge.detector import Detector, load_detector
from caloforge.errors import FormatError, RequestError
from caloforge.generation import generate
from caloforge.generation.ensemble import generate_ensemble
from caloforge.models.bundle import Domain, write_bundle
from caloforge.showers import load


def test_members_are_the_models_under_the_same_conditions(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = [str(tiny_model)] * 2
    line = ["generate", "lhcb-ecal", "--ensemble", *members, "-n", "60", "--seed", "3", "-o", str(tmp_path / "out.h5")]
    assert main([*line, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["outputs"] == [str(tmp_path / f"out.member-{number}.h5") for number in (1, 2)]
    assert {row["mean_spread"] for row in printed["spread"]} == {0.0}
    alone = generate(n=60, seed=3, model=tiny_model, output=tmp_path / "alone.h5")
    assert isinstance(alone, Path)
    expected = load(alone)
    for output in printed["outputs"]:
        made = load(output)
        np.testing.assert_array_equal(made.energies, expected.energies)
        np.testing.assert_array_equal(made.conditions.matrix, expected.conditions.matrix)
    assert main(line) == 2
    assert "member-1.h5 exists" in capsys.readouterr().err
    assert main([*line, "--overwrite"]) == 0
    out = capsys.readouterr().out
    assert "2 members, 60 showers each" in out
    assert "width_along" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ensemble", "MODEL"], "two members at least"),
        (["--ensemble"], "two members at least"),
        (["--ensemble", "MODEL", "missing.caloforge"], "no such file"),
        (["--ensemble", "MODEL", "MODEL", "--model", "MODEL"], "leave out --model"),
        (["MODEL"], "give one model with --model"),
    ],
)
def test_wrong_ensembles_cost_one_line_and_leave_nothing(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    given = [str(tiny_model) if option == "MODEL" else option for option in options]
    assert main(["generate", "lhcb-ecal", *given, "-n", "50", "-o", str(tmp_path / "out.h5")]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_members_of_other_detectors_or_particles_are_refused(
    tiny_model: Path, write_tiny: Callable[..., Path], tmp_path: Path, lhcb: Detector
) -> None:
    def bundle(name: str, detector: Detector, particle: int) -> Path:
        whole = Domain.of(detector)
        return write_bundle(
            tmp_path / name,
            family="neighbour",
            detector=detector,
            domain=Domain(whole.names, whole.low, whole.high, (particle,)),
            noise_width=0,
            config={},
            metrics={},
            provenance={},
            parts={},
        )

    output = tmp_path / "out.h5"
    other = bundle("other.caloforge", load_detector("calogan"), 11)
    with pytest.raises(RequestError, match=r"other\.caloforge.*differ in name: calogan and lhcb-ecal"):
        generate_ensemble(lhcb, 50, models=[tiny_model, other], output=output)
    photons = bundle("photons.caloforge", lhcb, 22)
    with pytest.raises(RequestError, match=r"photons\.caloforge makes showers of the particles \(22,\)"):
        generate_ensemble(lhcb, 50, models=[tiny_model, photons], output=output)
    with pytest.raises(FormatError, match="no such file"):
        generate_ensemble(lhcb, 50, models=[tiny_model, tmp_path / "none.caloforge"], output=output)
    assert not list(tmp_path.glob("*.h5"))
