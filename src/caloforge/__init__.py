"""CaloForge: generative models for fast simulation of particle detectors."""

from caloforge._version import __version__ as __version__
