"""Checkpoints of a training: every tensor in one safetensors file, the numbers in its header, replaced atomically."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from caloforge.errors import FormatError
from caloforge.showers.atomic import atomic_output


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimizer as tensors named ``<parameter index>.<quantity>``."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, quantity = name.partition(".")
        state.setdefault(int(index), {})[quantity] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def save_checkpoint(path: Path, parts: dict[str, dict[str, Tensor]], numbers: dict[str, Any]) -> None:
    """Write the tensors of ``parts`` as ``<part>/<name>`` and ``numbers`` (JSON) over the last checkpoint."""
    tensors = {
        f"{part}/{name}": tensor.detach().contiguous().clone()
        for part, named in parts.items()
        for name, tensor in named.items()
    }
    with atomic_output(path, overwrite=True) as partial:
        safetensors.torch.save_file(tensors, partial, metadata={"numbers": json.dumps(numbers)})


def load_checkpoint(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """The tensors by part and the numbers of a checkpoint.

    Raises:
        FormatError: the file is cut or not a checkpoint.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            numbers = json.loads(file.metadata()["numbers"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path} is not a whole checkpoint ({error}); remove it to train from the start") from error
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = tensor
    return parts, numbers


def module_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of a module."""
    return dict(module.state_dict())
