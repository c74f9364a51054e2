"""The verb ``simulate``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from caloforge.cli.particles import mixture
from caloforge.fullsim import simulate as simulation
from caloforge.showers import ShowerFile


def simulate(
    detector: Annotated[str, typer.Argument(help="A detector's name, or the path of a TOML file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The HDF5 file to write.")],
    n: Annotated[
        int | None, typer.Option("-n", help="How many showers; with --like all of that file by default.")
    ] = None,
    particle: Annotated[
        str | None,
        typer.Option(help="PDG code or name (11, e-), or a mixture (e-:3,pi+:1); the detector's first by default."),
    ] = None,
    energy: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH", help="Narrow the incident energy to this range, MeV; twice the same fixes it."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; one a core by default. Does not change the showers.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS|YAML", help="Use a Dask cluster: tcp://host:8786, or a file of batch jobs."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of conditions and Geant4; the same seed gives the same showers.")] = 0,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Take the conditions of this file: showers (.h5), .csv, .parquet, .root or .root:TREE."
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the output, and throw away an unfinished run with other settings."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what Geant4 prints.")] = False,
) -> None:
    """Simulate showers in full with Geant4; the same command goes on after an interruption."""
    started = time.perf_counter()
    simulation(
        detector,
        n,
        output=output,
        seed=seed,
        like=like,
        energy=energy,
        particle=None if particle is None else mixture(particle),
        workers=workers,
        cluster=cluster,
        overwrite=overwrite,
        progress=not as_json,
        verbose=verbose,
    )
    seconds = time.perf_counter() - started
    with ShowerFile(output) as file:
        made, provenance = len(file), file.provenance
    if as_json:
        facts = {"output": str(output), "detector": detector, "showers": made, "seconds": seconds}
        typer.echo(json.dumps({**facts, "showers_per_second": made / seconds, "provenance": provenance}))
        return
    typer.echo(
        f"{output}: {made:,} showers in {seconds:.1f} s, {made / seconds:.3g} a second; Geant4 {provenance['geant4']}, "
        f"{provenance['physics']}, {1e3 * provenance['seconds_per_event_core']:.3g} ms a shower and core"
    )
    if provenance["tables_approximate"]:
        advice = f"for the official ones: caloforge physics-data install {detector}"
        typer.echo(f"note: Geant4's tables are an approximation: {provenance['tables']}; {advice}", err=True)
