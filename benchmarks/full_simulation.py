"""Every figure that full simulation must show, each part by itself or all of them.

    GEANT4_DATA_DIR=... python benchmarks/full_simulation.py --work WORK --test lhcb-ecal-electron-test.h5
    GEANT4_DATA_DIR=... python benchmarks/full_simulation.py --work WORK --only physics resume

``GEANT4_DATA_DIR`` names the reference tables. Simulated files are kept under ``--work`` and used again; an interrupted
run goes on. The whole takes about two hours on two cores; ``speed`` wants a machine with nothing else to do. Writes
``full-simulation.json``, ``full-simulation.md`` and plots to ``benchmarks/results``; parts left out keep what they had.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from fullsim.samples import Samples

import caloforge
from caloforge.processes import available_cores
from fullsim import detectors, first_use, physics, plots, reference, resume, speed, tables, text

PARTS = ("reference", "tables", "physics", "detectors", "resume", "first-use", "speed")
RESULTS = Path(__file__).parent / "results"


def measure(part: str, samples: Samples, test: Path | None) -> dict[str, Any]:
    if part == "reference":
        assert test is not None
        return reference.measure(samples, test)
    if part == "detectors":
        return detectors.measure(samples, RESULTS)
    measures = {
        "tables": tables.measure,
        "physics": physics.measure,
        "resume": resume.measure,
        "first-use": first_use.measure,
        "speed": speed.measure,
    }
    return measures[part](samples)


def plain(value: Any) -> Any:
    """Nothing but dicts, lists, texts and numbers of six digits."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float | np.floating) else value


def machine() -> str:
    """Processor, cores and Python of this machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {available_cores()} cores, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the simulated files")
    parser.add_argument("--test", type=Path, help="Geant4 showers to compare with, for the part reference")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    parser.add_argument("--workers", type=int, default=2, help="processes of a simulation (not of the part speed)")
    arguments = parser.parse_args()
    if "reference" in arguments.only and arguments.test is None:
        parser.error("the part reference needs --test")
    samples = Samples(arguments.work, arguments.workers)
    kept = RESULTS / "full-simulation.json"
    record: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    for part in arguments.only:
        found = measure(part, samples, arguments.test)
        made_by = {"caloforge": caloforge.__version__, "date": time.strftime("%Y-%m-%d"), "machine": machine()}
        record[part] = plain(found | {"made_by": made_by})
        RESULTS.mkdir(exist_ok=True)
        kept.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
        (RESULTS / "full-simulation.md").write_text(text.markdown(record))
        plots.draw(record, RESULTS)
    print(text.markdown(record))


if __name__ == "__main__":
    main()
