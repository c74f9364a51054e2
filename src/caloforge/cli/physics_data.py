"""The verb ``physics-data``."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from caloforge.detector import DEFAULT_DETECTOR
from caloforge.errors import RequestError
from caloforge.fullsim.datasets import DATA_DIR, download_folder
from caloforge.fullsim.install import OFFICIAL, install_physics_data
from caloforge.fullsim.physics_data import physics_data as sources


class Action(StrEnum):
    """What to do with the data files."""

    SHOW = "show"
    INSTALL = "install"


def physics_data(
    action: Annotated[Action, typer.Argument(help="Show what would be used now, or download what is lacking.")] = (
        Action.SHOW
    ),
    detector: Annotated[str, typer.Argument(help="A detector's name or TOML file; its particles decide.")] = (
        DEFAULT_DETECTOR
    ),
    to: Annotated[
        Path | None,
        typer.Option(
            help=f"The folder to install into; {DATA_DIR} or {download_folder()} by default.", metavar="FOLDER"
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option("--from", help=f"The address of a mirror instead of {OFFICIAL}.", metavar="URL")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which data files Geant4 would read for a detector, or download the official ones it needs.

    What is not installed comes from built-in tables, which are an approximation. The same command goes on with a
    download that was interrupted.
    """
    if action is Action.SHOW:
        if to is not None or address is not None:
            raise RequestError(f"{'--from' if to is None else '--to'} goes with install, not with show")
        _show(detector, as_json)
        return
    done = install_physics_data(detector, to=to, address=address or OFFICIAL, progress=not as_json)
    if as_json:
        typer.echo(json.dumps({"folder": str(done.folder), "new": done.new, "present": done.present}))
        return
    for word, names in (("installed", done.new), ("already there", done.present)):
        if names:
            typer.echo(f"{done.folder}: {word}: {', '.join(names)}")
    looked_in = Path(os.environ.get(DATA_DIR) or download_folder()).expanduser().absolute()
    if done.folder != looked_in:
        typer.echo(f"simulate looks there once this is set: export {DATA_DIR}={done.folder}")


def _show(detector: str, as_json: bool) -> None:
    found = sources(detector)
    if as_json:
        facts = [asdict(source) | {"folder": source.folder and str(source.folder)} for source in found]
        typer.echo(json.dumps(facts))
        return
    for source in found:
        where = source.origin if source.folder is None else f"{source.folder} ({source.origin})"
        typer.echo(f"{source.dataset:24} {where}")
    if any(source.folder is None for source in found):
        typer.echo(
            f"built-in tables are an approximation; for the official ones: caloforge physics-data install {detector}"
        )
