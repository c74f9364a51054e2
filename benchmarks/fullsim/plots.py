"""Plots of what was measured, beside the tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullsim import tables

Record = dict[str, Any]
COLOURS = {"Pb": "tab:blue", "W": "tab:orange"}


def draw(record: Record, folder: Path) -> None:
    """The plots of the parts that were measured."""
    if "physics" in record:
        _physics(record["physics"], folder / "full-simulation-physics.png")
    if "tables" in record:
        _tables(record["tables"], folder / "full-simulation-tables.png")


def _numbers(points: list[Record], name: str) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p[name]["value"] for p in points]), np.array([p[name]["error"] for p in points])


def _physics(part: Record, path: Path) -> None:
    figure = Figure(figsize=(11, 8), layout="constrained")
    profile, maximum, linear, resolution = figure.subplots(2, 2).flat
    points, stack = part["points"], part["stack"]
    energy = np.array([point["GeV"] for point in points])
    _draw_profiles(profile, points, stack)
    fine = np.geomspace(energy[0] / 1.2, energy[-1] * 1.2, 200)

    log = np.log(1e3 * fine / stack["critical_energy"])
    for name, marker in (("deposited", "o"), ("visible", "s")):
        fit = part[f"{name}_maximum"]
        label = f"{name}: {fit['slope']['value']:.3f} ln(E/Ec) {fit['constant']['value']:+.2f}"
        line = maximum.plot(fine, fit["slope"]["value"] * log + fit["constant"]["value"], "--", label=label)[0]
        value, error = _numbers(points, f"{name}_maximum")
        maximum.errorbar(energy, value, error, fmt=marker, color=line.get_color())
    maximum.plot(fine, log - 0.5, color="k", label=r"published: $\ln(E/E_c)-0.5$")
    maximum.set(xscale="log", xlabel="E [GeV]", ylabel=r"depth of the maximum [$X_0$]")
    maximum.legend()

    value, error = (np.array([item[k] for item in part["linearity"]["deviations"]]) for k in ("value", "error"))
    linear.axhspan(-0.5, 0.5, color="0.9", label="1 % from end to end")
    linear.errorbar(energy, value, error, fmt="o", color="k")
    linear.axhline(0, color="0.5", linewidth=0.8)
    linear.set(xscale="log", xlabel="E [GeV]", ylabel="visible energy off linear [%]", ylim=(-1.0, 1.0))
    linear.legend()

    value, error = _numbers(points, "resolution")
    x = 1 / np.sqrt(energy)
    resolution.errorbar(x, value, error, fmt="o", color="k", label="simulated")
    total, quadrature = part["resolution"]["sum"], part["resolution"]["quadrature"]
    fine = np.linspace(0, x.max() * 1.05, 200)
    a, b = total["a"]["value"], total["b"]["value"]
    resolution.plot(fine, a * fine + b, "k--", label=rf"{a:.2f} %/$\sqrt{{E}}$ {b:+.2f} %")
    a, b = quadrature["a"]["value"], np.sqrt(max(quadrature["b_squared"]["value"], 0.0))
    resolution.plot(fine, np.hypot(a * fine, b), color="tab:green", label=rf"{a:.2f} %/$\sqrt{{E}}$ $\oplus$ {b:.2f} %")
    resolution.set(xlabel=r"$1/\sqrt{E/\mathrm{GeV}}$", ylabel=r"$\sigma/E$ [%]", xlim=(0, None), ylim=(0, None))
    resolution.legend()
    _mark(maximum, energy)
    _mark(linear, energy)
    figure.suptitle("lhcb-ecal, electrons at normal incidence, Geant4 with reference tables")
    figure.savefig(path, dpi=100)


def _mark(axes: Axes, energies: Iterable[float]) -> None:
    """Ticks at the energies alone."""
    axes.set_xticks(list(energies), [f"{gev:g}" for gev in energies])
    axes.minorticks_off()


def _draw_profiles(axes: Axes, points: list[Record], stack: Record) -> None:
    for point in points:
        profile = np.array(point["profile"])
        t = np.arange(len(profile)) * stack["layer"] + stack["before_reading"]
        (line,) = axes.plot(t, profile / profile.sum(), label=f"{point['GeV']:g} GeV")
        axes.axvline(point["visible_maximum"]["value"], color=line.get_color(), linestyle=":", linewidth=1)
    axes.set(xlabel=r"depth [$X_0$]", ylabel="share of the visible energy a layer", xlim=(0, None), ylim=(0, None))
    axes.legend(title="dotted: maximum of the fit")


def _tables(part: Record, path: Path) -> None:
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    for axes, (name, bar) in zip(figure.subplots(1, len(part["bars"])), part["bars"].items(), strict=True):
        axes.axhspan(-bar, bar, color="0.9")
        axes.axhline(0, color="0.5", linewidth=0.8)
        for shift, absorber in zip((0.95, 1.05), tables.ABSORBERS, strict=True):
            points = [point for point in part["points"] if point["absorber"] == absorber]
            energy = np.array([point["GeV"] for point in points])
            axes.errorbar(energy * shift, *_numbers(points, name), fmt="o", color=COLOURS[absorber], label=absorber)
        axes.set(xscale="log", xlabel="E [GeV]", title=name, ylim=(-1.5 * bar, 1.5 * bar))
        _mark(axes, tables.RUNS["Pb"])
    figure.axes[0].set_ylabel("built-in over reference tables [%]")
    figure.axes[0].legend(title="grey: the bar")
    figure.savefig(path, dpi=100)
