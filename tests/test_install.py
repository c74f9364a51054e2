"""The light install: what it must contain, and that generating and comparing need nothing else."""

from __future__ import annotations

import importlib.resources
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import caloforge
from caloforge.models.bundle import reference_sample, shipped_bundle
from caloforge.showers import load, save

ROOT = Path(__file__).parents[1]
DATA = (
    "py.typed",
    "bundles/lhcb-ecal-reference.h5",
    "bundles/lhcb-ecal-wgan-gp.caloforge",
    "detector/data/lhcb-ecal.toml",
    "reports/templates/report.html.j2",
)

# Runs the command line where some packages are as if not installed: main(argv[3:]) without argv[1], source in argv[2].
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
sys.path.insert(0, sys.argv[2])
from caloforge.cli import main

sys.exit(main(sys.argv[3:]))
"""


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_generate_and_evaluate_work_without_the_extra_train(project: dict[str, Any], tmp_path: Path) -> None:
    extra = project["project"]["optional-dependencies"]["train"]
    blocked = [re.split(r"[<>=]", requirement)[0].replace("-", "_") for requirement in extra]
    assert {"torch", "lightning_fabric", "onnx", "onnxscript"} <= set(blocked)

    source = str(Path(caloforge.__file__).resolve().parents[1])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", WITHOUT, ",".join(blocked), source, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    made = run("generate", "lhcb-ecal", "-n", "150", "-o", "fast.h5", "--threads", "1")
    assert made.returncode == 0, made.stderr
    assert len(load(tmp_path / "fast.h5")) == 150
    save(tmp_path / "full.h5", load(reference_sample("lhcb-ecal"), 0, 300), source="geant4", provenance={})
    compared = run("evaluate", "fast.h5", "--reference", "full.h5", "-o", "report", "--quick")
    assert compared.returncode == 0, compared.stderr
    assert json.loads((tmp_path / "report" / "report.json").read_text())["samples"]
    refused = run("generate", "lhcb-ecal", "-n", "1", "-o", "torch.h5", "--engine", "torch")
    assert refused.returncode == 2
    assert "pip install 'caloforge[train]'" in refused.stderr


@pytest.mark.parametrize("name", DATA)
def test_the_package_has_its_data(name: str) -> None:
    assert importlib.resources.files("caloforge").joinpath(name).is_file()


def test_the_wheel_takes_all_of_the_package(project: dict[str, Any]) -> None:
    """Hatchling takes every file under the packages but those that git ignores or that are left out by name."""
    build = project["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"] == {"packages": ["src/caloforge"]}
    assert set(build) == {"targets"}
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("what git ignores can be asked in a clone only")
    paths = [f"src/caloforge/{name}" for name in DATA]
    ignored = subprocess.run([git, "check-ignore", "--no-index", *paths], cwd=ROOT, capture_output=True, check=False)
    assert (ignored.returncode, ignored.stdout) == (1, b"")  # 1: none of them


def test_the_default_model_is_the_one_in_the_wheel() -> None:
    assert shipped_bundle("lhcb-ecal").name in {Path(name).name for name in DATA}
