"""What runs a model: closed tables of the engines, and of those that each family can use."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from caloforge.errors import require
from caloforge.generation.graphs import CUDA_ROWS, OnnxSampler, OpenVinoSampler, Precision
from caloforge.generation.rows import InRows
from caloforge.models.base import FAMILIES, Sampler
from caloforge.models.bundle import Bundle
from caloforge.models.neighbour import NEIGHBOURS, load_neighbour

_WHOLE = 2**20


@dataclass(frozen=True)
class Engine:
    """A way to run a model.

    Attributes:
        package: what has to be installed, and its version noted.
        load: the sampler of a bundle, for as many calls at a time as there are threads.
        rows: showers a call; of 8 to 512 the fastest on a CPU for 30 x 30 cells.
        shared: threads share the rows; otherwise a call uses them itself.
        precision: of products of matrices; the rest is float32.
        gpu: it calculates on a GPU, not on the processor.
        automatic: "auto" may mean it; it is quick to start, and its showers are those of the others to 1e-5.
    """

    package: str
    load: Callable[[Bundle, int], Sampler]
    rows: int = 64
    shared: bool = True
    precision: Precision = "float32"
    gpu: bool = False
    automatic: bool = True

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return importlib.util.find_spec(self.package) is not None


def _torch(bundle: Bundle, threads: int) -> Sampler:
    require("torch", "train").set_num_threads(threads)
    from caloforge.models.networks.sampler import load_torch_sampler

    return load_torch_sampler(bundle)


ENGINES: dict[str, Engine] = {
    "onnxruntime": Engine("onnxruntime", lambda bundle, threads: OnnxSampler(bundle)),
    "openvino": Engine("openvino", OpenVinoSampler, rows=128),
    "openvino-bf16": Engine(
        "openvino",
        lambda bundle, threads: OpenVinoSampler(bundle, threads, "bfloat16"),
        rows=128,
        precision="bfloat16",
        automatic=False,
    ),
    "onnxruntime-cuda": Engine(
        "onnxruntime",
        lambda bundle, threads: OnnxSampler(bundle, cuda=True),
        rows=CUDA_ROWS,
        shared=False,
        gpu=True,
        automatic=False,
    ),
    "torch": Engine("torch", _torch, shared=False, automatic=False),
    "numpy": Engine("numpy", lambda bundle, threads: load_neighbour(bundle), rows=_WHOLE, shared=False),
}
"""Every engine by its name."""


def engines_of(family: str) -> dict[str, Engine]:
    """Return the engines that can run a family, the default first."""
    assert family in FAMILIES
    return {name: engine for name, engine in ENGINES.items() if (name == "numpy") == (family in NEIGHBOURS)}


def start_engine(name: str, bundle: Bundle, threads: int, batch: int | None = None) -> InRows:
    """Return a sampler of the model in the bundle, run by this engine.

    Args:
        threads: threads inside one call, at least 1.
        batch: most showers that the engine is given at a time; by default what is best for it.

    Raises:
        RequestError: a processor or GPU that the engine cannot use.
        MissingExtraError: the engine needs a package that is not installed.
        FormatError: the bundle's content cannot be loaded.
    """
    engine = ENGINES[name]
    rows = engine.rows if batch is None else min(engine.rows, batch)
    return InRows(engine.load(bundle, threads), rows, threads if engine.shared else 1)
