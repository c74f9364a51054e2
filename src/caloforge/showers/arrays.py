"""HDF5 files of arrays with one row a shower, whatever their names: opened, checked, written, with errors that help."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from caloforge.errors import FormatError, RequestError, WorkError
from caloforge.showers.atomic import atomic_output
from caloforge.showers.interrupts import ctrl_c_waits

MAGIC = b"\x89HDF\r\n\x1a\n"
_T = TypeVar("_T")
_CHUNK_ROWS = 256
WHOLE_CHUNKS = 4 * _CHUNK_ROWS
"""Rows of a chunk of one number a shower, and so a multiple of the rows of every chunk."""
_NO_CHECKSUM = 0b10
"""Of the two filters of an array, zlib and fletcher32, chunks leave out the second: zlib has a checksum of its own."""
_BLOCK_NUMBERS = 2**24
_KINDS = {"fiu": "real numbers", "iu": "whole numbers", "b": "truth values"}


def open_arrays(path: Path) -> h5py.File:
    """The file open for reading; the caller closes it.

    Raises:
        FormatError: there is no such file, it is cut, or it is no HDF5 file.
    """
    if not path.is_file():
        raise FormatError(f"{path}: no such file")
    try:
        with ctrl_c_waits():
            return h5py.File(path, "r")
    except OSError as error:
        raise FormatError(f"{path}: {_reason_not_opened(path)}") from error


@contextmanager
def reading(path: Path) -> Iterator[h5py.File]:
    """The file open for reading, closed at the end of the block.

    Raises:
        FormatError: as :func:`open_arrays`.
    """
    file = open_arrays(path)
    try:
        yield file
    finally:
        with ctrl_c_waits():
            file.close()


def guarded(place: str, read: Callable[[], _T]) -> _T:
    """What ``read`` returns, with Ctrl-C held back; ``place`` is the file, or a part of it, for the errors.

    Raises:
        FormatError: a block is damaged or cut, or holds what no shower can have.
    """
    try:
        with ctrl_c_waits():
            return read()
    except FormatError:
        raise
    except RequestError as error:
        raise FormatError(f"{place}: {error}") from error
    except OSError as error:
        raise FormatError(f"{place}: a block is damaged or cut ({error})") from error


def check_array(
    file: h5py.File, path: Path, name: str, shape: tuple[int, ...], whose: str, kinds: str = "fiu"
) -> h5py.Dataset:
    """The array ``name``, once it is certain that it has this shape and kind of numbers.

    Args:
        whose: who needs the shape, for the message.
        kinds: as NumPy names them: f real, i and u whole, b true or false.

    Raises:
        FormatError: it is missing, a group, or of another shape or kind.
    """
    if name not in file:
        raise FormatError(f"{path}: lacks the array {name!r}")
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise FormatError(f"{path}: {name!r} is a group; an array is needed")
    if found.shape != shape:
        raise FormatError(f"{path}: {name!r} has shape {found.shape}; {whose} needs {shape}")
    if found.dtype.kind not in kinds:
        raise FormatError(f"{path}: {name!r} is of the type {found.dtype}; {_KINDS[kinds]} are needed")
    return found


def count_rows(file: h5py.File, name: str) -> int:
    """Number of showers by the length of an array; 0 where there is no such array or it has no rows."""
    found = file.get(name)
    return int(found.shape[0]) if isinstance(found, h5py.Dataset) and found.shape else 0


def block_rows(arrays: Sequence[h5py.Dataset]) -> int:
    """How many rows to read at once: about 16 million numbers, and whole chunks where these are not much larger."""
    rows: int = max(1, _BLOCK_NUMBERS // sum(math.prod(array.shape[1:]) for array in arrays))
    chunk: int = max(array.chunks[0] if array.chunks else 1 for array in arrays)
    return chunk * max(1, rows // chunk) if chunk <= 2 * rows else rows


@contextmanager
def new_file(partial: Path, path: Path) -> Iterator[h5py.File]:
    """The file ``partial`` open for writing, closed at the end; errors speak of ``path``.

    Raises:
        WorkError: the file cannot be written.
    """
    try:
        with ctrl_c_waits():
            file = h5py.File(partial, "w")
    except OSError as error:
        raise not_written(path, error) from error
    try:
        yield file
    finally:
        try:
            with ctrl_c_waits():
                file.close()
        except (OSError, RuntimeError) as error:  # RuntimeError where an earlier write failed already
            raise not_written(path, error) from error


def new_array(file: h5py.File, name: str, rows: int, shape: tuple[int, ...], dtype: Any) -> h5py.Dataset:
    """An array of ``rows`` rows of this shape, which reads as 0 and can grow."""
    # Showers are sparse: gzip without shuffle is both smaller and faster here than with it.
    return file.create_dataset(
        name,
        shape=(rows, *shape),
        maxshape=(None, *shape),
        chunks=(_CHUNK_ROWS, *shape) if shape else (WHOLE_CHUNKS,),
        dtype=dtype,
        compression="gzip",
        compression_opts=1,
        fletcher32=True,
    )


def append_rows(file: h5py.File, path: Path, start: int, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write rows from ``start`` on, all columns of one length, and flush; arrays that are not there begin with zeros.

    :data:`WHOLE_CHUNKS` rows at a time are written fastest; of other numbers, the last are compressed again next time.

    Raises:
        WorkError: the file cannot be written, for instance because the disk is full.
    """
    try:
        with ctrl_c_waits():
            for name, values in columns.items():
                there = name in file
                array = file[name] if there else new_array(file, name, start, values.shape[1:], values.dtype)
                array.resize(start + len(values), axis=0)
                _write_rows(array, start, values)
            file.flush()
    except OSError as error:
        raise not_written(path, error) from error


