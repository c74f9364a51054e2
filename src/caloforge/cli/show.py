"""The verb ``show``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from caloforge.cli.detectors import particle_name
from caloforge.showers.show import show as summarise
from caloforge.units import describe


def show(
    file: Annotated[Path, typer.Argument(help="The HDF5 file of showers.")],
    draw: Annotated[
        Path | None, typer.Option(help="Draw the mean energy of every cell into this picture (png, pdf or svg).")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the picture if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a file of showers holds, and draw its mean image."""
    summary = summarise(file, draw=draw, overwrite=overwrite)
    if as_json:
        facts = asdict(summary) | {"path": str(summary.path), "detector": summary.detector.name}
        typer.echo(json.dumps(facts | {"mean": summary.mean.tolist()}))
        return
    particles = ", ".join(f"{count:,} of {particle_name(code)}" for code, count in summary.particles.items())
    lines = [f"{summary.path}: {summary.n:,} showers of {summary.detector.name}, made by {summary.source}: {particles}"]
    for spec in summary.detector.conditions:
        low, high = (describe(value, spec.unit) for value in summary.ranges[spec.name])
        lines += [f"  {spec.name:10} {low} to {high}"]
    lines += [f"  mean energy in the cells / mean incident energy: {summary.response:.4f}"]
    lines += [f"  {key}: {value}" for key, value in summary.provenance.items()]
    typer.echo("\n".join(lines))
