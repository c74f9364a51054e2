"""From conditions in MeV to showers in MeV: engines, blocks, local worker processes, single requests."""

from caloforge.generation.choice import load_sampler
from caloforge.generation.generate import generate
from caloforge.generation.queue import ShowerQueue, open_queue

__all__ = ["ShowerQueue", "generate", "load_sampler", "open_queue"]
