"""What Geant4 said: its messages go to a log file, and the last fatal one is found there."""

from __future__ import annotations

import re
from pathlib import Path

_TAIL = 64 * 2**10
_FATAL = re.compile(
    r"EEEE -+ G4Exception-START -+ EEEE -+\n\*\*\* G4Exception : (?P<code>\S+)\s*\n"
    r"\s*issued by : (?P<origin>[^\n]*)\n(?P<text>.*?)"
    r"\n\s*\*\*\* (?:Fatal Exception|Fatal Error|RunMustBeAborted|EventMustBeAborted)",
    re.DOTALL,
)


def tail(path: Path) -> str:
    """Return the end of a log, at most 64 KiB; empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read().decode(errors="replace")


def last_words(path: Path) -> str:
    """Return the last fatal message of Geant4 in a log, or else its last line that is not empty."""
    text = tail(path)
    found = list(_FATAL.finditer(text))
    if found:
        return f"{' '.join(found[-1]['text'].split())} ({found[-1]['code']} in {found[-1]['origin'].strip()})"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing in its log"
