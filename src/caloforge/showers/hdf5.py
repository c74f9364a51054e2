"""The HDF5 format of showers: written block by block under a temporary name, read in slices.

At the root stand ``incident_energies`` (N,1) and ``showers`` (N,n_cells), float32 in MeV, as CaloChallenge has them.
The group ``conditions`` holds ``pdg`` int32 (N,), ``momentum`` (N,3) in MeV, ``position`` (N,2) in mm and, where
showers were made outside a model's domain, ``extrapolated`` (N,) bool. ``layer_energies`` and
``absorber_energies`` (N,n_layers) are optional, as are ``weights`` (N,), finite and of any sign. The root attributes
say what made it: ``format``, ``version``, ``detector``, ``detector_toml``, ``source``, ``provenance`` (JSON).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge._version import __version__
from caloforge.detector import Conditions, Detector, detector_from_toml, from_file_form, load_detector
from caloforge.errors import FormatError, RequestError
from caloforge.showers.arrays import (
    WHOLE_CHUNKS,
    append_rows,
    block_rows,
    check_array,
    copy_rows,
    count_rows,
    guarded,
    new_array,
    new_file,
    open_arrays,
)
from caloforge.showers.atomic import atomic_output
from caloforge.showers.container import Showers
from caloforge.showers.interrupts import ctrl_c_waits

FORMAT = "caloforge-showers"
VERSION = 1
Source = Literal["geant4", "model", "import"]
_REQUIRED = ("incident_energies", "showers", "conditions/pdg", "conditions/momentum", "conditions/position")
_OPTIONAL = ("layer_energies", "absorber_energies", "weights")
_FLAGS = "conditions/extrapolated"


class ShowerWriter:
    """Write showers to a new file, block by block; a context manager.

    Each block is flushed. The file has its name only after the ``with`` block ended without an error; before that it is
    ``.NAME.partial-PID`` in the same folder, removed on an error.

    Args:
        source: what made the showers.
        provenance: JSON-able facts about how; the version of CaloForge is added.

    Raises:
        RequestError: on entry, when the output exists and ``overwrite`` is False, or its folder does not exist.
        WorkError: on entry or exit, when the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        detector: Detector,
        *,
        source: Source,
        provenance: Mapping[str, Any],
        overwrite: bool = False,
    ) -> None:
        if source not in get_args(Source):
            raise RequestError(f"source must be one of {', '.join(get_args(Source))}; got {source!r}")
        self.path = Path(path)
        self.detector = detector
        self._attributes: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "detector": detector.name,
            "detector_toml": detector.toml,
            "source": source,
            "provenance": json.dumps({"caloforge": __version__, **provenance}),
        }
        self._overwrite = overwrite
        self._length = 0
        self._file: h5py.File | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            partial = stack.enter_context(atomic_output(self.path, overwrite=self._overwrite))
            self._file = stack.enter_context(new_file(partial, self.path))
            with ctrl_c_waits():
                self._file.attrs.update(self._attributes)
                new_array(self._file, "incident_energies", 0, (1,), np.float32)
                new_array(self._file, "showers", 0, (self.detector.n_cells,), np.float32)
                new_array(self._file, "conditions/pdg", 0, (), np.int32)
                new_array(self._file, "conditions/momentum", 0, (3,), np.float32)
                new_array(self._file, "conditions/position", 0, (2,), np.float32)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file = None
        self._stack.__exit__(kind, error, trace)

    def append(self, showers: Showers) -> None:
        """Add a block and flush it.

        Raises:
            RequestError: another detector, or an optional array that some blocks have and others have not.
            WorkError: the file cannot be written, for instance because the disk is full.
        """
        if self._file is None:
            raise RequestError("append to a ShowerWriter inside its with block only")
        if showers.detector != self.detector:
            raise RequestError(f"the file holds showers of {self.detector.name}, the block those of another detector")
        form = showers.conditions.to_file_form()
        columns: dict[str, NDArray[Any]] = {
            "incident_energies": form.incident_energies,
            "showers": showers.energies,
            "conditions/pdg": form.pdg,
            "conditions/momentum": form.momentum,
            "conditions/position": form.position,
        }
        for name in _OPTIONAL:
            values = getattr(showers, name)
            self._check_optional(name, values is not None)
            if values is not None:
                columns[name] = values
        # Flags may begin with any block: earlier rows, and later blocks without flags, read as False.
        if showers.extrapolated is not None or _FLAGS in self._file:
            flags = showers.extrapolated
            columns[_FLAGS] = np.zeros(len(showers), dtype=np.bool_) if flags is None else flags
        append_rows(self._file, self.path, self._length, columns)
        self._length += len(showers)

    def append_file(self, file: ShowerFile) -> None:
        """Add all showers of a file that a :class:`ShowerWriter` wrote, as they are compressed there.

        Their energies are neither unpacked nor checked. The showers before it must fill whole chunks: a multiple of
        :data:`caloforge.showers.arrays.WHOLE_CHUNKS`.

        Raises:
            RequestError: another number of showers before it, another detector, or an optional array that some have and
                others have not; ``FormatError`` for a file of another layout, or a damaged one.
            WorkError: the file cannot be written, for instance because the disk is full.
        """
        if self._file is None:
            raise RequestError("append to a ShowerWriter inside its with block only")
        if file.detector != self.detector:
            raise RequestError(f"the file holds showers of {self.detector.name}, {file.path} those of another detector")
        if self._length % WHOLE_CHUNKS:
            raise RequestError(f"a file can follow a multiple of {WHOLE_CHUNKS} showers; there are {self._length}")
        theirs = file._file
        for name in (*_OPTIONAL, _FLAGS):
            self._check_optional(name, name in theirs)
        names = [name for name in (*_REQUIRED, *_OPTIONAL, _FLAGS) if name in theirs]
        copy_rows(theirs, self._file, self.path, self._length, names)
        self._length += len(file)

    def _check_optional(self, name: str, given: bool) -> None:
        assert self._file is not None
        if self._length and given != (name in self._file):
            raise RequestError(f"either every block of a file has {name} or none")

    def note(self, **facts: Any) -> None:
        """Add facts to the provenance that are known only after the work, such as the time it took.

        Raises:
            RequestError: outside the ``with`` block.
        """
        if self._file is None:
            raise RequestError("add notes to a ShowerWriter inside its with block only")
        provenance = json.loads(self._attributes["provenance"]) | facts
        with ctrl_c_waits():
            self._attributes["provenance"] = self._file.attrs["provenance"] = json.dumps(provenance)


