"""From conditions in MeV to showers in MeV: engines, blocks, local worker processes."""

from caloforge.generation.choice import load_sampler
from caloforge.generation.generate import generate

__all__ = ["generate", "load_sampler"]
