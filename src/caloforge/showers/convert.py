"""From one file format of showers to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caloforge.detector import Detector, load_detector
from caloforge.errors import FormatError, unknown_name
from caloforge.showers.atomic import check_output
from caloforge.showers.container import Showers
from caloforge.showers.hdf5 import ShowerFile, ShowerWriter, Source
from caloforge.showers.lhcb_npz import NO_PLACE_FOR, read_lhcb_npz, write_lhcb_npz


@dataclass(frozen=True)
class _Opened:
    """A file being read: how many showers, of what, and the showers block by block."""

    detector: Detector
    length: int
    source: Source
    provenance: Mapping[str, Any]
    blocks: Iterator[Showers]


@dataclass(frozen=True)
class _Format:
    """A format: the bytes its files begin with, how to open one (given a detector, in case it has none), and write.

    ``no_place_for`` is what our own files hold and files of this format do not.
    """

    magic: bytes
    open: Callable[[Path, str | Path | Detector], AbstractContextManager[_Opened]]
    write: Callable[[Path, _Opened, bool], None]
    no_place_for: tuple[str, ...] = ()


@contextmanager
def _open_hdf5(path: Path, detector: str | Path | Detector) -> Iterator[_Opened]:
    with ShowerFile(path) as file:
        yield _Opened(file.detector, len(file), file.source, file.provenance, file.blocks())


def _write_hdf5(path: Path, opened: _Opened, overwrite: bool) -> None:
    with ShowerWriter(
        path, opened.detector, source=opened.source, provenance=opened.provenance, overwrite=overwrite
    ) as writer:
        for block in opened.blocks:
            writer.append(block)


@contextmanager
def _open_npz(path: Path, detector: str | Path | Detector) -> Iterator[_Opened]:
    loaded = load_detector(detector)
    showers = read_lhcb_npz(path, loaded)
    provenance = {"converted_from": path.name, "format": "lhcb-npz"}
    yield _Opened(loaded, len(showers), "import", provenance, iter([showers]))


def _write_npz(path: Path, opened: _Opened, overwrite: bool) -> None:
    write_lhcb_npz(path, opened.detector, opened.length, opened.blocks, overwrite=overwrite)


_FORMATS = {
    "caloforge": _Format(b"\x89HDF\r\n\x1a\n", _open_hdf5, _write_hdf5),
    "lhcb-npz": _Format(b"PK\x03\x04", _open_npz, _write_npz, NO_PLACE_FOR),
}


def format_names() -> tuple[str, ...]:
    """Names of the formats that :func:`convert` reads and writes."""
    return tuple(_FORMATS)


def no_place_for(name: str) -> tuple[str, ...]:
    """What a format of :func:`format_names` leaves out of our own files.

    >>> no_place_for("lhcb-npz")
    ('detector', 'layer_energies', 'absorber_energies', 'source', 'provenance')
    """
    return _FORMATS[name].no_place_for


def _format_of(path: Path) -> _Format:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or 'cannot be read'}") from error
    for candidate in _FORMATS.values():
        if head.startswith(candidate.magic):
            return candidate
    raise FormatError(f"{path}: none of the formats that can be read: {', '.join(_FORMATS)}")


def convert(
    src: str | Path,
    dst: str | Path,
    to: str,
    *,
    detector: str | Path | Detector = "lhcb-ecal",
    overwrite: bool = False,
) -> int:
    """Convert a file of showers.

    What the target format has no place for is left out, see :func:`no_place_for`: lhcb-npz keeps the energies of the
    cells and the conditions only. Showers flagged as extrapolated are refused, since the flag would be lost.

    Args:
        src: the file to read; its format is recognised by how it begins.
        dst: the file to write, which appears only when it is whole.
        to: a format of :func:`format_names`.
        detector: name or file of the detector, for formats that do not carry it.

    Returns:
        The number of showers.

    Raises:
        RequestError: unknown format or detector, the output exists and ``overwrite`` is False, or showers are flagged
            as extrapolated and the target format has no flags.
        FormatError: the input is missing, damaged, or of no known format.
    """
    if to not in _FORMATS:
        raise unknown_name("format", to, _FORMATS)
    src, dst = Path(src), check_output(dst, overwrite=overwrite)
    with _format_of(src).open(src, detector) as opened:
        _FORMATS[to].write(dst, opened, overwrite)
        return opened.length
