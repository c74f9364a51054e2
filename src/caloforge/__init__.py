"""CaloForge: generative models for fast simulation of particle detectors.

>>> import caloforge as cf
>>> cf.load_detector("lhcb-ecal").n_cells
900

Every verb of the command line has a function of the same name here. Names are imported when first used, so that
``import caloforge`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from caloforge._version import __version__

if TYPE_CHECKING:
    from caloforge.cli.demo import demo
    from caloforge.deployment import export
    from caloforge.detector import (
        Conditions,
        Detector,
        check_domain,
        detector_names,
        detectors,
        draw_conditions,
        from_file_form,
        load_detector,
    )
    from caloforge.errors import CaloForgeError
    from caloforge.evaluation import evaluate
    from caloforge.fullsim import simulate
    from caloforge.fullsim.install import install_physics_data
    from caloforge.fullsim.physics_data import physics_data
    from caloforge.generation import ShowerQueue, generate, open_queue
    from caloforge.generation.bench import bench
    from caloforge.generation.ensemble import generate_ensemble
    from caloforge.showers import ShowerFile, Showers, ShowerWriter, concatenate, load, save
    from caloforge.showers.convert import convert
    from caloforge.showers.show import show
    from caloforge.training import train

# Public name -> module that defines it.
_PUBLIC = {
    "CaloForgeError": "caloforge.errors",
    "Conditions": "caloforge.detector",
    "Detector": "caloforge.detector",
    "ShowerFile": "caloforge.showers",
    "ShowerQueue": "caloforge.generation",
    "ShowerWriter": "caloforge.showers",
    "Showers": "caloforge.showers",
    "bench": "caloforge.generation.bench",
    "check_domain": "caloforge.detector",
    "concatenate": "caloforge.showers",
    "convert": "caloforge.showers.convert",
    "demo": "caloforge.cli.demo",
    "detector_names": "caloforge.detector",
    "detectors": "caloforge.detector",
    "draw_conditions": "caloforge.detector",
    "evaluate": "caloforge.evaluation",
    "export": "caloforge.deployment",
    "from_file_form": "caloforge.detector",
    "generate": "caloforge.generation",
    "generate_ensemble": "caloforge.generation.ensemble",
    "install_physics_data": "caloforge.fullsim.install",
    "load": "caloforge.showers",
    "load_detector": "caloforge.detector",
    "open_queue": "caloforge.generation",
    "physics_data": "caloforge.fullsim.physics_data",
    "save": "caloforge.showers",
    "show": "caloforge.showers.show",
    "simulate": "caloforge.fullsim",
    "train": "caloforge.training",
}

__all__ = [
    "CaloForgeError",
    "Conditions",
    "Detector",
    "ShowerFile",
    "ShowerQueue",
    "ShowerWriter",
    "Showers",
    "__version__",
    "bench",
    "check_domain",
    "concatenate",
    "convert",
    "demo",
    "detector_names",
    "detectors",
    "draw_conditions",
    "evaluate",
    "export",
    "from_file_form",
    "generate",
    "generate_ensemble",
    "install_physics_data",
    "load",
    "load_detector",
    "open_queue",
    "physics_data",
    "save",
    "show",
    "simulate",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'caloforge' has no attribute {name!r}")
    value = vars(importlib.import_module(_PUBLIC[name]))[name]
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
