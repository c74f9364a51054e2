"""What runs a model: a closed table from (family, engine) to a loader of samplers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import final

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import FormatError, RequestError, WorkError, require, unknown_name
from caloforge.models.base import FAMILIES, Sampler
from caloforge.models.bundle import Bundle
from caloforge.models.neighbour import NEIGHBOURS, load_neighbour
from caloforge.processes import available_cores

GRAPH = "sampler.onnx"
ROWS = 64
"""Showers that go through a network at a time; of 8 to 512, 32 and 64 were fastest on a CPU (30 x 30 cells)."""


@final
class OnnxSampler(Sampler):
    """Run ``sampler.onnx`` of a bundle on the CPU with onnxruntime, in the thread that calls.

    Rows are shared among threads rather than each operation: a network this small scales with the cores that way.

    Args:
        bundle: has the part ``sampler.onnx``: inputs ``conditions`` (N, C + 1) and ``noise`` (N, noise_width), output
            ``showers`` (N, n_cells), all float32, MeV.

    Raises:
        FormatError: the graph cannot be loaded or has other inputs or outputs.
    """

    def __init__(self, bundle: Bundle) -> None:
        onnxruntime = _import_onnxruntime()
        super().__init__(bundle.detector, bundle.noise_width)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                bundle.part(GRAPH), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions have no base class of their own
            raise FormatError(f"{bundle.path}: onnxruntime cannot load the part {GRAPH}: {error}") from error
        names = [[item.name for item in items] for items in (self._session.get_inputs(), self._session.get_outputs())]
        if names != [["conditions", "noise"], ["showers"]]:
            raise FormatError(
                f"{bundle.path}: {GRAPH} maps {names[0]} to {names[1]}; expected conditions, noise -> showers"
            )

    def sample(self, conditions: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :meth:`Sampler.sample`."""
        conditions, noise = self.checked(conditions, noise)
        try:
            showers: NDArray[np.float32] = self._session.run(["showers"], {"conditions": conditions, "noise": noise})[0]
        except Exception as error:  # as above
            raise WorkError(f"onnxruntime failed in the part {GRAPH} of the bundle: {error}") from error
        return showers


@final
class InRows(Sampler):
    """Another sampler, given at most ``ROWS`` showers at a time: bounded memory, and a working set in the cache.

    Args:
        inner: the other sampler; with several threads it is called by all of them.
        threads: that share the rows.
    """

    def __init__(self, inner: Sampler, threads: int = 1) -> None:
        super().__init__(inner.detector, inner.noise_width)
        self._inner = inner
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def sample(self, conditions: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :meth:`Sampler.sample`."""
        conditions, noise = self.checked(conditions, noise)
        showers = np.empty((len(conditions), self.detector.n_cells), dtype=np.float32)

        def make(rows: slice) -> None:
            showers[rows] = self._inner.sample(conditions[rows], noise[rows])

        size = min(ROWS, max(1, -(-len(showers) // self._threads)))
        stretches = [slice(start, start + size) for start in range(0, len(showers), size)]
        if self._pool is None or len(stretches) == 1:
            for rows in stretches:
                make(rows)
        else:
            list(self._pool.map(make, stretches))
        return showers


def _import_onnxruntime() -> ModuleType:
    try:
        return require("onnxruntime", "all")
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # its extension module hides Ctrl-C in an ImportError
            raise KeyboardInterrupt from error
        raise


def _onnxruntime(bundle: Bundle, threads: int) -> Sampler:
    return InRows(OnnxSampler(bundle), threads)


def _torch(bundle: Bundle, threads: int) -> Sampler:
    require("torch", "train").set_num_threads(threads)
    from caloforge.models.networks.sampler import load_torch_sampler

    return InRows(load_torch_sampler(bundle))


def _neighbour(bundle: Bundle, threads: int) -> Sampler:
    return load_neighbour(bundle)


ENGINES: dict[str, dict[str, Callable[[Bundle, int], Sampler]]] = {
    family: {"numpy": _neighbour} if family in NEIGHBOURS else {"onnxruntime": _onnxruntime, "torch": _torch}
    for family in FAMILIES
}
"""The engines of each family; the first is the default."""


def choose_engine(bundle: Bundle, engine: str = "auto") -> str:
    """Return the name of the engine that a request means.

    Raises:
        RequestError: the family has no such engine; lists those it has.
    """
    engines = ENGINES[bundle.family]
    if engine == "auto":
        return next(iter(engines))
    if engine not in engines:
        raise unknown_name(f"engine of the model {bundle.family}", engine, ("auto", *engines))
    return engine


def load_sampler(bundle: Bundle, engine: str = "auto", threads: int | None = None) -> Sampler:
    """Return a sampler of the model in the bundle.

    Args:
        engine: "auto", or a name of the family in ``ENGINES``.
        threads: threads inside one call; all cores that this process may use by default.

    Raises:
        RequestError: no such engine for this family, or fewer than one thread.
        MissingExtraError: the engine needs a package that is not installed.
        FormatError: the bundle's content cannot be loaded.
    """
    threads = available_cores() if threads is None else threads
    if threads < 1:
        raise RequestError(f"threads must be at least 1, not {threads}")
    return ENGINES[bundle.family][choose_engine(bundle, engine)](bundle, threads)
