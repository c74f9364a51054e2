"""From conditions in MeV to showers in MeV: engines, blocks, local worker processes."""

from caloforge.generation.engines import ENGINES, available_cores, choose_engine, load_sampler
from caloforge.generation.generate import generate

__all__ = ["ENGINES", "available_cores", "choose_engine", "generate", "load_sampler"]
