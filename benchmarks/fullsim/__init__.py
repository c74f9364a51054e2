"""The measurements of benchmarks/full_simulation.py, one a module."""
