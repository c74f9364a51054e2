"""Full simulation with Geant4: from a detector and conditions to showers."""

from caloforge.fullsim.simulate import simulate

__all__ = ["simulate"]
