"""The closed table of verbs. The help of ``caloforge`` is made from it alone, so it imports none of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """A verb: its name, the module that has its function, one line of help, and the example its own help ends with."""

    name: str
    module: str
    help: str
    example: str

    @property
    def function(self) -> str:
        """The name of its function: that of the verb, as Python spells it."""
        return self.name.replace("-", "_")


VERBS = (
    Verb(
        "demo",
        "caloforge.cli.demo",
        "Generate showers with the shipped model and compare them with Geant4, in under 2 minutes.",
        "caloforge demo",
    ),
    Verb(
        "detectors",
        "caloforge.cli.detectors",
        "List the detectors, or describe and draw one.",
        "caloforge detectors lhcb-ecal --draw ecal.png",
    ),
    Verb(
        "simulate",
        "caloforge.cli.simulate",
        "Simulate showers in full with Geant4; resumes.",
        "caloforge simulate lhcb-ecal -n 200 -o full.h5",
    ),
    Verb(
        "physics-data",
        "caloforge.cli.physics_data",
        "Show which data files Geant4 would read, or download the official ones.",
        "caloforge physics-data install lhcb-ecal",
    ),
    Verb(
        "show",
        "caloforge.cli.show",
        "Say what a file of showers holds, and draw its mean image.",
        "caloforge show full.h5 --draw full.png",
    ),
    Verb(
        "generate",
        "caloforge.cli.generate",
        "Generate showers with a trained model.",
        "caloforge generate lhcb-ecal -n 10000 --seed 1 -o fast.h5",
    ),
    Verb(
        "evaluate",
        "caloforge.cli.evaluate",
        "Compare files of showers with a reference and write a report.",
        "caloforge evaluate fast.h5 --reference full.h5 -o report/",
    ),
    Verb(
        "train",
        "caloforge.cli.train",
        "Train a model on full simulation; resumes.",
        "caloforge train lhcb-ecal --data full.h5 --model wgan-gp -o model.caloforge",
    ),
    Verb(
        "bench",
        "caloforge.cli.bench",
        "Measure the time a shower takes.",
        "caloforge bench lhcb-ecal",
    ),
    Verb(
        "convert",
        "caloforge.cli.convert",
        "Convert a file of showers to another format.",
        "caloforge convert full.h5 full.npz --to lhcb-npz",
    ),
    Verb(
        "export",
        "caloforge.cli.export",
        "Write the ONNX graph of a trained model.",
        "caloforge export model.caloforge -o model.onnx",
    ),
)
