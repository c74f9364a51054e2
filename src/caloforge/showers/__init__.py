"""The validated container of showers and its files."""

from caloforge.showers.container import Showers, concatenate
from caloforge.showers.hdf5 import ShowerFile, ShowerWriter, load, save

__all__ = ["ShowerFile", "ShowerWriter", "Showers", "concatenate", "load", "save"]
