"""What a program that knows nothing of CaloForge needs to use an exported graph: text beside it, in the same file.

docs/deployment.md lists the entries. Lists are separated by blanks, so that no parser is needed to read them.
"""

from __future__ import annotations

from collections.abc import Mapping

from caloforge._version import __version__
from caloforge.detector import Cells, PolarCells, RectangularCells
from caloforge.models.bundle import Bundle

VERSION = 1
"""Of the contract in docs/deployment.md; a change that breaks programs written for it counts up."""

_ENTRIES = 14  # the field metadata_props of ModelProto, in onnx.proto
_KEY, _VALUE = 1, 2  # the fields of StringStringEntryProto


def metadata(bundle: Bundle) -> dict[str, str]:
    """The entries of the exported graph of a bundle."""
    detector, domain = bundle.detector, bundle.domain
    entries = {
        "format_version": str(VERSION),
        "version": __version__,
        "family": bundle.family,
        "bundle_sha256": bundle.digest,
        "detector": detector.name,
        "detector_toml": detector.toml,
        "conditions": " ".join([*detector.condition_names, "pdg"]),
        "units": " ".join([*(spec.unit for spec in detector.conditions), "1"]),
        "low": " ".join(map(repr, domain.low)),
        "high": " ".join(map(repr, domain.high)),
        "particles": " ".join(map(str, domain.particles)),
        "noise_width": str(bundle.noise_width),
        "cells": "\n".join("{} {}".format(*_shape(layer.cells)) for layer in detector.cell_layers),
    }
    return {f"caloforge.{name}": value for name, value in entries.items()}


def with_metadata(graph: bytes, entries: Mapping[str, str]) -> bytes:
    """A serialised ONNX model with these entries in its ``metadata_props``.

    Protocol buffers that follow each other are one message, whose repeated fields are joined
    (https://protobuf.dev/programming-guides/encoding/#last-one-wins), so nothing of the graph has to be parsed and the
    package ``onnx``, which the light installation lacks, is not needed.
    """
    pairs = (_field(_KEY, key.encode()) + _field(_VALUE, value.encode()) for key, value in entries.items())
    return graph + b"".join(_field(_ENTRIES, pair) for pair in pairs)


def _shape(cells: Cells) -> tuple[int, int]:
    """Cells along the first and the second index, which runs fastest."""
    if isinstance(cells, RectangularCells):
        return cells.shape
    assert isinstance(cells, PolarCells)
    return cells.sectors, cells.n_rings


def _field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes: its number with the wire type 2, the length, the content."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
