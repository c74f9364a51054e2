"""The first command of a new user: a new environment, no Geant4 data anywhere, an empty cache and no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import caloforge
from fullsim.samples import Samples
from fullsim.timing import timed

EVENTS = 200
BAR = 120.0
ROOT = Path(__file__).parents[2]


def measure(samples: Samples) -> dict[str, Any]:
    """Install (the only step with a network), then time the command alone."""
    folder = samples.work / "first-use"
    shutil.rmtree(folder, ignore_errors=True)
    home = folder / "home"
    home.mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    programs = folder / "venv" / "bin"
    install = [str(programs / "pip"), "install", "-qq", "-c", str(ROOT / "constraints.txt"), f"{ROOT}[fullsim]"]
    subprocess.run(install, check=True)
    packages = subprocess.run([str(programs / "pip"), "list"], check=True, capture_output=True, text=True).stdout
    cut_off = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*cut_off, "true"], check=False, capture_output=True).returncode:
        raise SystemExit("unshare cannot take the network away here; run as a user who may make namespaces")
    command = [*cut_off, str(programs / "caloforge"), "simulate", "lhcb-ecal", "-n", str(EVENTS), "-o", "full.h5"]
    environment = {"HOME": str(home), "PATH": f"{programs}:{os.defpath}", "LANG": "C.UTF-8"}
    done = timed(command, environment, folder)
    with caloforge.ShowerFile(folder / "full.h5") as file:
        made, tables = len(file), file.provenance["tables"]
    return {
        "events": made,
        "seconds": done.wall,
        "bar": BAR,
        "cores": os.cpu_count(),
        "others": done.others,
        "tables": tables,
        "said": [*done.out.splitlines(), *(line for line in done.err.splitlines() if "note" in line)],
        "packages": len(packages.splitlines()) - 2,
        "torch_installed": "\ntorch " in packages,
        "cache_megabytes": sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) / 1e6,
    }
