"""Output files that appear under their name only when they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caloforge.errors import RequestError, WorkError


def check_output(path: str | Path, *, overwrite: bool) -> Path:
    """The path as given, once it is certain that a file may be written there; call it before any work.

    Raises:
        RequestError: the file exists and ``overwrite`` is False, or its folder does not exist.
    """
    path = Path(path)
    if path.is_dir():
        raise RequestError(f"the output {path} is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise RequestError(f"the output {path} exists; choose another name or pass --overwrite (overwrite=True)")
    if not path.parent.is_dir():
        raise RequestError(f"the folder {path.parent} of the output does not exist; create it first")
    return path


def member_file(path: Path, number: int) -> Path:
    """The file of a member of an ensemble, numbered from 1: ``out.h5`` becomes ``out.member-1.h5``."""
    return path.with_name(f"{path.stem}.member-{number}{path.suffix}")


def check_picture(path: str | Path, *, overwrite: bool) -> str:
    """The kind of a picture that is to be written, png, pdf or svg, by the ending of its name.

    Raises:
        RequestError: another ending, or as :func:`check_output`.
    """
    kind = check_output(path, overwrite=overwrite).suffix[1:]
    if kind not in ("png", "pdf", "svg"):
        raise RequestError(f"the picture {path} must end in .png, .pdf or .svg")
    return kind


def partial_name(path: Path) -> Path:
    """The temporary name beside ``path``, one for each process."""
    return path.with_name(f".{path.name}.partial-{os.getpid()}")


def no_place(folder: Path, error: OSError) -> WorkError:
    """The error for a folder in which no file can be made."""
    return WorkError(
        f"cannot write into the folder {folder} ({error.strerror}); "
        "check its permissions, or choose another place for the output"
    )


@contextmanager
def atomic_output(path: str | Path, *, overwrite: bool) -> Iterator[Path]:
    """Hand out a temporary name in the folder of ``path``; rename it when the block ends well, else remove it.

    Raises:
        RequestError: as :func:`check_output`, before the block, and again should the output have appeared meanwhile.
        WorkError: no file can be made in that folder.
    """
    path = check_output(path, overwrite=overwrite)
    partial = partial_name(path)
    try:
        partial.touch()
    except OSError as error:
        raise no_place(path.parent, error) from error
    try:
        yield partial
        check_output(path, overwrite=overwrite)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
