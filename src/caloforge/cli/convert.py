"""The verb ``convert``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from caloforge.cli.particles import particle_code
from caloforge.detector import DEFAULT_DETECTOR
from caloforge.showers import convert as converter


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The file to read; its format is recognised.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    to: Annotated[str, typer.Option(help=f"The format to write: {', '.join(converter.format_names())}.")],
    detector: Annotated[
        str, typer.Option(help="Name or TOML file of the detector, for formats that do not carry it.")
    ] = DEFAULT_DETECTOR,
    particle: Annotated[
        str | None,
        typer.Option(help="PDG code or name, for formats that do not carry it; the detector's first by default."),
    ] = None,
    binning: Annotated[
        Path | None,
        typer.Option(metavar="XML", help="CaloChallenge's binning file of IN; it must agree with the detector."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Convert a file of showers to another format.

    The line printed says what has no place in the output. Showers that its format would tell wrongly are refused:
    flagged as extrapolated, or off the middle or of several particles for calochallenge and calogan. With calochallenge
    the binning file comes beside the output, with the ending .xml.
    """
    lost = converter.no_place_for(to, source)
    showers = converter.convert(
        source,
        output,
        to,
        detector=detector,
        particle=None if particle is None else particle_code(particle),
        binning=binning,
        overwrite=overwrite,
    )
    if as_json:
        facts = {"output": str(output), "format": to, "showers": showers, "no_place_for": lost}
        typer.echo(json.dumps(facts))
    else:
        typer.echo(f"{output}: {showers} showers, {to}" + (f" (no place for: {', '.join(lost)})" if lost else ""))
