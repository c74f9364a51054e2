"""Trained models on their way into other programs."""

from caloforge.deployment.onnx import Export, export

__all__ = ["Export", "export"]
