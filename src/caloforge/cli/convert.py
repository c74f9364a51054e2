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
    """Convert a file of showers to another format."""
    showers = converter.convert(source, output, to, detector=detector, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps({"output": str(output), "format": to, "showers": showers}))
    else:
        typer.echo(f"{output}: {showers} showers, {to}")