class ShowerFile:
    """Read a file of showers; a context manager.

    Attributes:
        detector: the one in the file, or the shipped one of that name where the file carries none.
        source: what made the showers: "geant4", "model" or "import".
        provenance: how, as the writer noted it.

    Raises:
        FormatError: the file is missing, cut, of another format or version, or its arrays do not fit together. Reading
            raises it too, for damaged blocks and for energies that are negative or not finite.
    """

    detector: Detector
    source: Source
    provenance: dict[str, Any]

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = open_arrays(self.path)
        try:
            guarded(str(self.path), self._read_header)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; reading is over."""
        with ctrl_c_waits():
            self._file.close()

    def __len__(self) -> int:
        return self._length

    @property
    def block_rows(self) -> int:
        """A number of showers that fits into memory whatever the number of cells."""
        return block_rows([self._file["showers"]])

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """Showers ``start`` to ``stop`` (the end by default), with the rules of slices."""
        rows = slice(*slice(start, stop).indices(len(self))[:2])
        return guarded(str(self.path), lambda: self._showers(rows))

    def blocks(self, size: int = 10_000) -> Iterator[Showers]:
        """All showers, in blocks of ``size``; memory holds one block at a time."""
        for start in range(0, len(self), size):
            yield self.read(start, start + size)

    def conditions(self) -> Conditions:
        """The conditions of all showers, without reading any energies of cells."""
        return guarded(str(self.path), lambda: self._conditions(slice(0, len(self))))

    def _showers(self, rows: slice) -> Showers:
        optional = {name: self._file[name][rows] for name in _OPTIONAL if name in self._file}
        flags = self._file[_FLAGS][rows] if _FLAGS in self._file else None
        return Showers(
            self.detector, self._conditions(rows), self._file["showers"][rows], **optional, extrapolated=flags
        )

    def _conditions(self, rows: slice) -> Conditions:
        group = self._file["conditions"]
        return from_file_form(
            self.detector,
            self._file["incident_energies"][rows],
            group["momentum"][rows],
            group["position"][rows],
            group["pdg"][rows],
        )

    def _read_header(self) -> None:
        attributes = dict(self._file.attrs)
        if not _is(attributes.get("format"), FORMAT):
            raise FormatError(f"{self.path}: not a file of CaloForge showers: its attribute 'format' is not {FORMAT!r}")
        version = attributes.get("version")
        if not isinstance(version, int | np.integer) or version < 1:
            raise FormatError(f"{self.path}: the attribute 'version' is {version!r}, not a whole number from 1 on")
        if version > VERSION:
            raise FormatError(f"{self.path}: version {version} of the format; this CaloForge reads up to {VERSION}")
        missing = [name for name in _REQUIRED if not isinstance(self._file.get(name), h5py.Dataset)]
        if missing:
            raise FormatError(f"{self.path}: lacks the array {missing[0]!r}")
        source = attributes.get("source")
        if not any(_is(source, known) for known in get_args(Source)):
            raise FormatError(f"{self.path}: the attribute 'source' is {source!r}, not one of {get_args(Source)}")
        self.source = cast(Source, source)
        self.provenance = self._provenance(attributes.get("provenance", "{}"))
        toml, name = (str(attributes.get(key, "")) for key in ("detector_toml", "detector"))
        self.detector = detector_from_toml(toml) if toml else load_detector(name)
        self._length = count_rows(self._file, "showers")
        self._check_arrays()

    def _provenance(self, text: Any) -> dict[str, Any]:
        try:
            value = json.loads(text)
        except (TypeError, ValueError) as error:
            raise FormatError(f"{self.path}: the attribute 'provenance' is not JSON") from error
        return value if isinstance(value, dict) else {"provenance": value}

    def _check_arrays(self) -> None:
        """Shapes, and kinds of numbers as NumPy names them: f real, i and u whole, b true or false."""
        expected: dict[str, tuple[str, tuple[int, ...]]] = {
            "showers": ("fiu", (self.detector.n_cells,)),
            "incident_energies": ("fiu", (1,)),
            "conditions/momentum": ("fiu", (3,)),
            "conditions/position": ("fiu", (2,)),
            "conditions/pdg": ("iu", ()),
            "layer_energies": ("fiu", (self.detector.n_layers,)),
            "absorber_energies": ("fiu", (self.detector.n_layers,)),
            "weights": ("fiu", ()),
            _FLAGS: ("b", ()),
        }
        whose = f"{self.detector.name} with {len(self)} showers"
        for name, (kinds, row) in expected.items():
            if name in self._file:
                check_array(self._file, self.path, name, (len(self), *row), whose, kinds)


def _is(value: Any, text: str) -> bool:
    """Whether an attribute, which may be anything, is this text."""
    return isinstance(value, str) and value == text


def load(path: str | Path, start: int = 0, stop: int | None = None) -> Showers:
    """Showers ``start`` to ``stop`` of a file, in memory; :class:`ShowerFile` reads in blocks.

    Raises:
        FormatError: as :class:`ShowerFile`.
    """
    with ShowerFile(path) as file:
        return file.read(start, stop)


def save(
    path: str | Path, showers: Showers, *, source: Source, provenance: Mapping[str, Any], overwrite: bool = False
) -> None:
    """Write showers to a new file; :class:`ShowerWriter` writes in blocks.

    Raises:
        RequestError: the output exists and ``overwrite`` is False, or its folder does not exist.
    """
    with ShowerWriter(path, showers.detector, source=source, provenance=provenance, overwrite=overwrite) as writer:
        writer.append(showers)
