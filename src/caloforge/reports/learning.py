"""The learning curves of a training as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.reports.style import new_figure, plot_style, sample_colour
from caloforge.showers.atomic import atomic_output


def write_learning_curves(history: Sequence[Mapping[str, Any]], output: str | Path) -> Path:
    """Draw ``history.json`` of a bundle as a PNG, over an earlier one.

    Left: the validation score (mean Wasserstein-1 over sigma, all observables, bins of log energy) and the worst
    observable against the epoch; the best epoch is marked. Right: the losses of the family.
    """
    output = Path(output)
    epochs = [entry["epoch"] for entry in history]
    scores = [entry["score"] for entry in history]
    best = int(np.argmin(scores))
    with plot_style():
        figure = new_figure(8.2, 3.2)
        left, right = figure.subplots(1, 2)
        left.plot(epochs, scores, "o-", color=sample_colour(0), markersize=3, label="mean of the observables")
        worst = [max(entry["distances"].values()) for entry in history]
        left.plot(epochs, worst, "s-", color=sample_colour(1), markersize=3, label="worst observable")
        left.axvline(epochs[best], color="0.6", linewidth=0.8, linestyle=":", label=f"best epoch: {epochs[best]}")
        left.set_yscale("log")
        left.set_ylabel(r"validation: Wasserstein-1 / $\sigma$")
        for number, name in enumerate(history[0]["losses"]):
            values = [entry["losses"][name] for entry in history]
            colour = sample_colour(number)
            right.plot(epochs, values, "os"[number % 2] + "-", color=colour, markersize=3, label=name.replace("_", " "))
        right.set_ylabel("last step of the epoch")
        for axes in (left, right):
            axes.set_xlabel("epoch")
            axes.legend()
        with atomic_output(output, overwrite=True) as partial:
            figure.savefig(partial, format="png", dpi=130)
    return output
