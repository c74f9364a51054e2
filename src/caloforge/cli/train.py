"""The verb ``train``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from caloforge.training import train as training


def train(
    detector: Annotated[str, typer.Argument(help="A detector's name, or the path of a TOML file.")],
    data: Annotated[Path, typer.Option(help="The showers to train on; the last ones are kept for validation.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The bundle to write, *.caloforge.")],
    model: Annotated[
        str | None, typer.Option(help="The family, with its default settings: wgan-gp or neighbour.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A training file (YAML) with model and settings.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the output if it exists, and start afresh.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a model on full simulation; the same command goes on after an interruption."""
    metrics = training(detector, data, output, model=model, config=config, overwrite=overwrite, progress=not as_json)
    if as_json:
        typer.echo(json.dumps({"output": str(output), **metrics}))
    else:
        typer.echo(
            f"{output}: "
            + ", ".join(f"{key} {value:.5g}" for key, value in metrics.items() if key != "validation_distances")
        )
