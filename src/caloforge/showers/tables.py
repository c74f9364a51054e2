"""Tables of conditions, one row a shower, in CSV, parquet and ROOT files.

Columns are named like the detector's conditions and hold MeV, mm and rad; ``pdg`` is optional. Other columns are
ignored, but for one that resembles a column which may be left out and is: that is taken for a misspelling.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Conditions, Detector, real_numbers
from caloforge.errors import CaloForgeError, FormatError, RequestError, nearest_name, require

PDG = "pdg"
_WITH_TREE = re.compile(r"(?P<path>.*\.root):(?P<tree>.+)", re.IGNORECASE)
_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")
_LARGEST = float(np.finfo(np.float32).max)  # files hold float32

_Choose = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True)
class _Table:
    """The columns chosen, and how the user finds row i again."""

    columns: dict[str, NDArray[Any]]
    place: Callable[[int], str]


def split_tree(path: str | Path) -> tuple[Path, str | None]:
    """The file and the tree of ``file.root:tree``; the tree is None where none is named.

    >>> split_tree("beam.root:run1/events")
    (PosixPath('beam.root'), 'run1/events')
    >>> split_tree("beam.csv")
    (PosixPath('beam.csv'), None)
    """
    match = _WITH_TREE.fullmatch(str(path))
    return (Path(match["path"]), match["tree"]) if match else (Path(path), None)


def read_table(path: str | Path, detector: Detector) -> Conditions:
    """All rows of a table; the suffix of the file says how it is read: one of ``TABLES``.

    A fixed condition and ``pdg`` may be missing: they are the detector's value and its first particle.

    Args:
        path: the file; ``file.root:tree`` names a tree in a ROOT file, the only one is taken otherwise.

    Raises:
        FormatError: the file is missing, damaged or empty, lacks a column or has a misspelt one, or holds what no
            shower can have; names the row.
        MissingExtraError: the package that reads this kind of file is not installed.
    """
    file, tree = split_tree(path)
    if not file.is_file():
        raise FormatError(f"{file}: no such file")
    if not file.stat().st_size:
        raise FormatError(f"{file}: the file is empty")
    table = TABLES[file.suffix.lower()](file, tree, lambda names: _choose(names, detector, file))
    columns = {name: _checked(name, values, table.place, file) for name, values in table.columns.items()}
    rows = len(next(iter(columns.values()))) if columns else 0
    if not rows:
        raise FormatError(f"{file} has no rows, so there are no conditions to take")
    for spec in detector.conditions:
        values = columns.setdefault(spec.name, np.full(rows, spec.low))
        if spec.name == "energy":
            _refuse(values <= 0, values, spec.name, "energies are positive, in MeV", table.place, file)
        if spec.unit == "rad":
            wrong = np.abs(values) >= np.pi / 2
            _refuse(wrong, values, spec.name, "angles are in rad and below pi/2", table.place, file)
    pdg = columns.get(PDG, np.full(rows, float(detector.particles[0])))
    wrong = (pdg != np.rint(pdg)) | (np.abs(pdg) >= 2**31)
    _refuse(wrong, pdg, PDG, "PDG codes are whole numbers, such as 11 for an electron", table.place, file)
    matrix = np.stack([columns[name] for name in detector.condition_names], axis=1)
    return Conditions(detector, matrix, pdg.astype(np.int32))


def _choose(names: Sequence[str], detector: Detector, path: Path) -> list[str]:
    """Return the columns to read, of all that a file has."""
    known = (*detector.condition_names, PDG)
    optional = {PDG, *(spec.name for spec in detector.conditions if spec.low == spec.high)}
    others = {name.lower(): name for name in names if name not in known}
    has = f"the file has {', '.join(map(repr, names)) or 'no columns'}"
    twice = sorted({name for name in known if names.count(name) > 1})
    if twice:
        raise FormatError(f"{path}: the column {twice[0]!r} comes more than once; {has}")
    missing = [name for name in known if name not in names]
    needed = [name for name in missing if name not in optional]
    if needed:
        nearest = nearest_name(needed[0], others)
        hint = f", where {others[nearest]!r} may be meant" if nearest else ""
        raise FormatError(
            f"{path} lacks the column {' and '.join(map(repr, needed))}; {has}{hint}. {detector.name} takes "
            f"{', '.join(f'{spec.name} in {spec.unit}' for spec in detector.conditions)}, and {PDG} if you like"
        )
    for lower, name in others.items():
        meant = nearest_name(lower, [each for each in missing if each in optional])
        if meant:
            raise FormatError(
                f"{path}: unknown column {name!r}; did you mean {meant!r}? Rename it so, or take it out of the file"
            )
    return [name for name in known if name in names]


def _checked(name: str, values: NDArray[Any], place: Callable[[int], str], path: Path) -> NDArray[np.float64]:
    if values.ndim != 1:
        raise FormatError(f"{path}: the column {name!r} has {values.ndim} dimensions; one number a row is needed")
    try:
        numbers = real_numbers(f"the column {name!r}", values).astype(np.float64)
    except RequestError as error:
        raise FormatError(f"{path}: {error}, one a row") from error
    _refuse(~(np.abs(numbers) <= _LARGEST), numbers, name, "a finite number is needed", place, path)
    return numbers


def _refuse(
    wrong: NDArray[np.bool_],
    values: NDArray[np.float64],
    name: str,
    rule: str,
    place: Callable[[int], str],
    path: Path,
) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        raise FormatError(f"{path}: {name} is {values[row]:g} in {place(row)}; {rule}")


def _row(index: int) -> str:
    return f"row {index} (the first is 0)"


def _read_csv(path: Path, _: str | None, choose: _Choose) -> _Table:
    lines = array("q")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, skipinitialspace=True, strict=True)
            names = [name.strip() for name in next(rows, [])]
            wanted = [(name, names.index(name)) for name in choose(names)]
            columns = {name: array("d") for name, _ in wanted}
            for row in rows:
                if not row:
                    continue  # a blank line
                if len(row) != len(names):
                    raise FormatError(
                        f"{path}: line {rows.line_num} has {len(row)} values, the header names {len(names)} columns; "
                        f"is the file cut?"
                    )
                for name, index in wanted:
                    columns[name].append(_number(row[index], name, path, rows.line_num))
                lines.append(rows.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{path}: not a readable CSV file ({error})") from error
    return _Table({name: np.array(values) for name, values in columns.items()}, lambda index: f"line {lines[index]}")


def _number(text: str, name: str, path: Path, line: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise FormatError(f"{path}: {name} is {text!r} in line {line}; a number is needed") from None


def _read_parquet(path: Path, _: str | None, choose: _Choose) -> _Table:
    parquet = require("pyarrow.parquet", "parquet")
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            wanted = choose(file.schema_arrow.names)
            table = file.read(columns=wanted)
            # An empty place in a column comes out as NaN.
            return _Table({name: table.column(name).to_numpy() for name in wanted}, _row)
    except (OSError, ValueError, NotImplementedError) as error:
        raise FormatError(f"{path}: not a readable parquet file ({error})") from error


def _read_root(path: Path, tree: str | None, choose: _Choose) -> _Table:
    uproot = require("uproot", "root")
    try:
        with uproot.open(path) as file:
            if path.stat().st_size < file.file.fEND:
                raise FormatError(f"{path}: not a readable ROOT file (it is cut; copy or make it again)")
            kinds = file.classnames(cycle=False)
            trees = [name for name, kind in kinds.items() if kind in _TREES]
            if tree is None and len(trees) != 1:
                raise FormatError(
                    f"{path} has {len(trees)} trees{': ' if trees else ''}{', '.join(trees)}; name the one to read, as "
                    f"in {path.name}:{trees[0] if trees else 'TREE'}"
                )
            if tree is not None and tree not in trees:
                raise FormatError(f"{path} has no tree {tree!r}; it has: {', '.join(trees) or 'none'}")
            found = file[tree or trees[0]]
            wanted = choose(found.keys())
            return _Table({name: found[name].array(library="np") for name in wanted}, _row)
    except CaloForgeError:
        raise
    except Exception as error:  # what uproot stumbles over in a damaged file may be anything
        raise FormatError(f"{path}: not a readable ROOT file ({type(error).__name__}: {error})") from error


TABLES: dict[str, Callable[[Path, str | None, _Choose], _Table]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".root": _read_root,
}
"""How each kind of table is read, by the suffix of its files."""
