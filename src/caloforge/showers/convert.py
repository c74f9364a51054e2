"""From one file format of showers to another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caloforge.detector import Detector, load_detector
from caloforge.errors import FormatError, RequestError, unknown_name
from caloforge.showers import calochallenge, calogan, lhcb_npz
from caloforge.showers.arrays import MAGIC, reading
from caloforge.showers.atomic import check_output
from caloforge.showers.binning import check_binning, read_binning
from caloforge.showers.container import Showers
from caloforge.showers.hdf5 import ShowerFile, ShowerWriter, Source


@dataclass(frozen=True)
class _Opened:
    """A file being read: how many showers, of what, and the showers block by block."""

    detector: Detector
    length: int
    source: Source
    provenance: Mapping[str, Any]
    blocks: Iterator[Showers]


@dataclass(frozen=True)
class _Told:
    """What the user says of a file, in case it does not say so itself."""

    detector: str | Path | Detector
    particle: int | None
    binning: str | Path | None


_Open = Callable[[Path, _Told], AbstractContextManager[_Opened]]


@dataclass(frozen=True)
class _Format:
    """A format: how its files are recognised, how to open one and how to write one.

    Attributes:
        magic: the bytes they begin with.
        marks: arrays and attributes at the root of an HDF5 file, any of which means this format.
        no_place_for: what our own files hold and files of this format do not.
        not_kept: what they hold and our own files do not.
        told: what may be said of a file besides its detector.
    """

    magic: bytes
    marks: tuple[str, ...]
    open: _Open
    write: Callable[[Path, _Opened, bool], None]
    no_place_for: tuple[str, ...] = ()
    not_kept: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


@contextmanager
def _open_hdf5(path: Path, _: _Told) -> Iterator[_Opened]:
    with ShowerFile(path) as file:
        yield _Opened(file.detector, len(file), file.source, file.provenance, file.blocks(file.block_rows))


def _write_hdf5(path: Path, opened: _Opened, overwrite: bool) -> None:
    with ShowerWriter(
        path, opened.detector, source=opened.source, provenance=opened.provenance, overwrite=overwrite
    ) as writer:
        for block in opened.blocks:
            writer.append(block)


@contextmanager
def _open_calochallenge(path: Path, told: _Told) -> Iterator[_Opened]:
    detector = load_detector(told.detector)
    particle, provenance = told.particle, {"converted_from": path.name, "format": "calochallenge"}
    if told.binning is not None:
        binning = read_binning(told.binning)
        check_binning(binning, detector)
        if particle not in (None, binning.particle):
            raise RequestError(
                f"{binning.path} is of the particle {binning.particle}, not of {particle}; leave one out"
            )
        particle = binning.particle
        provenance["binning"] = binning.path.name
    particle = detector.particles[0] if particle is None else particle
    with calochallenge.open_calochallenge(path, detector, particle) as (length, blocks):
        yield _Opened(detector, length, "import", provenance, blocks)


def _write_calochallenge(path: Path, opened: _Opened, overwrite: bool) -> None:
    calochallenge.write_calochallenge(path, opened.detector, opened.blocks, overwrite=overwrite)


@contextmanager
def _open_calogan(path: Path, told: _Told) -> Iterator[_Opened]:
    detector = load_detector(told.detector)
    particle = detector.particles[0] if told.particle is None else told.particle
    with calogan.open_calogan(path, detector, particle) as (length, blocks):
        yield _Opened(detector, length, "import", {"converted_from": path.name, "format": "calogan"}, blocks)


def _write_calogan(path: Path, opened: _Opened, overwrite: bool) -> None:
    calogan.write_calogan(path, opened.detector, opened.blocks, overwrite=overwrite)


@contextmanager
def _open_npz(path: Path, told: _Told) -> Iterator[_Opened]:
    detector = load_detector(told.detector)
    showers = lhcb_npz.read_lhcb_npz(path, detector)
    provenance = {"converted_from": path.name, "format": "lhcb-npz"}
    yield _Opened(detector, len(showers), "import", provenance, iter([showers]))


def _write_npz(path: Path, opened: _Opened, overwrite: bool) -> None:
    lhcb_npz.write_lhcb_npz(path, opened.detector, opened.length, opened.blocks, overwrite=overwrite)


# A file is of the first format that one of its marks stands for.
_FORMATS = {
    "caloforge": _Format(MAGIC, ("format", "conditions"), _open_hdf5, _write_hdf5),
    "calochallenge": _Format(
        MAGIC,
        calochallenge.ARRAYS,
        _open_calochallenge,
        _write_calochallenge,
        calochallenge.NO_PLACE_FOR,
        told=("particle", "binning"),
    ),
    "calogan": _Format(
        MAGIC,
        calogan.ARRAYS,
        _open_calogan,
        _write_calogan,
        calogan.NO_PLACE_FOR,
        calogan.NOT_KEPT,
        told=("particle",),
    ),
    "lhcb-npz": _Format(b"PK\x03\x04", (), _open_npz, _write_npz, lhcb_npz.NO_PLACE_FOR),
}


def format_names() -> tuple[str, ...]:
    """Names of the formats that :func:`convert` reads and writes."""
    return tuple(_FORMATS)


def no_place_for(to: str, src: str | Path | None = None) -> tuple[str, ...]:
    """What a format of :func:`format_names` leaves out of our own files, and our own leave out of the file ``src``.

    Raises:
        RequestError: unknown format, or as :func:`convert` for a file that cannot be read.

    >>> no_place_for("lhcb-npz")
    ('detector', 'layer_energies', 'absorber_energies', 'weights', 'source', 'provenance')
    """
    if to not in _FORMATS:
        raise unknown_name("format", to, _FORMATS)
    return _FORMATS[to].no_place_for + (() if src is None else _FORMATS[format_of(src)].not_kept)


def format_of(src: str | Path) -> str:
    """The format of :func:`format_names` that a file is in, recognised by what it holds.

    Raises:
        FormatError: the file is missing, damaged, or of no known format.
    """
    path = Path(src)
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or 'cannot be read'}") from error
    names: set[str] = set()
    if head.startswith(MAGIC):
        with reading(path) as arrays:
            names = {*arrays, *arrays.attrs}
    for name, candidate in _FORMATS.items():
        if head.startswith(candidate.magic) and (not candidate.marks or names & set(candidate.marks)):
            return name
    found = f"; at its root stand {', '.join(sorted(names)) or 'no arrays'}" if head.startswith(MAGIC) else ""
    raise FormatError(f"{path}: none of the formats that can be read: {', '.join(_FORMATS)}{found}")


def check_told(src: str | Path, form: str, **told: int | str | Path | None) -> None:
    """Raise ``RequestError`` if something is said, that is not None, of a file whose format has no use for it."""
    for name, value in told.items():
        if value is not None and name not in _FORMATS[form].told:
            raise RequestError(f"{src} is in the format {form}, for which no {name} can be given; leave out --{name}")


def convert(
    src: str | Path,
    dst: str | Path,
    to: str,
    *,
    detector: str | Path | Detector = "lhcb-ecal",
    particle: int | None = None,
    binning: str | Path | None = None,
    overwrite: bool = False,
) -> int:
    """Convert a file of showers; memory holds one block at a time, but for lhcb-npz that is read.

    What the target format has no place for is left out, see :func:`no_place_for`. Showers that it would tell wrongly
    are refused: flagged as extrapolated, or off the middle, at an angle or of several particles where it has one beam.

    Args:
        src: the file to read; its format is recognised by what it holds.
        dst: the file to write, which appears only when it is whole; calochallenge puts its binning file beside it.
        to: a format of :func:`format_names`.
        detector: name or file of the detector, for formats that do not carry it.
        particle: PDG code, for calochallenge and calogan; that of the binning file or the detector's first by default.
        binning: the XML file of CaloChallenge that describes the voxels of ``src``; it must agree with the detector.

    Returns:
        The number of showers.

    Raises:
        RequestError: unknown format or detector, the output exists and ``overwrite`` is False, showers or cells that
            the target format cannot tell, or a particle or binning for a file that has no use for it.
        FormatError: the input is missing, damaged, or of no known format.
    """
    if to not in _FORMATS:
        raise unknown_name("format", to, _FORMATS)
    src, dst = Path(src), check_output(dst, overwrite=overwrite)
    form = format_of(src)
    check_told(src, form, particle=particle, binning=binning)
    with _FORMATS[form].open(src, _Told(detector, particle, binning)) as opened:
        _FORMATS[to].write(dst, opened, overwrite)
        return opened.length
