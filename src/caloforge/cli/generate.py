"""The verb ``generate``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from caloforge.cli.particles import mixture
from caloforge.errors import RequestError
from caloforge.evaluation.ensembles import FIGURES, Ensemble, spread
from caloforge.generation import generate as generation
from caloforge.generation.ensemble import generate_ensemble
from caloforge.models.base import UNCONDITIONAL
from caloforge.showers import ShowerFile

_COLUMNS = {"": 5, "_spread": 2, "_statistical": 2}
"""Of a figure in the table of an ensemble, with their digits."""


def generate(
    detector: Annotated[str, typer.Argument(help="A detector's name, or the path of a TOML file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The HDF5 file to write.")],
    members: Annotated[
        list[Path] | None, typer.Argument(metavar="BUNDLE...", help="The members, with --ensemble: two at least.")
    ] = None,
    ensemble: Annotated[
        bool,
        typer.Option(
            "--ensemble", help="Generate with several bundles, a file each, and print how far observables spread."
        ),
    ] = False,
    n: Annotated[
        int | None, typer.Option("-n", help="How many showers; with --like all of that file by default.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A bundle (*.caloforge) or a shipped family; the shipped default otherwise.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of conditions and noise; the same seed gives the same showers.")] = 0,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Take the conditions of this file: showers (.h5), .csv, .parquet, .root or .root:TREE."
        ),
    ] = None,
    energy: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH", help="Narrow the incident energy to this range, MeV; twice the same fixes it."
        ),
    ] = None,
    particle: Annotated[
        str | None,
        typer.Option(help="PDG code or name (11, e-), or a mixture (e-:3,gamma:1); the model's first by default."),
    ] = None,
    batch: Annotated[int, typer.Option(help="Showers a call of the model; does not change the showers.")] = 1024,
    workers: Annotated[
        int | None, typer.Option(help="Processes with one thread each, 1 by default; does not change the showers.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of the engine with one worker; all cores by default.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS|YAML", help="Use a Dask cluster: tcp://host:8786, or a file of batch jobs."),
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, onnxruntime or torch; numpy for those of neighbours.")] = "auto",
    allow_extrapolation: Annotated[
        bool,
        typer.Option("--allow-extrapolation", help="Take conditions outside the model's domain; flag the showers."),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the output, and throw away an unfinished run with other settings."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Generate showers with a trained model; on a cluster the same command goes on after an interruption."""
    request: dict[str, Any] = {
        "seed": seed,
        "like": like,
        "energy": energy,
        "particle": None if particle is None else mixture(particle),
        "batch": batch,
        "workers": workers,
        "engine": engine,
        "threads": threads,
        "cluster": cluster,
        "allow_extrapolation": allow_extrapolation,
        "overwrite": overwrite,
        "progress": not as_json,
    }
    if ensemble:
        if model is not None:
            raise RequestError("--ensemble takes its models as BUNDLE...; leave out --model")
        files = generate_ensemble(detector, n, models=members or [], output=output, **request)
        found = spread(files)
        if as_json:
            typer.echo(json.dumps({"outputs": [str(file) for file in files], "spread": found.to_json()}))
        else:
            _print_spread(found)
            typer.echo("\n".join(str(file) for file in files))
        return
    if members:
        raise RequestError(
            f"{members[0]} follows the detector; give one model with --model, or several with --ensemble"
        )
    started = time.perf_counter()
    generation(detector, n, model=model, output=output, **request)
    seconds = time.perf_counter() - started
    with ShowerFile(output) as file:
        made, provenance = len(file), file.provenance
    if as_json:
        facts = {"output": str(output), "detector": detector, "showers": made, "seconds": seconds}
        typer.echo(json.dumps({**facts, "showers_per_second": made / seconds, "provenance": provenance}))
        return
    typer.echo(
        f"{output}: {made:,} showers in {seconds:.1f} s, {made / seconds:,.0f} a second; one core takes "
        f"{1e3 * provenance['seconds_per_shower_core']:.3g} ms a shower, "
        f"{1e3 * provenance['model_seconds_per_shower_core']:.3g} ms of it in the model {provenance['model']['family']}"
    )
    if provenance["model"]["family"] in UNCONDITIONAL:
        typer.echo(
            "the model takes no conditions: the showers follow its training sample, not the conditions beside them"
        )


def _print_spread(found: Ensemble) -> None:
    """Mean and deviation of each observable over all energies, how far members differ, and by how much they may."""
    from rich.console import Console
    from rich.table import Table

    first = found.members[0]
    table = Table(title=f"{len(found.members)} members, {first.showers[0]:,} showers each")
    table.add_column("observable")
    for figure in FIGURES:
        for part in _COLUMNS:
            table.add_column(part.strip("_") or figure, justify="right")
    for row in found.to_json()[: len(first.names)]:
        columns = [(figure + part, digits) for figure in FIGURES for part, digits in _COLUMNS.items()]
        table.add_row(row["observable"], *(f"{row[name]:.{digits}g}" for name, digits in columns))
    console = Console()
    Console(width=console.width if console.is_terminal else 200).print(table)
