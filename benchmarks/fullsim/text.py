"""The tables of benchmarks/results/full-simulation.md, from what was measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fullsim import tables

Record = dict[str, Any]


def markdown(record: Record) -> str:
    """All parts that were measured, in order."""
    lines = [
        "# Full simulation: what it must show, measured",
        "",
        "Geant4 11.4.1 through geant4-pybind 0.1.3, `G4EmStandardPhysics_option1`, `lhcb-ecal` (66 layers of "
        "2 mm lead and 4 mm polystyrene) unless a table says otherwise. Errors are statistical, one "
        "standard error, from a bootstrap over events. Made by `benchmarks/full_simulation.py`.",
    ]
    for part, section in SECTIONS.items():
        if part in record:
            made = record[part]["made_by"]
            lines += ["", *section(record[part]), "", f"Measured on {made['date']}: {made['machine']}."]
    return "\n".join(lines) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]


def _value(record: Record, digits: int, sign: bool = False) -> str:
    return f"{record['value']:{'+' if sign else ''}.{digits}f} +- {record['error']:.{digits}f}"


def _reference(part: Record) -> list[str]:
    label = part["label"]
    worst = max(part["wasserstein"].items(), key=lambda item: item[1]["value"]["value"])
    rows = [
        [
            f"AUC of gradient boosting, {part['features']}",
            *(_value(item["auc"], 3) for item in (part, label)),
            f"0.50 +- {part['bars']['auc']:.2f}; two halves of the test showers, {part['floor_events']:,} each, give "
            f"{_value(part['auc_floor'], 3)}",
        ],
        [
            "mean of E_visible/E, deviation in per cent",
            *(_value(item["response"], 2, True) for item in (part, label)),
            f"{part['bars']['response']:g}",
        ],
    ]
    bins = [
        [f"{b['GeV'][0]:.1f} to {b['GeV'][1]:.1f}", _value(b["response"], 4), _value(b["resolution"], 3)]
        for b in part["bins"]
    ]
    return [
        "## Against the test file, reference tables",
        "",
        f"{part['events']:,} showers with freshly drawn conditions (seed {part['seed']}) against the first "
        f"{part['events']:,} of `lhcb-ecal-electron-test.h5`. That file states a cut of {label['cut']:g} mm, but its "
        f"showers are those of {part['cut']:g} mm, which Geant4 keeps where a cut is set before its particles exist; "
        "`lhcb-ecal` has the latter. Both are measured.",
        "",
        *_table(["what", f"as shipped, cut {part['cut']:g} mm", f"cut {label['cut']:g} mm", "bar"], rows),
        "",
        f"Largest Wasserstein-1 distance over sigma of the {len(part['wasserstein'])} observables, as shipped: "
        f"{worst[0]} {_value(worst[1]['value'], 3)}, floor {_value(worst[1]['floor'], 3)}.",
        "",
        *_table(["energy [GeV]", "response, ours over theirs", "resolution sigma/E, ours over theirs"], bins),
    ]


def _tables(part: Record) -> list[str]:
    names = list(tables.BARS)
    rows = [
        [
            f"{point['absorber']}, {point['GeV']:g} GeV",
            f"{point['events']:,}",
            *(_value(point[name], 2, True) + _mark(point[name]["verdict"]) for name in names),
            _value(point["resolution of the core"], 1, True),
        ]
        for point in part["points"]
    ]
    rows.append(["bar", "", *(f"{part['bars'][name]:g}" for name in names), ""])
    means = [_value(part["consistency"][name]["mean"], 2, True) for name in names]
    chi2 = [f"{part['consistency'][name]['chi2']:.1f} / {part['consistency'][name]['points']}" for name in names]
    rows += [["weighted mean", "", *means, ""], ["chi2 against 0 / points", "", *chi2, ""]]
    head = ["absorber", "events each", *(f"{name}" for name in names), "resolution, central 68 %"]
    return [
        "## Built-in tables over reference tables",
        "",
        "Deviations in per cent: same events, seeds and settings, electrons at normal incidence, 2 mm absorber and "
        "4 mm polystyrene, production cut 0.7 mm. Depth and radius are energy-weighted means of the layers' depth and "
        "of the cells' distance from the axis. `?`: within the bar, but two standard errors reach beyond; `!`: beyond "
        "the bar. To points with more than 2,000 events a second run was added, as the first left the resolution open.",
        "",
        *_table(head, rows),
    ]


def _mark(verdict: str) -> str:
    return "" if verdict == "within" else " !" if verdict.startswith("beyond") else " ?"


def _physics(part: Record) -> list[str]:
    stack = part["stack"]
    rows = [
        [
            f"{point['GeV']:g}",
            f"{point['events']:,}",
            _value(point["response"], 5),
            _value(deviation, 2, True),
            _value(point["resolution"], 2),
            _value(point["deposited"], 4),
            _value(point["visible_maximum"], 2),
            _value(point["deposited_maximum"], 2),
            f"{point['published_maximum']:.2f}",
        ]
        for point, deviation in zip(part["points"], part["linearity"]["deviations"], strict=True)
    ]
    head = ["E [GeV]", "events", "E_visible/E", "off linear [%]", "sigma/E [%]", "E_deposited/E"]
    head += ["maximum [X0], visible", "deposited", "ln(E/E_c) - 0.5 [1]"]
    return [
        "## Electrons against published figures, normal incidence, reference tables, cut 0.7 mm",
        "",
        f"The stack as one medium: X0 = {stack['radiation_length']:.2f} mm, R_M = {stack['moliere_radius']:.1f} mm, "
        f"E_c = {stack['critical_energy']:.2f} MeV; {stack['depth'] / stack['radiation_length']:.1f} X0 deep.",
        "",
        *_table(head, rows),
        "",
        *_table(["what", "measured", "published"], _published(part)),
        "",
        *_hadrons(part["hadrons"], part["stack"]),
        "",
        "Published: [1] Particle Data Group, Review of Particle Physics, Passage of particles through matter, and its "
        "Atomic and Nuclear Properties of Materials; [2] LHCb Calorimeters, Technical Design Report, CERN/LHCC "
        "2000-036; [3] M. Livan and R. Wigmans, Instruments 1 (2017) 3; [4] R. Wigmans, Calorimetry, Oxford University "
        "Press.",
    ]


def _published(part: Record) -> list[list[str]]:
    stack, kept = part["stack"], part["containment"]
    total, quadrature = part["resolution"]["sum"], part["resolution"]["quadrature"]
    at_10 = next(point for point in part["points"] if point["GeV"] == 10)
    fraction = at_10["sampling_fraction"]
    mip = stack["sampling_fraction"]
    radius = stack["moliere_radius"]
    return [
        *(
            [
                f"maximum of the {name} energy, slope and constant in ln(E/E_c)",
                f"{_value(fit['slope'], 3)} and {_value(fit['constant'], 2)} X0 (chi2 {fit['chi2']:.1f} / "
                f"{fit['degrees']})",
                published,
            ]
            for name, fit, published in (
                ("deposited", part["deposited_maximum"], "1 and -0.5 [1]"),
                ("visible", part["visible_maximum"], "grows as ln E; earlier, since e/mip falls with depth [4]"),
            )
        ),
        [
            "b of the gamma distribution, deposited, 10 GeV",
            _value(at_10["deposited_b"], 3),
            "about 0.5 [1]",
        ],
        ["linearity, largest to smallest E_visible/E", f"{part['linearity']['spread']:.2f} %", "bar: 1 %"],
        [
            "sigma/E = a/sqrt(E) + b",
            f"a = {_value(total['a'], 2)} %, b = {_value(total['b'], 2)} % (chi2 {total['chi2']:.1f} / "
            f"{total['degrees']})",
            f"a near 10 %; {stack['stochastic']:.1f} % from 2.7 % sqrt(d/f) [3]",
        ],
        [
            "sigma/E, a/sqrt(E) and b in quadrature",
            f"a = {_value(quadrature['a'], 2)} %, b^2 = {_value(quadrature['b_squared'], 2)} %^2, b below "
            f"{quadrature['b_below']:.2f} % (chi2 {quadrature['chi2']:.1f} / "
            f"{quadrature['degrees']})",
            "LHCb: a = 10 %, b = 1 % with light yield and calibration [2]",
        ],
        [
            f"radius of 90 % of the visible energy ({kept['GeV']:g} GeV)",
            f"{_value(kept['radius_90'], 1)} mm = {kept['radius_90']['value'] / radius:.2f} R_M",
            f"about 1 R_M = {radius:.1f} mm of the deposited energy [1]",
        ],
        [
            "visible energy within R_M and 3.5 R_M",
            f"{100 * kept['within_1_RM']['value']:.1f} % and {100 * kept['within_3.5_RM']['value']:.1f} %",
            "about 90 % and 99 % [1]",
        ],
        [
            "sampling fraction at 10 GeV",
            f"{_value(fraction, 4)}; over that of a minimum-ionizing particle, e/mip = {fraction['value'] / mip:.3f}",
            f"mip {mip:.4f} [1]; e/mip about 0.6 for lead and plastic [4]",
        ],
    ]


def _hadrons(part: Record, stack: Record) -> list[str]:
    def row(name: str, figure: Callable[[Record], str]) -> list[str]:
        return [name, *(figure(part[kind]) for kind in ("e-", "pi+", "p"))]

    rows = [
        row("events", lambda item: f"{item['events']:,}"),
        row("E_visible [MeV]", lambda item: _value(item["visible"], 0)),
        row("E_visible over electrons'", lambda i: _value(i["over_electrons"], 3) if "over_electrons" in i else "1"),
        row("sigma/E_visible [%]", lambda item: _value(item["resolution"], 1)),
        row("mean depth [mm]", lambda item: _value(item["depth"], 1)),
        row("mean radius [mm]", lambda item: _value(item["radius"], 1)),
        row("like a minimum-ionizing particle [%]", lambda item: _value(item["mip_like"], 1)),
        row(
            "published: without an inelastic collision [%]",
            lambda i: f"{i['published_mip_like']:.1f}" if "published_mip_like" in i else "-",
        ),
    ]
    return [
        f"Hadrons of {part['GeV']:g} GeV (`G4EmStandardPhysics_option1+FTFP_BERT`); like a minimum-ionizing particle: "
        f"less than {part['limit']:.0f} MeV visible, 1.5 times its minimum; published: exp(-depth/lambda) with the "
        f"pion and nuclear interaction lengths of [1], which leave out quasi-elastic collisions; the depth is "
        f"{stack['pion_depth']:.2f} and {stack['proton_depth']:.2f} of them.",
        "",
        *_table(["", "e-", "pi+", "p"], rows),
    ]


def _resume(part: Record) -> list[str]:
    rows = [[str(n), f"{k['seconds']:.2f}", k["victim"], str(k["shards_kept"])] for n, k in enumerate(part["kills"], 1)]
    verdict = "bit-identical" if part["identical"] else "different: " + ", ".join(part["different_arrays"])
    return [
        "## Resume",
        "",
        f"{part['events']:,} electrons of {part['GeV']:g} GeV on 2 workers, `kill -9` at {len(rows)} random moments, "
        f"the same command again after each. The file in the end and that of an undisturbed run: **{verdict}** in "
        f"{', '.join(f'`{name}`' for name in part['arrays'])}, and equal in all attributes but the seconds measured.",
        "",
        *_table(["kill", "after [s]", "of", f"shards of {-(-part['events'] // 25)} kept"], rows),
    ]


def _first_use(part: Record) -> list[str]:
    return [
        "## First use",
        "",
        f"New virtual environment (`pip install caloforge[fullsim]`, {part['packages']} packages, torch "
        f"{'installed' if part['torch_installed'] else 'not installed'}), empty cache, no Geant4 data, no network: "
        f"`caloforge simulate lhcb-ecal -n {part['events']} -o full.h5` took **{part['seconds']:.0f} s** on "
        f"{part['cores']} cores (bar: {part['bar']:.0f} s; other programs kept {part['others']:.2f} cores busy). "
        f"It left {part['cache_megabytes']:.1f} MB of tables in the cache and said:",
        "",
        "```",
        *part["said"],
        "```",
    ]


def _speed(part: Record) -> list[str]:
    def spread(item: Record, digits: int) -> str:
        return f"{item['median']:.{digits}f} ({item['low']:.{digits}f} to {item['high']:.{digits}f})"

    rows = [[name, spread(value, 2)] for name, value in part["ms_per_GeV"].items()]
    ratios = [["`simulate` on one worker over the bare loop, side by side", spread(part["over_bare"], 3)]]
    ratios += [[f"two workers, events/s over one's: {name}", spread(v, 2)] for name, v in part["two_workers"].items()]
    ratios.append(["the machine: bare loop and one worker at once over one alone", spread(part["two_programs"], 2)])
    return [
        "## Speed",
        "",
        f"Electrons of {part['GeV']:g} GeV, angles of `lhcb-ecal`, {part['events'][1]} events a run, "
        f"{len(part['rounds'])} rounds; medians, quartiles in brackets. The bare loop "
        f"(`benchmarks/fullsim/bare_loop.py`) has the same geometry, cut, scorers and primaries and reads nothing out. "
        "It runs beside one worker, at the same time on the other core, and processor time of the event loops is "
        "compared; workers are compared by wall clock. Other programs kept "
        f"{part['others']['median']:.2f} cores busy ({part['others']['low']:.2f} to {part['others']['high']:.2f}).",
        "",
        *_table(["event loop", "processor ms per GeV"], rows),
        "",
        *_table(["ratio", "measured"], ratios),
        "",
        "Bars: within 10 % of the bare loop; two workers at least 1.8 times one. Two programs that share nothing slow "
        "each other here by as much as the last row says; two workers can do no better.",
    ]


def _detectors(part: Record) -> list[str]:
    rows = []
    lines = []
    for name, item in part["detectors"].items():
        low, high = item["GeV"]
        rows.append(
            [
                f"`{name}`",
                f"{item['cells']:,} in {item['cell_layers']}",
                f"{item['particle']}",
                f"{low:.1f} to {high:.0f}",
                _value(item["response"], 4),
                f"{100 * item['resolution']:.1f} %",
                f"{100 * item['outside_cells']:.2f} %",
                f"{100 * item['all_material']:.2f} %",
                f"{item['ms_per_GeV']:.1f}",
            ]
        )
        if item["cell_layers"] < 10:
            shares = ", ".join(f"{100 * share:.2f} %" for share in item["layers"])
            lines.append(f"- `{name}`, share of the energy in its layers of cells: {shares}")
        lines.append(f"- `{name}`, mean image: `full-simulation-{name}.png`")
    return [
        "## Other detectors",
        "",
        f"{part['events']:,} showers each of the first particle, conditions as the detector has them, reference "
        "tables; processor time on a machine with other work.",
        "",
        *_table(
            [
                "detector",
                "cells, layers of cells",
                "PDG code",
                "GeV",
                "mean of E_cells/E",
                "its spread",
                "of the active energy outside the cells",
                "deposited in all material",
                "ms per GeV",
            ],
            rows,
        ),
        "",
        *lines,
    ]


SECTIONS: dict[str, Callable[[Record], list[str]]] = {
    "first-use": _first_use,
    "speed": _speed,
    "reference": _reference,
    "tables": _tables,
    "physics": _physics,
    "detectors": _detectors,
    "resume": _resume,
}
