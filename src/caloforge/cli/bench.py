"""The verb ``bench``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from caloforge.detector import DEFAULT_DETECTOR
from caloforge.generation.bench import BATCHES
from caloforge.generation.bench import bench as measure
from caloforge.generation.timings import Bench, Timing
from caloforge.reports.speed import write_speed_plot
from caloforge.showers.atomic import check_output


def bench(
    detector: Annotated[str, typer.Argument(help="A detector's name, or the path of a TOML file.")] = DEFAULT_DETECTOR,
    model: Annotated[
        str | None, typer.Option(help="A bundle (*.caloforge) or a shipped family; the shipped default otherwise.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="Measure this engine only; all installed ones by default.")] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option(help="Showers a call; repeat for several; powers of ten up to 10,000 by default."),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="Threads a call; repeat for several; 1 and all cores by default.")
    ] = None,
    file_showers: Annotated[int, typer.Option(help="Showers written in each repeat to a file; 0: none.")] = 10_000,
    geant4_showers: Annotated[int, typer.Option(help="Showers that Geant4 simulates beside it; 0: none.")] = 100,
    plot: Annotated[
        Path | None, typer.Option(help="A picture (PNG): cost against batch, threads and workers, and the roofline.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the picture if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the time a shower takes: the model alone, all the way to a file, and Geant4 for the same showers."""

    def report(what: str) -> None:
        if not as_json:
            typer.echo(f"measuring {what} ...", err=True)

    if plot is not None:
        plot = check_output(plot, overwrite=overwrite)
    result = measure(
        detector,
        model=model,
        engine=engine,
        batches=batch or BATCHES,
        threads=threads or None,
        file_showers=file_showers,
        geant4_showers=geant4_showers,
        report=report,
    )
    if plot is not None:
        write_speed_plot(result, plot)
    if as_json:
        typer.echo(json.dumps(result.to_json()))
    else:
        _print(result)


def _print(result: Bench) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    machine = result.machine
    title = f"{result.detector}, {result.model['family']}: {machine['processor']}, cores: {machine['cores']}"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("engine", "threads", "workers", "batch", "ms/shower", "quartiles", "showers/s"):
        table.add_column(heading, justify="left" if heading == "engine" else "right", no_wrap=True)
    for timing in result.timings:
        table.add_row(*_row(timing))
    console = Console()
    console.print(table)
    for line in result.sentences():
        console.print(line)


def _row(timing: Timing) -> tuple[str, ...]:
    return (
        timing.engine,
        str(timing.threads),
        str(timing.workers),
        "to file" if timing.batch is None else f"{timing.batch:,}",
        f"{timing.median_ms:.3g}",
        f"{timing.low_ms:.3g} - {timing.high_ms:.3g}",
        f"{timing.per_second:,.0f}",
    )
