"""The verb ``detectors``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from caloforge.detector import Detector, detector_names
from caloforge.detector import detectors as find
from caloforge.detector.draw import draw_picture, draw_text
from caloforge.errors import RequestError
from caloforge.showers.atomic import atomic_output, check_picture
from caloforge.units import describe


def detectors(
    name: Annotated[str | None, typer.Argument(help="A detector's name, or the path of a TOML file.")] = None,
    draw: Annotated[Path | None, typer.Option(help="Draw it into this picture (png, pdf or svg).")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the picture if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the detectors, or describe and draw one."""
    if name is None:
        if draw is not None:
            raise RequestError(f"--draw needs the name of a detector: {', '.join(detector_names())}")
        found = find()
        if as_json:
            typer.echo(json.dumps([{"name": detector.name, "title": detector.title} for detector in found]))
        else:
            typer.echo("\n".join(f"{detector.name:16} {detector.title}" for detector in found))
        return
    (detector,) = find(name)
    if draw is not None:
        kind = check_picture(draw, overwrite=overwrite)
        with atomic_output(draw, overwrite=overwrite) as partial:
            draw_picture(detector, partial, kind)
    typer.echo(json.dumps(_facts(detector), indent=2) if as_json else _text(detector))


def _facts(detector: Detector) -> dict[str, Any]:
    """What is known of a detector, JSON-able; lengths in mm, energies in MeV, angles in rad."""
    return {
        "name": detector.name,
        "title": detector.title,
        "source": detector.source,
        "digest": detector.digest,
        "particles": list(detector.particles),
        "symmetries": list(detector.symmetries),
        "simulation": asdict(detector.simulation),
        "n_layers": detector.n_layers,
        "depth": detector.depth,
        "face": list(detector.face),
        "n_cells": detector.n_cells,
        "cell_layers": [asdict(layer) for layer in detector.cell_layers],
        "conditions": [
            {
                "name": spec.name,
                "unit": spec.unit,
                "low": spec.low,
                "high": spec.high,
                "density": spec.density,
                "values": list(spec.values),
            }
            for spec in detector.conditions
        ],
    }


def particle_name(code: int) -> str:
    """Return the name and the code of a particle, such as "e- (11)"."""
    from particle import Particle, ParticleNotFound

    try:
        return f"{Particle.from_pdgid(code).name} ({code})"
    except ParticleNotFound:
        return str(code)


def _text(detector: Detector) -> str:
    lines = [f"{detector.name}: {detector.title}", f"Source: {detector.source}", ""]
    lines += [f"Particles (PDG code): {', '.join(map(particle_name, detector.particles))}"]
    lines += [f"Symmetries: {', '.join(detector.symmetries) or 'none'}", "Conditions:"]
    for spec in detector.conditions:
        low, high = describe(spec.low, spec.unit), describe(spec.high, spec.unit)
        values = ", ".join(describe(value, spec.unit) for value in spec.values)
        lines += [f"  {spec.name:10} {values or f'{low} to {high}, density {spec.density}'}"]
    physics = detector.simulation.physics_list or "physics list chosen by the particles"
    lines += [f"Geant4: {physics}, production cut {detector.simulation.production_cut:g} mm"]
    return "\n".join([*lines, "", draw_text(detector)])
