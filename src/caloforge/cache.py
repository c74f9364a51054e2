"""The user's cache folder, written by any number of processes at once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from caloforge.errors import RequestError


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/caloforge``, or ``~/.cache/caloforge`` where that is unset (or not absolute)."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "caloforge"


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts under their names; each file appears whole or not at all, whoever else writes the same.

    Raises:
        RequestError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            handle, partial = tempfile.mkstemp(dir=folder, prefix=f".{name}.partial-")
            try:
                with os.fdopen(handle, "w", encoding="ascii") as file:
                    file.write(text)
                Path(partial).replace(folder / name)
            except BaseException:
                Path(partial).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise RequestError(
            f"cannot write to {folder}: {error.strerror or error}; "
            "set XDG_CACHE_HOME to a folder that can be written and has some megabytes free"
        ) from error


def absent(folder: Path, names: list[str], smallest: int = 1) -> list[str]:
    """Those of ``names`` that ``folder`` has not, or has with fewer than ``smallest`` bytes."""
    missing = []
    for name in names:
        try:
            found = (folder / name).stat().st_size >= smallest
        except OSError:
            found = False
        if not found:
            missing.append(name)
    return missing
