"""The verb ``train``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from caloforge.cli.particles import particle_code
from caloforge.models.bundle import SUFFIX, read_bundle
from caloforge.reports.learning import write_learning_curves
from caloforge.showers.atomic import check_output, member_file
from caloforge.training import train as training
from caloforge.training.config import CONFIGS


def train(
    detector: Annotated[str, typer.Argument(help="A detector's name, or the path of a TOML file.")],
    data: Annotated[
        Path,
        typer.Option(
            help="The showers to train on, in any format that `caloforge convert` reads; the last ones are kept for "
            "validation."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The bundle to write, *.caloforge.")],
    model: Annotated[
        str | None, typer.Option(help=f"The family, with its default settings: {', '.join(CONFIGS)}.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A training file (YAML) with model and settings.")] = None,
    particle: Annotated[
        str | None,
        typer.Option(help="PDG code or name, for data that do not carry it; the detector's first by default."),
    ] = None,
    binning: Annotated[
        Path | None,
        typer.Option(metavar="XML", help="CaloChallenge's binning file of the data; it must agree with the detector."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a model on full simulation; the same command goes on after an interruption."""
    picture = check_output(output.with_name(output.name.removesuffix(SUFFIX) + "-learning.png"), overwrite=overwrite)
    metrics = training(
        detector,
        data,
        output,
        model=model,
        config=config,
        particle=None if particle is None else particle_code(particle),
        binning=binning,
        overwrite=overwrite,
        progress=not as_json,
    )
    if "members" in metrics:
        output = member_file(output, 1)
    bundle = read_bundle(output)
    curves = None
    if "history.json" in bundle.parts:
        curves = write_learning_curves(json.loads(bundle.part("history.json")), picture)
    if as_json:
        typer.echo(json.dumps({"output": str(output), "learning_curves": curves and str(curves), **metrics}))
        return
    figures = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    typer.echo(f"{output}: " + ", ".join(f"{name.replace('_', ' ')} {value:.5g}" for name, value in figures.items()))
    if curves is not None:
        typer.echo(f"learning curves: {curves}")
