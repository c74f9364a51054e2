"""From conditions in MeV to showers in MeV: engines, blocks, local worker processes."""

from caloforge.generation.engines import available_cores, load_sampler
from caloforge.generation.generate import generate

__all__ = ["available_cores", "generate", "load_sampler"]
