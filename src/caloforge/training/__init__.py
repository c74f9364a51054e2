"""Training: from a shower file to a model bundle. Needs the extra ``train`` for the families that have networks."""

from caloforge.training.train import train

__all__ = ["train"]
