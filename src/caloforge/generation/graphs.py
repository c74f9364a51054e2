"""The graph of a bundle, run by onnxruntime or by OpenVINO: a call is the work of one thread, or of a GPU."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from threading import Lock
from types import ModuleType
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import draw_conditions
from caloforge.errors import FormatError, RequestError, WorkError, require
from caloforge.models.base import Sampler
from caloforge.models.bundle import Bundle

GRAPH = "sampler.onnx"
CUDA_ROWS = 1024
"""Showers of every call on a GPU, whose sums depend on their number: fewer are filled up with repetitions."""
Precision = Literal["float32", "bfloat16"]
_CUDA = ("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})
_FIRST_CALL = Lock()
"""Two threads whose calls are the first of a process can wait for each other for ever, inside OpenVINO's bindings."""


@final
class OnnxSampler(Sampler):
    """Run ``sampler.onnx`` of a bundle with onnxruntime, in the thread that calls.

    Args:
        bundle: has the part ``sampler.onnx``: inputs ``conditions`` (N, C + 1) and ``noise`` (N, noise_width), output
            ``showers`` (N, n_cells), all float32, MeV.
        cuda: on the first GPU that the process sees, in float32 and with deterministic sums.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        RequestError: a GPU is asked for, and onnxruntime cannot use one here.
        FormatError: the graph cannot be loaded or has other inputs or outputs.
    """

    def __init__(self, bundle: Bundle, cuda: bool = False) -> None:
        onnxruntime = _import_onnxruntime()
        super().__init__(bundle.detector, bundle.noise_width)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.use_deterministic_compute = cuda
        if cuda:
            if _CUDA[0] not in onnxruntime.get_available_providers():
                raise RequestError(
                    "the onnxruntime installed here is the one for CPUs; the engine onnxruntime-cuda needs that for "
                    "GPUs in its place: pip uninstall onnxruntime; pip install 'onnxruntime-gpu[cuda,cudnn]'"
                )
            onnxruntime.preload_dlls()
        try:
            self._session = onnxruntime.InferenceSession(
                bundle.part(GRAPH), sess_options=options, providers=[_CUDA if cuda else "CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions have no base class of their own
            raise FormatError(
                f"{bundle.path}: onnxruntime cannot load the part {GRAPH}: {_reason(error)}; it is damaged, or made "
                "for a later version (pip install -U onnxruntime)"
            ) from error
        _check_names(
            bundle,
            [item.name for item in self._session.get_inputs()],
            [item.name for item in self._session.get_outputs()],
        )
        if cuda and self._session.get_providers()[0] != _CUDA[0]:  # onnxruntime falls back to the CPU by itself
            raise RequestError(
                "onnxruntime cannot use a GPU here: what it misses is in its own message above; nvidia-smi must list a "
                "GPU, and CUDA and cuDNN come with pip install 'onnxruntime-gpu[cuda,cudnn]'"
            )
        self._least = CUDA_ROWS if cuda else 0

    def sample(self, conditions: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :meth:`Sampler.sample`."""
        conditions, noise = self.checked(conditions, noise)
        count = len(conditions)
        if count < self._least:
            conditions, noise = (np.resize(item, (self._least, item.shape[1])) for item in (conditions, noise))
        try:
            showers: NDArray[np.float32] = self._session.run(["showers"], {"conditions": conditions, "noise": noise})[0]
        except Exception as error:  # as above
            raise WorkError(f"onnxruntime failed in the part {GRAPH} of the bundle: {error}") from error
        return showers[:count]


@final
class OpenVinoSampler(Sampler):
    """Run ``sampler.onnx`` of a bundle with OpenVINO, in float32 or with the products of matrices in bfloat16.

    Args:
        bundle: as for :class:`OnnxSampler`.
        threads: how many may call at a time; each call is one thread's work.
        precision: of products and convolutions; "bfloat16" has 8 significant bits and a processor's own instructions.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        RequestError: this processor has no instructions for bfloat16.
        FormatError: the graph cannot be loaded or has other inputs or outputs.
    """

    def __init__(self, bundle: Bundle, threads: int = 1, precision: Precision = "float32") -> None:
        core = openvino_core()
        super().__init__(bundle.detector, bundle.noise_width)
        if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise RequestError("this processor has no instructions for bfloat16; use the engine openvino")
        settings = {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        try:
            model = core.compile_model(core.read_model(bundle.part(GRAPH)), "CPU", settings)
        except RuntimeError as error:
            raise FormatError(f"{bundle.path}: OpenVINO cannot load the part {GRAPH}: {error}") from error
        # OpenVINO drops an input that the graph does not use, such as the conditions of an unconditional family.
        self._inputs = {item.any_name for item in model.inputs}
        unused = {"conditions", "noise"} - self._inputs
        _check_names(bundle, sorted(self._inputs | unused), [item.any_name for item in model.outputs])
        self._free: SimpleQueue[Any] = SimpleQueue()  # what is under way in one of these disturbs no other
        for _ in range(threads):
            self._free.put(model.create_infer_request())
        with _FIRST_CALL:
            self.sample(
                draw_conditions(bundle.detector, 0, 0, 1).inputs, np.zeros((1, bundle.noise_width), dtype=np.float32)
            )

    def sample(self, conditions: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :meth:`Sampler.sample`."""
        conditions, noise = self.checked(conditions, noise)
        request = self._free.get()
        try:
            given = {"conditions": conditions, "noise": noise}
            request.infer({name: given[name] for name in self._inputs}, share_inputs=True)
            showers: NDArray[np.float32] = request.get_tensor("showers").data.copy()
        except RuntimeError as error:
            raise WorkError(f"OpenVINO failed in the part {GRAPH} of the bundle: {error}") from error
        finally:
            self._free.put(request)
        return showers


def openvino_core() -> Any:
    """The one OpenVINO core of this process, kept for good.

    A core gives the thread that first uses it a stack for signals, and frees that stack when it goes, whatever thread
    lets it go: the next Ctrl-C would end the process by a segmentation fault.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    make = require("openvino", "openvino").Core
    with _FIRST_CALL:
        return _kept(make)


@cache
def _kept(make: Callable[[], Any]) -> Any:
    return make()


def _reason(error: Exception) -> str:
    """What onnxruntime says, without the C++ function that says it."""
    text = " ".join(str(error).split())
    return re.split(r"\) (?=[A-Z])", text, maxsplit=1)[-1].rstrip(".")


def _check_names(bundle: Bundle, inputs: list[str], outputs: list[str]) -> None:
    if [inputs, outputs] != [["conditions", "noise"], ["showers"]]:
        raise FormatError(f"{bundle.path}: {GRAPH} maps {inputs} to {outputs}; expected conditions, noise -> showers")


def _import_onnxruntime() -> ModuleType:
    try:
        return require("onnxruntime", "all")
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # its extension module hides Ctrl-C in an ImportError
            raise KeyboardInterrupt from error
        raise
