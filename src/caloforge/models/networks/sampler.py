"""A trained generator as a sampler on torch, as weights in a bundle and as an ONNX graph."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from caloforge.detector import draw_conditions
from caloforge.errors import FormatError, WorkError, require
from caloforge.models.base import PARITY, Sampler
from caloforge.models.bundle import WEIGHTS, Bundle
from caloforge.models.networks.base import Generator
from caloforge.models.networks.families import make_generator
from caloforge.random import normals

if TYPE_CHECKING:
    from caloforge.detector import Detector


@final
class TorchSampler(Sampler):
    """A generator in evaluation mode behind the contract of every sampler."""

    def __init__(self, detector: Detector, generator: Generator) -> None:
        super().__init__(detector, generator.noise_width)
        self.generator = generator.eval()

    def sample(self, conditions: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        conditions, noise = self.checked(conditions, noise)
        with torch.inference_mode():
            energies = self.generator(torch.from_numpy(conditions), torch.from_numpy(noise))
        showers: NDArray[np.float32] = energies.numpy()
        return showers


def save_weights(generator: Generator) -> bytes:
    """The generator's parameters and buffers in the safetensors format."""
    return safetensors.torch.save({name: tensor.contiguous() for name, tensor in generator.state_dict().items()})


def load_generator(bundle: Bundle) -> Generator:
    """The generator of a bundle with networks on torch, on the CPU.

    Raises:
        FormatError: the weights do not fit the networks that the bundle's configuration describes, or were trained
            with other ranges of the conditions.
    """
    generator = make_generator(bundle.family, bundle.detector, bundle.domain.particles, bundle.config["network"])
    lowest = generator.get_buffer("features.low").clone()
    try:
        generator.load_state_dict(safetensors.torch.load(bundle.part(WEIGHTS)))
    except RuntimeError as error:
        raise FormatError(f"the weights in {bundle.path} do not fit the configuration beside them: {error}") from error
    if not torch.equal(generator.get_buffer("features.low"), lowest):
        raise FormatError(
            f"{bundle.path} was trained with other ranges of the conditions, by an earlier version; train it again"
        )
    return generator


def load_torch_sampler(bundle: Bundle) -> Sampler:
    """The sampler of a bundle with networks on torch, on the CPU; raises what :func:`load_generator` does."""
    return TorchSampler(bundle.detector, load_generator(bundle))


def export_onnx(generator: Generator, detector: Detector) -> bytes:
    """The whole sampler as ONNX: ``conditions`` (N, C + 1), ``noise`` (N, noise_width) -> ``showers`` (N, n_cells).

    Raises:
        WorkError: onnxruntime and torch differ by more than ``PARITY`` on conditions drawn from the detector's domain.
    """
    require("onnx", "train")
    require("onnxscript", "train")
    generator = generator.eval()
    particles = dict.fromkeys(generator.particles, 1.0)
    conditions = torch.from_numpy(draw_conditions(detector, 0, 0, 2, particles).inputs)
    noise = torch.from_numpy(normals(0, "export", 0, 2, generator.noise_width))
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # torch's exporter warns about its own internals
        logging.getLogger("onnxscript").setLevel(logging.ERROR)
        program = torch.onnx.export(
            generator,
            (conditions, noise),
            dynamo=True,
            external_data=False,
            input_names=["conditions", "noise"],
            output_names=["showers"],
            dynamic_shapes={"conditions": {0: batch}, "noise": {0: batch}},
        )
        assert program is not None
        path = Path(folder) / "sampler.onnx"
        program.save(str(path), external_data=False)
        graph = path.read_bytes()
    _check_parity(graph, TorchSampler(detector, generator), particles)
    return graph


def operations(generator: Generator, detector: Detector) -> int:
    """Floating-point operations of a shower: those of products and convolutions, two for each pair of numbers."""
    from torch.utils.flop_counter import FlopCounterMode

    conditions = torch.from_numpy(draw_conditions(detector, 0, 0, 1, dict.fromkeys(generator.particles, 1.0)).inputs)
    noise = torch.zeros(1, generator.noise_width)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        generator.eval()(conditions, noise)
    return int(counter.get_total_flops())


def _check_parity(graph: bytes, sampler: TorchSampler, particles: Mapping[int, float]) -> None:
    import onnxruntime

    conditions = draw_conditions(sampler.detector, 0, 0, 64, particles).inputs
    noise = normals(0, "noise", 0, 64, sampler.noise_width)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    exported = session.run(["showers"], {"conditions": conditions, "noise": noise})[0]
    expected = sampler.sample(conditions, noise)
    worst = float((np.abs(exported - expected) / expected.max(axis=1, keepdims=True)).max())
    if not worst <= PARITY:
        raise WorkError(f"the exported ONNX graph differs from torch by {worst:.2g} of the hottest cell (<= {PARITY})")
