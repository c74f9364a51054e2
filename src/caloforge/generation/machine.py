"""What this machine can do at most: the yardsticks for the arithmetic of a model."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from caloforge.errors import require
from caloforge.generation.graphs import openvino_core

_SIZE = 4096
_REPEATS = 5


def product_rate(threads: int) -> float:
    """Floating-point operations a second of a product of matrices, float32, 4,096 x 4,096; the best of five."""
    a = np.random.default_rng(0).standard_normal((_SIZE, _SIZE)).astype(np.float32)
    with threadpool_limits(threads):
        return 2 * _SIZE**3 / _least_seconds(lambda: np.matmul(a, a))


def bfloat16_product_rate(threads: int) -> float:
    """The same in bfloat16, by OpenVINO.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    openvino = require("openvino", "openvino")
    ops = require("openvino.opset13", "openvino")
    a = np.random.default_rng(0).standard_normal((_SIZE, _SIZE)).astype(np.float32)
    matrix = ops.parameter([_SIZE, _SIZE], np.float32)
    model = openvino.Model([ops.matmul(matrix, ops.constant(a), False, False)], [matrix])
    settings = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    request = openvino_core().compile_model(model, "CPU", settings).create_infer_request()
    return 2 * _SIZE**3 / _least_seconds(lambda: request.infer([a], share_inputs=True))


def copy_rate() -> float:
    """Bytes a second that one core reads and writes when it copies 256 MiB; the best of five."""
    source = np.ones(2**26, dtype=np.float32)
    target = np.empty_like(source)
    return 2 * source.nbytes / _least_seconds(lambda: np.copyto(target, source))


def _least_seconds(once: Callable[[], object]) -> float:
    once()
    seconds = []
    for _ in range(_REPEATS):
        before = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - before)
    return min(seconds)
