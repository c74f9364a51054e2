"""The verb ``demo``: the shipped model beside Geant4, the shipped sample of it and some made now, in one go."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from caloforge.detector import DEFAULT_DETECTOR
from caloforge.errors import MissingExtraError, RequestError
from caloforge.evaluation import evaluate
from caloforge.fullsim import simulate
from caloforge.generation import generate
from caloforge.models.bundle import reference_sample, shipped_bundle
from caloforge.processes import available_cores
from caloforge.reports import write_report
from caloforge.showers import ShowerFile
from caloforge.showers.atomic import check_output

GEANT4_SHOWERS = 200


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    Seconds are wall-clock but for two: ``core_seconds`` is the time of one core that a shower took from request to
    file, as the file ``showers`` notes it, and ``geant4_seconds`` that of Geant4's event loop: as the file ``full``
    notes it, which holds the first conditions of ``showers`` and was simulated in the same run, or where there is no
    Geant4 (``full`` is None) as the reference sample notes it. ``speed_up`` is their ratio, as in the report.
    """

    showers: str
    same_conditions: str
    full: str | None
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
        where = "in this run" if result.full else "on the machine that made the reference sample (not measured here)"
        typer.echo(
            f"Geant4 took {1e3 * result.geant4_seconds:.3g} ms a shower on one core {where}, the model "
            f"{1e3 * result.core_seconds:.3g} ms: {result.speed_up:,.0f} times faster, core against core, file included"
        )
    if result.full is None:
        typer.echo("to measure Geant4 beside it: pip install 'caloforge[fullsim]'")
    report = Path(result.report).resolve()
    typer.echo(f"report, {result.seconds:.0f} s after the start: {result.report}")
    typer.echo(f"open it in a browser: {report.as_uri()}")
    return result


def run_demo(output: Path, n: int, *, overwrite: bool, quiet: bool) -> Demo:
    """Generate, evaluate and write the report under ``output``; return what came of it."""
    started = time.perf_counter()
    reference = reference_sample(DEFAULT_DETECTOR)
    model = shipped_bundle(DEFAULT_DETECTOR)
    fast, same, full = (output / f"{name}.h5" for name in ("fast", "fast-same-conditions", "geant4"))
    folder = output / "report"
    if output.exists() and not output.is_dir():
        raise RequestError(f"the output {output} is a file; the demo needs a folder")
    output.mkdir(parents=True, exist_ok=True)
    for path in (fast, same, full, folder / "report.html"):
        if path.parent.is_dir():
            check_output(path, overwrite=overwrite)
    _say(f"1/4 generating {n:,} showers with {model.name}", quiet)
    before = time.perf_counter()
    generate(DEFAULT_DETECTOR, n, output=fast, seed=1, overwrite=overwrite, progress=not quiet)
    seconds = time.perf_counter() - before
    few = min(n, GEANT4_SHOWERS)
    _say(f"2/4 simulating the first {few} of them with Geant4", quiet)
    try:
        simulate(DEFAULT_DETECTOR, few, output=full, like=fast, seed=1, overwrite=overwrite, progress=not quiet)
        beside = [full]
    except MissingExtraError as error:
        _say(f"left out: {error}", quiet)
        beside = []
    _say(f"3/4 generating showers at the conditions of {reference.name} (Geant4)", quiet)
    generate(DEFAULT_DETECTOR, like=reference, output=same, seed=2, overwrite=overwrite, progress=not quiet)
    _say("4/4 comparing with Geant4 and drawing the report", quiet)
    evaluation = evaluate([same, fast, *beside], reference, quick=True)
    write_report(evaluation, folder, overwrite=overwrite)
    with ShowerFile(fast) as file:
        core_seconds = float(file.provenance["seconds_per_shower_core"])
    with ShowerFile(beside[0] if beside else reference) as file:
        geant4 = file.provenance.get("seconds_per_event_core")
    return Demo(
        showers=str(fast),
        same_conditions=str(same),
        full=str(full) if beside else None,
        report=str(folder / "report.html"),
        n=n,
        generate_seconds=seconds,
        showers_per_second=n / seconds,
        cores=available_cores(),
        core_seconds=core_seconds,
        geant4_seconds=geant4,
        speed_up=None if geant4 is None else geant4 / core_seconds,
        seconds=time.perf_counter() - started,
    )


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        typer.echo(text, err=True)
