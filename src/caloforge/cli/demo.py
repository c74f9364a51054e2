"""The verb ``demo``: the shipped model beside the shipped Geant4 sample, in one go."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from caloforge.errors import RequestError
from caloforge.evaluation import evaluate
from caloforge.generation import generate
from caloforge.generation.bench import geant4_time
from caloforge.models.bundle import reference_sample, shipped_bundle
from caloforge.processes import available_cores
from caloforge.reports import write_report
from caloforge.showers import ShowerFile
from caloforge.showers.atomic import check_output

DETECTOR = "lhcb-ecal"


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    Seconds are wall-clock but for two: ``core_seconds`` is the time of one core that a shower took from request to
    file, as the file ``showers`` notes it, and ``geant4_seconds`` the same of Geant4, as the reference sample notes it.
    ``speed_up`` is their ratio, as in the report.
    """

    showers: str
    same_conditions: str
    report: str
    n: int
    generate_seconds: float
    showers_per_second: float
    cores: int
    core_seconds: float
    geant4_seconds: float | None
    speed_up: float | None
    seconds: float


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write into.")] = Path("caloforge-demo"),
    n: Annotated[int, typer.Option("-n", help="How many showers to generate.")] = 10_000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier demo wrote there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> Demo:
    """Generate showers with the shipped model and compare them with Geant4, in under 2 minutes."""
    result = run_demo(output, n, overwrite=overwrite, quiet=as_json)
    if as_json:
        typer.echo(json.dumps(asdict(result)))
        return result
    cores = "1 core" if result.cores == 1 else f"{result.cores} cores"
    typer.echo(
        f"\n{result.n:,} showers in {result.generate_seconds:.1f} s on {cores}, file included: "
        f"{result.showers_per_second:,.0f} a second -> {result.showers}"
    )
    if result.geant4_seconds is not None and result.speed_up is not None:
        typer.echo(
            f"Geant4 took {1e3 * result.geant4_seconds:.3g} ms a shower on one core of the machine that made the "
            f"reference sample (not measured here), the model {1e3 * result.core_seconds:.3g} ms on one core here: "
            f"{result.speed_up:,.0f} times faster, core against core, file included"
        )
    report = Path(result.report).resolve()
    typer.echo(f"report, {result.seconds:.0f} s after the start: {result.report}")
    typer.echo(f"open it in a browser: {report.as_uri()}")
    return result


def run_demo(output: Path, n: int, *, overwrite: bool, quiet: bool) -> Demo:
    """Generate, evaluate and write the report under ``output``; return what came of it."""
    started = time.perf_counter()
    reference = reference_sample(DETECTOR)
    model = shipped_bundle(DETECTOR)
    fast, same, folder = output / "fast.h5", output / "fast-same-conditions.h5", output / "report"
    if output.exists() and not output.is_dir():
        raise RequestError(f"the output {output} is a file; the demo needs a folder")
    output.mkdir(parents=True, exist_ok=True)
    for path in (fast, same, folder / "report.html"):
        if path.parent.is_dir():
            check_output(path, overwrite=overwrite)
    _say(f"1/3 generating {n:,} showers with {model.name}", quiet)
    before = time.perf_counter()
    generate(DETECTOR, n, output=fast, seed=1, overwrite=overwrite, progress=not quiet)
    seconds = time.perf_counter() - before
    _say(f"2/3 generating showers at the conditions of {reference.name} (Geant4)", quiet)
    generate(DETECTOR, like=reference, output=same, seed=2, overwrite=overwrite, progress=not quiet)
    _say("3/3 comparing with Geant4 and drawing the report", quiet)
    evaluation = evaluate([same, fast], reference, quick=True)
    write_report(evaluation, folder, overwrite=overwrite)
    geant4 = geant4_time(DETECTOR)
    with ShowerFile(fast) as file:
        core_seconds = float(file.provenance["seconds_per_shower_core"])
    full = None if geant4 is None else float(geant4["seconds_per_shower_and_core"])
    return Demo(
        showers=str(fast),
        same_conditions=str(same),
        report=str(folder / "report.html"),
        n=n,
        generate_seconds=seconds,
        showers_per_second=n / seconds,
        cores=available_cores(),
        core_seconds=core_seconds,
        geant4_seconds=full,
        speed_up=None if full is None else full / core_seconds,
        seconds=time.perf_counter() - started,
    )


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        typer.echo(text, err=True)
