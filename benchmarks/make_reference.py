"""Make the Geant4 reference sample that comes with the package: 2,000 validation events of the training file.

    python benchmarks/make_reference.py lhcb-ecal-electron-train.h5

The last 5,000 events of that file are for validation (``validation_events`` of the training file); the sample is the
first 2,000 of these, so that neither training nor test events are in it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from caloforge.models.bundle import SHIPPED
from caloforge.showers import ShowerFile, save
from caloforge.training.config import WganGpConfig

EVENTS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the training file")
    parser.add_argument("--output", type=Path, help="default: inside the package")
    arguments = parser.parse_args()
    with ShowerFile(arguments.data) as file:
        first = len(file) - WganGpConfig().validation_events
        showers = file.read(first, first + EVENTS)
        facts = {**file.provenance, "taken_from": arguments.data.name, "events": [first, first + EVENTS]}
    output = arguments.output or SHIPPED / f"{showers.detector.name}-reference.h5"
    save(output, showers, source="geant4", provenance=facts, overwrite=True)
    print(f"{output}: {len(showers)} showers, {output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
