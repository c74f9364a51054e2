"""The verb ``generate``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from caloforge.cli.particles import mixture
from caloforge.generation import generate as generation
from caloforge.models.base import UNCONDITIONAL
from caloforge.showers import ShowerFile


def generate(
    detector: Annotated[str, typer.Argument(help="A detector's name, or the path of a TOML file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The HDF5 file to write.")],
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
    batch: Annotated[int, typer.Option(help="Showers a call of the model; does not change the showers.")] = 1000,
    workers: Annotated[int, typer.Option(help="Processes with one thread each; does not change the showers.")] = 1,
    threads: Annotated[
        int | None, typer.Option(help="Threads of the engine with one worker; all cores by default.")
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, onnxruntime or torch; numpy for those of neighbours.")] = "auto",
    allow_extrapolation: Annotated[
        bool,
        typer.Option("--allow-extrapolation", help="Take conditions outside the model's domain; flag the showers."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Generate showers with a trained model."""
    started = time.perf_counter()
    generation(
        detector,
        n,
        model=model,
        output=output,
        seed=seed,
        like=like,
        energy=energy,
        particle=None if particle is None else mixture(particle),
        batch=batch,
        workers=workers,
        engine=engine,
        threads=threads,
        allow_extrapolation=allow_extrapolation,
        overwrite=overwrite,
        progress=not as_json,
    )
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
