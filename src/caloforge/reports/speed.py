"""The picture of a measurement of speed: cost against batch, scaling with cores, roofline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from caloforge.generation.timings import Bench
from caloforge.reports.style import MARKERS, new_figure, plot_style, sample_colour
from caloforge.showers.atomic import atomic_output

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def write_speed_plot(result: Bench, output: str | Path) -> Path:
    """Draw timings as a PNG, over an earlier one.

    Left: milliseconds a shower inside the model against the batch, each engine on one thread (open) and on all (full);
    Geant4 as a line. Middle: showers a second to a file against the cores used. Right: the roofline, arithmetic a
    second against arithmetic a byte of noise and showers.
    """
    output = Path(output)
    with plot_style():
        figure = new_figure(11.0, 3.4)
        left, middle, right = figure.subplots(1, 3)
        _cost(left, result)
        _scaling(middle, result)
        _roofline(right, result)
        figure.suptitle(f"{result.detector}, {result.model['family']}: {result.machine['processor']}", fontsize=9)
        with atomic_output(output, overwrite=True) as partial:
            figure.savefig(partial, format="png", dpi=130)
    return output


def _cost(axes: Axes, result: Bench) -> None:
    of_model = [timing for timing in result.timings if timing.batch is not None]
    engines = list(dict.fromkeys(timing.engine for timing in of_model))
    for number, engine in enumerate(engines):
        counts = sorted({timing.threads for timing in of_model if timing.engine == engine})
        for threads in counts:
            mine = [timing for timing in of_model if (timing.engine, timing.threads) == (engine, threads)]
            axes.errorbar(
                [timing.batch or 0 for timing in mine],
                [timing.median_ms for timing in mine],
                [
                    [timing.median_ms - timing.low_ms for timing in mine],
                    [timing.high_ms - timing.median_ms for timing in mine],
                ],
                marker=MARKERS[number % len(MARKERS)],
                color=sample_colour(number),
                markersize=4,
                fillstyle="none" if threads == 1 and len(counts) > 1 else "full",
                linestyle="--" if threads == 1 and len(counts) > 1 else "-",
                label=f"{engine}, threads: {threads}",
            )
    if result.geant4 is not None:
        axes.axhline(1e3 * result.geant4["seconds_per_shower_and_core"], color="0.4", label="Geant4, one core")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("batch")
    axes.set_ylabel("model: ms a shower")
    axes.legend(fontsize=6)


def _scaling(axes: Axes, result: Bench) -> None:
    to_file = [timing for timing in result.timings if timing.batch is None]
    if not to_file:
        axes.set_axis_off()
        return
    for number, engine in enumerate(dict.fromkeys(timing.engine for timing in to_file)):
        for marker, kind in zip("os", ("threads", "workers"), strict=True):
            mine = [timing for timing in to_file if timing.engine == engine and _is_kind(timing.workers, kind)]
            cores = [timing.threads * timing.workers for timing in mine]
            rates = [timing.per_second for timing in mine]
            one = next(t.per_second for t in to_file if t.engine == engine and t.threads * t.workers == 1)
            line = [(1, one), *((c, r) for c, r in zip(cores, rates, strict=True) if c > 1)]
            axes.plot(*np.array(line).T, marker + "-", color=sample_colour(number), label=f"{engine}, {kind}")
        axes.plot([1, max(cores, default=1)], [one, one * max(cores, default=1)], ":", color=sample_colour(number))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("cores (dotted: in proportion)")
    axes.set_ylabel("to a file: showers a second")
    axes.set_xticks(sorted({timing.threads * timing.workers for timing in to_file}))
    axes.minorticks_off()
    axes.legend(fontsize=6)


def _is_kind(workers: int, kind: str) -> bool:
    return (workers > 1) == (kind == "workers")


def _roofline(axes: Axes, result: Bench) -> None:
    if not result.rooflines:
        axes.set_axis_off()
        return
    for number, roof in enumerate(result.rooflines):
        intensity = roof.flops_per_shower / roof.bytes_per_shower
        knee = roof.product_gflops / roof.copy_gigabytes
        x = np.array([0.1 * min(knee, intensity), knee, 10 * max(knee, intensity)])
        colour = sample_colour(number)
        axes.plot(x, np.minimum(roof.copy_gigabytes * x, roof.product_gflops), color=colour, linewidth=1)
        axes.plot(
            [intensity],
            [roof.gflops],
            MARKERS[number],
            color=colour,
            label=f"{roof.engine}: {100 * roof.share:.0f} % of {roof.precision}",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("FLOP a byte of noise and shower")
    axes.set_ylabel("GFLOP/s")
    axes.legend(fontsize=6)
