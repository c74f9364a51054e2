"""Axis labels of matplotlib as runs of plain text, for plots that a browser draws."""

from __future__ import annotations

import re
from collections.abc import Iterator

_SYMBOLS = {
    r"\times": "\N{MULTIPLICATION SIGN}",
    r"\langle": "\N{MATHEMATICAL LEFT ANGLE BRACKET}",
    r"\rangle": "\N{MATHEMATICAL RIGHT ANGLE BRACKET}",
    r"\sigma": "\N{GREEK SMALL LETTER SIGMA}",
    r"\eta": "\N{GREEK SMALL LETTER ETA}",
    r"\phi": "\N{GREEK SMALL LETTER PHI}",
    r"\theta": "\N{GREEK SMALL LETTER THETA}",
    r"\Delta": "\N{GREEK CAPITAL LETTER DELTA}",
    r"\gamma": "\N{GREEK SMALL LETTER GAMMA}",
    r"\pi": "\N{GREEK SMALL LETTER PI}",
    r"\mu": "\N{GREEK SMALL LETTER MU}",
    r"\rho": "\N{GREEK SMALL LETTER RHO}",
    r"\sum": "\N{N-ARY SUMMATION}",
    r"\neq": "\N{NOT EQUAL TO}",
    r"\leq": "\N{LESS-THAN OR EQUAL TO}",
    r"\geq": "\N{GREATER-THAN OR EQUAL TO}",
    r"\log": "log",
    r"\ln": "ln",
    r"\ ": " ",
    r"\,": " ",
    "-": "\N{MINUS SIGN}",
}
_TOKEN = re.compile(r"\\(?:mathrm|mathit|text)\b|\\[A-Za-z]+|\\.|[_^{}]|[^\\_^{}]")
Run = tuple[str, int]
"""Text, and -1 for a subscript, 1 for a superscript, 0 for neither."""


def runs(label: str) -> list[Run]:
    r"""A label in matplotlib's mathtext as text with subscripts and superscripts.

    >>> runs(r"$E_\mathrm{vis}/E$, all cells")
    [('E', 0), ('vis', -1), ('/E, all cells', 0)]
    >>> runs(r"$E_{3\times3}$ [MeV]")
    [('E', 0), ('3×3', -1), (' [MeV]', 0)]
    """
    found: list[Run] = []
    for number, text in enumerate(label.split("$")):
        for piece, shift in _mathematics(text) if number % 2 else [(text, 0)]:
            if found and found[-1][1] == shift:
                found[-1] = (found[-1][0] + piece, shift)
            elif piece:
                found.append((piece, shift))
    return found


def _mathematics(text: str) -> Iterator[Run]:
    """What stands between two dollar signs: an index is the next character, command or group in braces."""
    levels = [0]  # of the groups that are open
    pending: int | None = None  # of an index whose text comes next
    for token in _TOKEN.findall(text):
        if token in ("_", "^"):
            pending = -1 if token == "_" else 1
        elif token == "{":
            levels.append(levels[-1] if pending is None else pending)
            pending = None
        elif token == "}":
            levels.pop()
        elif not token.isspace() and token not in (r"\mathrm", r"\mathit", r"\text"):
            yield _SYMBOLS.get(token, token), levels[-1] if pending is None else pending
            pending = None
