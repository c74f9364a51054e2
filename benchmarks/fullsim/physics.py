"""Electrons and hadrons in ``lhcb-ecal`` at normal incidence against published figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import curve_fit
from scipy.stats import gamma

import caloforge
from caloforge.evaluation import Measured
from fullsim.samples import Samples, normal_incidence
from fullsim.stack import Stack
from fullsim.statistics import DRAWS, Events, Floats, bootstrap, read_events, resolution

ENERGIES = (2.0, 5.0, 10.0, 20.0, 50.0)
EVENTS = 2000
HADRONS = {"pi+": 211, "p": 2212}
HADRON_EVENTS = 500
HADRON_GEV = 10.0
FINE_CELL, FINE_EVENTS = 5.0, 1000
MIP_LIKE = 1.5
"""A shower counts as that of a particle that did not shower below so many times its minimum ionization."""


def measure(samples: Samples) -> dict[str, Any]:
    stack = Stack.of(normal_incidence())
    electrons = {gev: read_events(electron_file(samples, gev)) for gev in ENERGIES}
    points = [_point(gev, events, stack) for gev, events in electrons.items()]
    return {
        "stack": vars(stack) | {"stochastic": stack.stochastic()},
        "points": points,
        "visible_maximum": _fit_maximum(points, "visible_maximum", stack),
        "deposited_maximum": _fit_maximum(points, "deposited_maximum", stack),
        "linearity": _linearity(points),
        "resolution": _fit_resolution(points),
        "containment": _containment(samples, stack),
        "hadrons": _hadrons(samples, electrons[HADRON_GEV], stack),
    }


def electron_file(samples: Samples, gev: float) -> Path:
    """Those of 2, 10 and 50 GeV are also the reference of :mod:`fullsim.tables`."""
    return samples.simulated(f"Pb-{gev:g}-GeV-reference", normal_incidence(), EVENTS, seed=round(gev), gev=gev)


def hadron_file(samples: Samples, name: str) -> Path:
    code = HADRONS[name]
    return samples.simulated(
        f"{name}-{HADRON_GEV:g}-GeV", normal_incidence(), HADRON_EVENTS, seed=code, gev=HADRON_GEV, particle=code
    )


def gamma_profile(t: Floats, total: float, a: float, b: float) -> Floats:
    """dE/dt = E b (b t)^(a-1) e^(-b t) / Gamma(a), E. Longo and I. Sestili, NIM 128 (1975) 283."""
    return np.asarray(total * gamma.pdf(t, a, scale=1 / b))


def fit_profile(profile: Floats, t: Floats) -> tuple[float, float]:
    """a and b of a mean profile at the depths t in radiation lengths; all layers count alike, so the maximum does most.
    The maximum lies at (a-1)/b."""
    found, _ = curve_fit(gamma_profile, t, profile, p0=(profile.sum() * (t[1] - t[0]), 4.0, 0.5))
    return float(found[1]), float(found[2])


def _profile_figures(stack: Stack) -> dict[str, Callable[[Events], float]]:
    """Maximum and b of the visible profile, read in the active slabs, and of the deposited one, of whole layers."""

    def figure(name: str, share: float, what: Callable[[float, float], float]) -> Callable[[Events], float]:
        def value(events: Events) -> float:
            layers = getattr(events, f"{name}_by_layer")
            return what(*fit_profile(layers.mean(axis=0), np.arange(layers.shape[1]) * stack.layer + share))

        return value

    shares = {"visible": stack.before_reading, "deposited": stack.layer / 2}
    return {
        f"{name}_{key}": figure(name, share, what)
        for name, share in shares.items()
        for key, what in {"maximum": lambda a, b: (a - 1) / b, "b": lambda a, b: b}.items()
    }


def _point(gev: float, events: Events, stack: Stack) -> dict[str, Any]:
    mev = 1e3 * gev
    figures = {
        "visible": lambda sample: float(sample.visible.mean()),
        "response": lambda sample: float(sample.visible.mean() / mev),
        "resolution": lambda sample: 100 * resolution(sample.visible),
        "deposited": lambda sample: float(sample.deposited.mean() / mev),
        "sampling_fraction": lambda sample: float(sample.visible.mean() / sample.deposited.mean()),
        "depth": lambda sample: float(sample.depth.mean()),
    } | _profile_figures(stack)
    record: dict[str, Any] = {name: bootstrap(figure, events) for name, figure in figures.items()}
    profile = {"profile": [float(f"{value:.5g}") for value in events.visible_by_layer.mean(axis=0)]}
    return {"GeV": gev, "events": len(events), "published_maximum": stack.maximum(mev)} | record | profile


def _column(points: list[dict[str, Any]], name: str) -> tuple[Floats, Floats]:
    return np.array([point[name].value for point in points]), np.array([point[name].error for point in points])


def _fit(function: Any, x: Floats, y: Floats, error: Floats, start: tuple[float, ...]) -> tuple[list[Measured], float]:
    found, covariance = curve_fit(function, x, y, p0=start, sigma=error, absolute_sigma=True)
    chi2 = float((((function(x, *found) - y) / error) ** 2).sum())
    return [Measured(float(v), math.sqrt(c)) for v, c in zip(found, np.diag(covariance), strict=True)], chi2


def _fit_maximum(points: list[dict[str, Any]], name: str, stack: Stack) -> dict[str, Any]:
    """t_max = slope ln(E/E_c) + constant."""
    log = np.log([1e3 * point["GeV"] / stack.critical_energy for point in points])
    (slope, constant), chi2 = _fit(lambda x, m, c: m * x + c, log, *_column(points, name), (1.0, -0.5))
    return {"slope": slope, "constant": constant, "chi2": chi2, "degrees": len(points) - 2}


def _linearity(points: list[dict[str, Any]]) -> dict[str, Any]:
    """Deviations in per cent of E_visible from one line through zero, fitted by least relative squares."""
    value, error = _column(points, "response")
    common = float((value / error**2).sum() / (1 / error**2).sum())
    deviations = [Measured(100 * (v / common - 1), 100 * e / common) for v, e in zip(value, error, strict=True)]
    return {
        "response": common,
        "deviations": deviations,
        "spread": 100 * float(value.max() / value.min() - 1),
    }


def _fit_resolution(points: list[dict[str, Any]]) -> dict[str, Any]:
    """a/sqrt(E) and b, per cent, added and added in quadrature; E in GeV. Where b^2 may be 0 or chance has made it
    negative, b is bounded: with 95 % confidence it lies below ``b_below``."""
    energy = np.array([point["GeV"] for point in points])
    value, error = _column(points, "resolution")
    (a, b), chi2 = _fit(lambda x, a, b: a / np.sqrt(x) + b, energy, value, error, (10.0, 0.0))
    total = {"a": a, "b": b, "chi2": chi2, "degrees": len(points) - 2}
    (square, b_square), chi2 = _fit(lambda x, a, b: a / x + b, energy, value**2, 2 * value * error, (100.0, 0.0))
    root = math.sqrt(square.value)
    quadrature = {
        "a": Measured(root, square.error / 2 / root),
        "b_squared": b_square,
        "b_below": math.sqrt(max(b_square.value, 0.0) + 1.645 * b_square.error),
        "chi2": chi2,
        "degrees": len(points) - 2,
    }
    return {"sum": total, "quadrature": quadrature}


def _containment(samples: Samples, stack: Stack) -> dict[str, Any]:
    """Shares of the visible energy round the axis of 10 GeV electrons, with cells of 5 mm."""
    path = samples.simulated(
        "fine", normal_incidence(cell=FINE_CELL), FINE_EVENTS, seed=round(HADRON_GEV), gev=HADRON_GEV
    )
    edges = np.linspace(0, 300, 301)
    shares = _radial(path, edges)
    random = np.random.default_rng(2026)

    def radius(rows: Any, share: float) -> float:
        return float(np.interp(share, np.concatenate([[0.0], np.cumsum(shares[rows].mean(axis=0))]), edges))

    everything = np.arange(len(shares))
    record: dict[str, Any] = {"cell": FINE_CELL, "GeV": HADRON_GEV, "events": len(shares)}
    for name, share in (("radius_90", 0.90), ("radius_99", 0.99)):
        draws = [radius(random.integers(0, len(shares), len(shares)), share) for _ in range(DRAWS)]
        record[name] = Measured(radius(everything, share), float(np.std(draws, ddof=1)))
    for name, multiple in (("within_1_RM", 1.0), ("within_3.5_RM", 3.5)):
        inside = shares[:, edges[1:] <= multiple * stack.moliere_radius].sum(axis=1)
        record[name] = Measured(float(inside.mean()), float(inside.std() / math.sqrt(len(inside))))
    return record


def _radial(path: Path, edges: Floats) -> Floats:
    """(N, bins) shares of each shower's visible energy by distance of the cells from the axis; cells are spread evenly
    over 5 x 5 points so that their size does not show."""
    shares = []
    with caloforge.ShowerFile(path) as file:
        size = file.detector.cells.size[0]
        inner = (np.arange(5) - 2) * size / 5
        steps = np.stack(np.meshgrid(inner, inner, indexing="ij"), axis=-1).reshape(-1, 2)
        for showers in file.blocks(100):
            positions = showers.conditions.to_file_form().position.astype(np.float64)
            for cells, position in zip(showers.energies.astype(np.float64), positions, strict=True):
                lit = np.flatnonzero(cells)
                points = file.detector.cell_centres[lit][:, None, :] + steps[None] - position
                weights = np.repeat(cells[lit], len(steps)) / len(steps) / cells.sum()
                shares.append(np.histogram(np.hypot(*points.reshape(-1, 2).T), edges, weights=weights)[0])
    return np.array(shares)


def _hadrons(samples: Samples, electrons: Events, stack: Stack) -> dict[str, Any]:
    limit = MIP_LIKE * stack.minimum_visible
    record: dict[str, Any] = {"GeV": HADRON_GEV, "limit": limit}
    kinds = {"e-": electrons} | {name: read_events(hadron_file(samples, name)) for name in HADRONS}
    figures = {
        "visible": lambda sample: float(sample.visible.mean()),
        "resolution": lambda sample: 100 * resolution(sample.visible),
        "depth": lambda sample: float(sample.depth.mean()),
        "radius": lambda sample: float(sample.radius.mean()),
        "mip_like": lambda sample: 100 * float((sample.visible < limit).mean()),
    }
    for name, events in kinds.items():
        record[name] = {"events": len(events)} | {key: bootstrap(figure, events) for key, figure in figures.items()}
    for name, depth in (("pi+", stack.pion_depth), ("p", stack.proton_depth)):
        record[name]["published_mip_like"] = 100 * math.exp(-depth)
        record[name]["over_electrons"] = bootstrap(
            lambda hadron, electron: float(hadron.visible.mean() / electron.visible.mean()), kinds[name], electrons
        )
    return record
