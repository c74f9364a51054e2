"""What an experiment makes of a shower: clusters, calibrated energies and positions, from cells alone."""

from caloforge.reconstruction.calibration import Calibration, calibrate
from caloforge.reconstruction.clusters import Clusters, find_clusters, has_clusters, seed_grid

__all__ = ["Calibration", "Clusters", "calibrate", "find_clusters", "has_clusters", "seed_grid"]
