"""The verb ``export``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from caloforge.deployment import export as write_graph


def export(
    model: Annotated[Path, typer.Argument(help="A bundle (*.caloforge).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The ONNX file to write.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the ONNX graph of a trained model, checked against torch where that is installed."""
    result = write_graph(model, output, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps(asdict(result) | {"output": str(result.output)}))
        return
    shapes = {**result.inputs, **result.outputs}
    typer.echo(f"{result.output}: " + ", ".join(f"{name} {_shape(shape)}" for name, shape in shapes.items()))
    if result.parity is None:
        typer.echo("parity with torch: not checked (torch is not installed, or the model has no torch engine)")
    else:
        typer.echo(f"parity with torch: largest difference {result.parity:.1e} of the hottest cell")


def _shape(shape: tuple[str | int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
