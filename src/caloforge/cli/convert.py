"""The verb ``convert``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from caloforge.showers import convert as converter


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The file to read; its format is recognised.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    to: Annotated[str, typer.Option(help=f"The format to write: {', '.join(converter.format_names())}.")],
    detector: Annotated[
        str, typer.Option(help="Name or TOML file of the detector, for formats that do not carry it.")
    ] = "lhcb-ecal",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Convert a file of showers to another format.

    lhcb-npz keeps the energies of the cells and the conditions only; the line printed says what it has no place for.
    Showers flagged as extrapolated are not converted to it.
    """
    showers = converter.convert(source, output, to, detector=detector, overwrite=overwrite)
    lost = converter.no_place_for(to)
    if as_json:
        facts = {"output": str(output), "format": to, "showers": showers, "no_place_for": lost}
        typer.echo(json.dumps(facts))
    else:
        typer.echo(f"{output}: {showers} showers, {to}" + (f" (no place for: {', '.join(lost)})" if lost else ""))
