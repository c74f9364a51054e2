"""Families of fast models behind one contract (``base.Sampler``), and the file that a trained one lives in."""
