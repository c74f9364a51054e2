"""How the plots look, and how a figure becomes text inside a page."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REFERENCE = "#4d4d4d"
SAMPLES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of Okabe and Ito, which people with any kind of colour vision can tell apart."""
_PLAIN = " /:;=,.-_!?*"  # what may stand in an address inside quotation marks as it is
MARKERS = ("o", "s", "^", "D", "v", "P")

_RC: Any = {  # matplotlib types the keys one by one, differently from version to version
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "caloforge",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Picture:
    """A plot as a data address for an <img>, with the words that stand for it where it cannot be seen."""

    source: str
    alt: str


@contextmanager
def plot_style() -> Iterator[None]:
    """The settings of matplotlib for all plots of a report."""
    import matplotlib

    with matplotlib.rc_context(_RC):
        yield


def new_figure(width: float, height: float, *, fixed: bool = False) -> Figure:
    """An empty figure (inches) that no window system and no global state know of.

    `fixed` margins draw twice as fast as fitted ones.
    """
    from matplotlib.figure import Figure

    if not fixed:
        return Figure(figsize=(width, height), layout="constrained")
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(left=0.18, right=0.975, bottom=0.135, top=0.975, hspace=0.07)
    return figure


def as_svg(figure: Figure, alt: str) -> Picture:
    """For lines and markers. Places to a hundredth of a point and plain text, not base64, save half of a page."""
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = re.sub(r"\s+", " ", buffer.getvalue().decode("utf-8"))
    text = re.sub(r' (?:d|x|y)="[^"]*"', lambda place: re.sub(r"(\.\d\d)\d+", r"\1", place[0]), text)
    return Picture(f"data:image/svg+xml,{quote(text, safe=_PLAIN)}", alt)


def as_png(figure: Figure, alt: str, dpi: int = 110) -> Picture:
    """For images of cells."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return Picture(f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}", alt)


def sample_colour(index: int) -> str:
    """Colour of the index-th sample."""
    return SAMPLES[index % len(SAMPLES)]


def sample_marker(index: int) -> str:
    """Marker of the index-th sample, so that colour is never the only difference."""
    return MARKERS[index % len(MARKERS)]
