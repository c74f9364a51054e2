"""A small but real ONNX sampler in a bundle: dense layer, convolution, energies scaled by the incident energy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.models.bundle import Domain, write_bundle

NOISE_WIDTH = 6


def tiny_graph(detector: Detector, offset: float = 0.0) -> bytes:
    """Showers = E * relu(conv(relu([conditions, noise] W)) + offset) / n_cells; offset < 0 breaks the contract."""
    onnx = pytest.importorskip("onnx", reason="the test's sampler is built with onnx (extra 'train')")
    from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

    rng = np.random.default_rng(8)
    width, (rows, columns) = len(detector.conditions) + 1, detector.cells.shape

    def constant(name: str, values: NDArray[np.generic]) -> TensorProto:
        return numpy_helper.from_array(values, name)

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    constants = [
        constant("scale", np.append(1 / np.maximum(np.abs(detector.low), detector.high), 0.1).astype(np.float32)),
        constant("weights", normal(width + NOISE_WIDTH, 4 * rows * columns)),
        constant("kernel", normal(1, 4, 3, 3)),
        constant("image", np.array([-1, 4, rows, columns])),
        constant("flat", np.array([-1, rows * columns])),
        constant("first", np.array([0])),
        constant("second", np.array([1])),
        constant("axis", np.array([1])),
        constant("offset", np.array(offset, dtype=np.float32)),
        constant("cells", np.array(rows * columns, dtype=np.float32)),
    ]
    node = helper.make_node
    nodes = [
        node("Mul", ["conditions", "scale"], ["scaled"]),
        node("Concat", ["scaled", "noise"], ["inputs"], axis=1),
        node("MatMul", ["inputs", "weights"], ["dense"]),
        node("Relu", ["dense"], ["active"]),
        node("Reshape", ["active", "image"], ["images"]),
        node("Conv", ["images", "kernel"], ["convolved"], pads=[1, 1, 1, 1]),
        node("Relu", ["convolved"], ["positive"]),
        node("Reshape", ["positive", "flat"], ["values"]),
        node("Slice", ["conditions", "first", "second", "axis"], ["energy"]),
        node("Add", ["values", "offset"], ["shifted"]),
        node("Div", ["shifted", "cells"], ["shares"]),
        node("Mul", ["shares", "energy"], ["showers"]),
    ]

    def tensor(name: str, columns: int) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", columns])

    graph = helper.make_graph(
        nodes,
        "tiny",
        [tensor("conditions", width), tensor("noise", NOISE_WIDTH)],
        [tensor("showers", detector.n_cells)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


@pytest.fixture(scope="session")
def write_tiny(lhcb: Detector) -> Callable[..., Path]:
    """``write_tiny(path, graph, high, detector)``: a bundle of the tiny sampler, or with another of these."""

    def write(
        path: Path,
        graph: bytes | None = None,
        high: tuple[float, ...] | None = None,
        detector: Detector = lhcb,
    ) -> Path:
        whole = Domain.of(detector)
        return write_bundle(
            path,
            family="wgan-gp",
            detector=detector,
            domain=Domain(names=whole.names, low=whole.low, high=high or whole.high, particles=(11,)),
            noise_width=NOISE_WIDTH,
            config={},
            metrics={},
            provenance={"made": "for tests"},
            parts={"sampler.onnx": tiny_graph(detector) if graph is None else graph},
        )

    return write


@pytest.fixture(scope="session")
def tiny_model(write_tiny: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a bundle with a working sampler of random weights."""
    return write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.caloforge")


@pytest.fixture(scope="session")
def broken_graph(lhcb: Detector) -> bytes:
    """A sampler that gives negative energies."""
    return tiny_graph(lhcb, offset=-10.0)
