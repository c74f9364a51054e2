"""The verb ``evaluate``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from caloforge.evaluation import Evaluation
from caloforge.evaluation import evaluate as run
from caloforge.evaluation.collect import Progress
from caloforge.evaluation.network_rows import NETWORKS
from caloforge.evaluation.network_scores import KeptScores
from caloforge.evaluation.ranking import COLUMNS, best
from caloforge.reports import check_report_folder, write_report
from caloforge.reports.wording import DASH, ranked, size, verdict


def evaluate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The files of showers to judge.")],
    reference: Annotated[Path, typer.Option(help="The file to judge them by, usually Geant4.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for report.json, .csv and .html.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer random draws and no figures of whole showers: sooner done.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Train neural networks too (extra train; hours without a GPU).")
    ] = False,
    network: Annotated[
        list[str] | None,
        typer.Option(help=f"Train this one of them only; repeat for several: {', '.join(NETWORKS)}."),
    ] = None,
    training: Annotated[Path | None, typer.Option(help="The file that the model was trained on: is it copied?")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random draws.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a report that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare files of showers with a reference and write a report.

    What the networks found is kept beside the report until it is written: the same command goes on after an
    interruption.
    """
    check_report_folder(output, overwrite=overwrite)
    keep = output.with_name(output.name + ".networks")
    with _progress(show=not as_json) as progress:
        found = run(
            files,
            reference,
            quick=quick,
            networks=NETWORKS if full else network or (),
            keep=keep,
            training=training,
            seed=seed,
            progress=progress,
        )
        progress("writing the report", 0, 1)
        page = write_report(found, output, overwrite=overwrite)
        progress("writing the report", 1, 1)
    KeptScores(keep).remove()
    if as_json:
        typer.echo(json.dumps({"report": str(page), **found.to_json()}, allow_nan=False))
    else:
        if len(found.samples) > 1:
            _print_ranking(found)
        typer.echo(summary(found))
        typer.echo(f"report: {page}")


def summary(found: Evaluation) -> str:
    """A few lines of text on each sample."""
    lines = []
    for sample in found.samples:
        worst = max(sample.distances, key=lambda item: item.wasserstein.value.value)
        within = sum(item.wasserstein.within_floor for item in sample.distances)
        auc, floor = sample.classifier.auc, sample.classifier.floor
        response = max(abs(value - 1) for value in sample.ratio.response)
        resolution = max(abs(value - 1) for value in sample.ratio.resolution)
        lines += [
            f"{sample.info.label}: {size(sample.info)} against {size(found.reference.info)}",
            f"  response within {100 * response:.2f} %, resolution within {100 * resolution:.1f} % "
            f"in {len(sample.ratio.response)} bins of log E",
            f"  Wasserstein-1 / sigma: {within} of {len(sample.distances)} observables within the floor, "
            f"largest {worst.wasserstein.value.value:.3f} ({worst.name})",
            f"  classifier AUC {auc.value:.3f} +- {auc.error:.3f} (floor {floor.value:.3f} +- {floor.error:.3f})",
        ]
        lines += [f"  {line}" for line in verdict(sample, found)]
        seen = [row.name for row in sample.whole if row.differs]
        known = sum(row.p_value is not None for row in sample.whole)
        if known:
            which = f": {', '.join(seen)}" if seen else ""
            lines.append(f"  whole showers: {len(seen)} of {known} figures tell them apart (p < 0.01){which}")
        lines += [f"  note: {line}" for line in sample.warnings]
    return "\n".join(lines)


def _print_ranking(found: Evaluation) -> None:
    """The samples from the best to the worst, then the floor; the best of every column in bold."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    known = [name for name in COLUMNS if any(name in rank.figures for rank in found.ranking)]
    table = Table()
    table.add_column("sample")
    for name in known:
        column = COLUMNS[name]
        # As text, since rich takes what is in square brackets for a style.
        table.add_column(Text(f"{column.title} [{column.unit}]" if column.unit else column.title), justify="right")
    tops = {name: best(name, found.ranking) for name in known}
    for rank in [*found.ranking, found.floor]:
        if rank is found.floor:
            table.add_section()
        cells = [Text(rank.label)]
        for name in known:
            figure = rank.figures.get(name)
            bold = figure is not None and rank is not found.floor and figure.value == tops[name]
            cells.append(
                Text(DASH if figure is None else ranked(figure, name), style="bold" if bold else "", no_wrap=True)
            )
        table.add_row(*cells)
    console = Console()
    # Where no window has a width, none is assumed either: a file or a pipe takes any.
    Console(width=console.width if console.is_terminal else 200).print(table)


@contextmanager
def _progress(*, show: bool) -> Iterator[Progress]:
    """One bar for each stage, on the error stream."""
    if not show:
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        yield advance