def _write_rows(array: h5py.Dataset, start: int, values: NDArray[Any]) -> None:
    """Write rows from ``start`` on as whole chunks, compressed here, which is several times faster than in HDF5.

    Nothing waits in the cache of HDF5 either, which may crash when the disk has no room for it in the end.
    """
    rows, stop = array.chunks[0], start + len(values)
    for first in range(start - start % rows, stop, rows):
        begin, end = max(first, start), min(first + rows, stop)
        chunk = np.zeros(array.chunks, array.dtype)
        if first < start:
            chunk[: start - first] = array[first:start]
        chunk[begin - first : end - first] = values[begin - start : end - start]
        array.id.write_direct_chunk((first, *[0] * (array.ndim - 1)), isal_zlib.compress(chunk, 1), _NO_CHECKSUM)


def copy_rows(source: h5py.File, file: h5py.File, path: Path, start: int, names: Iterable[str]) -> None:
    """Copy all rows of the arrays ``names`` to the rows from ``start`` on, chunk by chunk, compressed as they are.

    Args:
        source: a file whose arrays :func:`new_array` made, such as ``append_rows`` fills.
        start: a multiple of :data:`WHOLE_CHUNKS`.

    Raises:
        FormatError: an array of the source has other chunks or compression, or a chunk that cannot be read.
        WorkError: the file cannot be written, for instance because the disk is full.
    """
    for name in names:
        theirs = source[name]
        try:
            with ctrl_c_waits():
                array = file[name] if name in file else new_array(file, name, start, theirs.shape[1:], theirs.dtype)
                if _layout(theirs) != _layout(array):
                    raise FormatError(f"{source.filename}: {name!r} is not laid out as this CaloForge does it")
                array.resize(start + len(theirs), axis=0)
                for number in range(theirs.id.get_num_chunks()):
                    offset = theirs.id.get_chunk_info(number).chunk_offset
                    filters, content = guarded(source.filename, partial(theirs.id.read_direct_chunk, offset))
                    array.id.write_direct_chunk((start + offset[0], *offset[1:]), content, filters)
        except OSError as error:
            raise not_written(path, error) from error


def _layout(array: h5py.Dataset) -> tuple[object, ...]:
    """All that the meaning of a compressed chunk depends on."""
    return array.dtype, array.chunks, array.compression, array.shuffle, array.fletcher32, array.scaleoffset


def write_arrays(path: Path, blocks: Iterable[Mapping[str, NDArray[Any]]], *, overwrite: bool) -> None:
    """Write a file of arrays, block by block; it appears only when it is whole. Blocks may have no rows.

    Raises:
        RequestError: the output exists and ``overwrite`` is False, or its folder does not exist.
        WorkError: the file cannot be written.
    """
    with atomic_output(path, overwrite=overwrite) as partial, new_file(partial, path) as file:
        start = 0
        for columns in blocks:
            append_rows(file, path, start, columns)
            start += len(next(iter(columns.values())))


def not_written(path: Path, error: OSError | RuntimeError) -> WorkError:
    """The error for a file that could not be written."""
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else "HDF5 reports a failed write"
    return WorkError(f"cannot write {path} ({reason}); make room or choose another place")


def _reason_not_opened(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(8)
    if head == MAGIC:
        return "the HDF5 file is cut or damaged; copy or make it again"
    return "not an HDF5 file" if head else "the file is empty"
