"""Conditions from tables: the same in every format, and a wrong table is refused with the row at fault."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.detector import Conditions, Detector, detector_from_toml, draw_conditions
from caloforge.errors import FormatError, MissingExtraError, RequestError
from caloforge.showers import Showers, save
from caloforge.showers.asked import asked_conditions, source_name
from caloforge.showers.tables import TABLES, read_table

Columns = Mapping[str, Any]
Write = Callable[[Path, Columns], Path]


def write_csv(path: Path, columns: Columns) -> Path:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_parquet(path: Path, columns: Columns) -> Path:
    arrow = pytest.importorskip("pyarrow", reason="parquet needs pyarrow: pip install 'caloforge[parquet]'")
    importlib.import_module("pyarrow.parquet").write_table(arrow.table(dict(columns)), path)
    return path


def write_root(path: Path, columns: Columns) -> Path:
    """One tree, of the kind that ROOT has had from the beginning."""
    uproot = pytest.importorskip("uproot", reason="ROOT files need uproot: pip install 'caloforge[root]'")
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    with uproot.recreate(path) as file:
        file.mktree("events", {name: (values.dtype, values.shape[1:]) for name, values in arrays.items()})
        file["events"].extend(arrays)
    return path


def write_ntuple(path: Path, columns: Columns) -> Path:
    """One RNTuple, ROOT's newer kind of tree."""
    uproot = pytest.importorskip("uproot", reason="ROOT files need uproot: pip install 'caloforge[root]'")
    with uproot.recreate(path) as file:
        file.mkrntuple("events", {name: np.asarray(values) for name, values in columns.items()})
    return path


WRITERS: dict[str, tuple[str, Write]] = {
    "csv": ("table.csv", write_csv),
    "parquet": ("table.parquet", write_parquet),
    "tree": ("table.root", write_root),
    "ntuple": ("table.root", write_ntuple),
}
every_format = pytest.mark.parametrize(("name", "write"), WRITERS.values(), ids=WRITERS)


@pytest.fixture(scope="module")
def drawn(lhcb: Detector) -> Conditions:
    return draw_conditions(lhcb, 3, 0, 300, {11: 1, 22: 1, 211: 1})


@pytest.fixture
def columns(drawn: Conditions) -> dict[str, NDArray[Any]]:
    return {**{name: drawn.column(name) for name in drawn.detector.condition_names}, "pdg": drawn.pdg}


@every_format
def test_what_was_written_is_read(
    tmp_path: Path, drawn: Conditions, columns: dict[str, Any], name: str, write: Write
) -> None:
    shuffled = {key: columns[key] for key in reversed(columns)}  # the order of the columns does not matter
    found = read_table(write(tmp_path / name, shuffled), drawn.detector)
    np.testing.assert_array_equal(found.matrix, drawn.matrix)
    np.testing.assert_array_equal(found.pdg, drawn.pdg)


@every_format
def test_without_particles_it_is_the_first_of_the_detector(
    tmp_path: Path, lhcb: Detector, columns: dict[str, Any], name: str, write: Write
) -> None:
    del columns["pdg"]
    integers = columns | {"energy": np.arange(1000, 1300), "event": np.arange(300)}  # whole numbers; a column ignored
    found = read_table(write(tmp_path / name, integers), lhcb)
    assert set(found.pdg.tolist()) == {11}
    np.testing.assert_array_equal(found.column("energy"), np.arange(1000.0, 1300.0))


def test_a_fixed_condition_may_be_missing(tmp_path: Path, lhcb: Detector, columns: dict[str, Any]) -> None:
    fixed = detector_from_toml(lhcb.toml.replace('low = -20.0\nhigh = 20.0\ndensity = "uniform"', "value = 0.0"))
    assert read_table(write_csv(tmp_path / "all.csv", columns), fixed).column("angle_xz").std() > 0.1
    del columns["angle_xz"]
    assert set(read_table(write_csv(tmp_path / "some.csv", columns), fixed).column("angle_xz").tolist()) == {0.0}
    with pytest.raises(FormatError, match="lacks the column 'angle_xz'"):
        read_table(tmp_path / "some.csv", lhcb)
    columns["angel_xz"] = columns["x"]
    with pytest.raises(FormatError, match="unknown column 'angel_xz'; did you mean 'angle_xz'"):
        read_table(write_csv(tmp_path / "wrong.csv", columns), fixed)


@every_format
@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("energy", -5.0, "energy is -5 in (row 7|line 9).*; energies are positive, in MeV"),
        ("energy", 0.0, "energy is 0 in (row 7|line 9)"),
        ("energy", np.inf, "energy is inf in (row 7|line 9).*; a finite number"),
        ("x", np.nan, "x is nan in (row 7|line 9).*; a finite number"),
        ("y", 1e300, r"y is 1e\+300 in (row 7|line 9)"),
        ("angle_xz", 20.0, "angle_xz is 20 in (row 7|line 9).*; angles are in rad"),
        ("pdg", 11.5, "pdg is 11.5 in (row 7|line 9).*; PDG codes are whole numbers"),
        ("pdg", 3e9, r"pdg is 3e\+09 in (row 7|line 9)"),
    ],
)
def test_a_wrong_value_is_refused_with_its_row(
    tmp_path: Path,
    lhcb: Detector,
    columns: dict[str, Any],
    name: str,
    write: Write,
    column: str,
    value: float,
    message: str,
) -> None:
    columns[column] = columns[column].astype(np.float64)
    columns[column][7] = value
    with pytest.raises(FormatError, match=message) as caught:
        read_table(write(tmp_path / name, columns), lhcb)
    assert name in str(caught.value)


@every_format
def test_columns_that_do_not_fit(
    tmp_path: Path, lhcb: Detector, columns: dict[str, Any], name: str, write: Write
) -> None:
    path = tmp_path / name
    renamed = {("E_kin" if key == "energy" else key): values for key, values in columns.items()}
    with pytest.raises(FormatError, match="lacks the column 'energy'; the file has 'E_kin', .*takes energy in MeV"):
        read_table(write(path, renamed), lhcb)
    renamed = {("Angle_XZ" if key == "angle_xz" else key): values for key, values in columns.items()}
    with pytest.raises(FormatError, match="lacks the column 'angle_xz'; .*where 'Angle_XZ' may be meant"):
        read_table(write(path, renamed), lhcb)
    for misspelt in ("PDG", "pdgid", "pid"):
        renamed = {(misspelt if key == "pdg" else key): values for key, values in columns.items()}
        with pytest.raises(FormatError, match=f"unknown column '{misspelt}'; did you mean 'pdg'"):
            read_table(write(path, renamed), lhcb)
    assert len(read_table(write(path, columns | {"pid": columns["x"]}), lhcb)) == 300  # pdg is there


@every_format
def test_no_rows(tmp_path: Path, lhcb: Detector, columns: dict[str, Any], name: str, write: Write) -> None:
    empty = {key: values[:0] for key, values in columns.items()}
    with pytest.raises(FormatError, match="has no rows"):
        read_table(write(tmp_path / name, empty), lhcb)


@pytest.mark.parametrize("suffix", TABLES)
def test_files_that_are_none(tmp_path: Path, lhcb: Detector, suffix: str) -> None:
    path = tmp_path / f"table{suffix}"
    with pytest.raises(FormatError, match="no such file"):
        read_table(path, lhcb)
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="the file is empty"):
        read_table(path, lhcb)
    path.write_bytes(bytes(range(256)) * 9)
    with pytest.raises(FormatError, match="not a readable"):
        read_table(path, lhcb)


@pytest.mark.parametrize("kind", ["parquet", "tree", "ntuple"])
def test_a_file_that_is_cut_is_refused(tmp_path: Path, lhcb: Detector, columns: dict[str, Any], kind: str) -> None:
    name, write = WRITERS[kind]
    path = write(tmp_path / name, columns)
    whole = path.read_bytes()
    for share in (0.02, 0.3, 0.6, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(FormatError, match="not a readable"):
            read_table(path, lhcb)


def test_a_csv_file_that_is_cut_or_wrong(tmp_path: Path, lhcb: Detector, columns: dict[str, Any]) -> None:
    path = write_csv(tmp_path / "table.csv", columns)
    text = path.read_text()
    path.write_text(text[: text.rindex(",") - 30])
    with pytest.raises(FormatError, match="line 301 has . values, the header names 6 columns; is the file cut"):
        read_table(path, lhcb)
    header, first = text.splitlines()[:2]
    for wrong, message in (
        (f"{header}\n{first}\n\n{first.replace(',', ';')}\n", "line 4 has 1 values"),
        (f"{header}\n{first}\n{first.rpartition(',')[0]},e-\n", "pdg is 'e-' in line 3; a number"),
        (f"{header}\n{first.rpartition(',')[0]},\n", "pdg is '' in line 2; a number"),
        (f"{header}\n{first},\n", "line 2 has 7 values"),
        (f'{header}\n"{first}\n', "not a readable CSV file"),
        (f"{header},pdg\n{first},11\n", "the column 'pdg' comes more than once"),
        (header.replace(",", ";") + "\n", "lacks the column 'energy' and 'x' and"),
        ("\n\n", "the file has no columns"),
    ):
        path.write_text(wrong)
        with pytest.raises(FormatError, match=message):
            read_table(path, lhcb)
    # What spreadsheets write: a byte order mark, spaces, quotes, a blank line at the end.
    path.write_text('\ufeff"energy", x , y,angle_xz,angle_yz\n1000, "1.5",2,0.1,0\n\n', encoding="utf-8")
    assert read_table(path, lhcb).matrix.tolist() == [[1000.0, 1.5, 2.0, 0.1, 0.0]]


def test_types_that_are_no_numbers(tmp_path: Path, lhcb: Detector, columns: dict[str, Any]) -> None:
    for values in (["1"] * 300, [True] * 300, [[1.0]] * 300):
        path = write_parquet(tmp_path / "types.parquet", columns | {"energy": values})
        with pytest.raises(FormatError, match="the column 'energy' must be real numbers; got the type"):
            read_table(path, lhcb)
    holes = columns | {"pdg": [11, None] * 150}
    with pytest.raises(FormatError, match="pdg is nan in row 1"):
        read_table(write_parquet(tmp_path / "holes.parquet", holes), lhcb)
    wide = columns | {"energy": np.ones((300, 2))}
    with pytest.raises(FormatError, match="the column 'energy' has 2 dimensions"):
        read_table(write_root(tmp_path / "wide.root", wide), lhcb)


def test_trees_of_a_root_file(tmp_path: Path, drawn: Conditions, columns: dict[str, Any]) -> None:
    uproot = pytest.importorskip("uproot", reason="ROOT files need uproot: pip install 'caloforge[root]'")
    path = tmp_path / "beam.v2.root"
    with uproot.recreate(path) as file:
        file["spectrum"] = np.histogram(columns["energy"])
        for tree, rows in (("first", 100), ("run2/events", 300)):
            file.mktree(tree, {name: values.dtype for name, values in columns.items()})
            file[tree].extend({name: values[:rows] for name, values in columns.items()})
    assert len(read_table(f"{path}:first", drawn.detector)) == 100
    np.testing.assert_array_equal(read_table(f"{path}:run2/events", drawn.detector).matrix, drawn.matrix)
    assert source_name(Path(f"{path}:run2/events")) == "beam.v2.root:run2/events"
    with pytest.raises(FormatError, match=r"has 2 trees: first, run2/events; name the one to read, .*root:first"):
        read_table(path, drawn.detector)
    with pytest.raises(FormatError, match="has no tree 'third'; it has: first, run2/events"):
        read_table(f"{path}:third", drawn.detector)
    with uproot.recreate(path) as file:
        file["spectrum"] = np.histogram(columns["energy"])
    with pytest.raises(FormatError, match="has 0 trees; name the one to read"):
        read_table(path, drawn.detector)


@pytest.mark.parametrize(("suffix", "extra"), [("parquet", "parquet"), ("root", "root")])
def test_a_missing_package_is_named(
    tmp_path: Path, lhcb: Detector, suffix: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"table.{suffix}").write_text("anything")
    for package in ("uproot", "pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'caloforge\[{extra}\]'"):
        read_table(tmp_path / f"table.{suffix}", lhcb)


def asked(detector: Detector, n: int | None, like: Path) -> tuple[int, Conditions | None]:
    return asked_conditions(detector, n, like, narrowed=False, check=lambda theirs, name: None)


def test_a_request_takes_tables_and_files_of_showers(
    tmp_path: Path, drawn: Conditions, columns: dict[str, Any], showers: Showers
) -> None:
    lhcb = drawn.detector
    table = write_csv(tmp_path / "TABLE.CSV", columns)
    assert asked(lhcb, None, table)[0] == 300
    given = asked(lhcb, 7, table)[1]
    assert given is not None
    np.testing.assert_array_equal(given.matrix, drawn.matrix[:7])
    with pytest.raises(RequestError, match="has the conditions of 300 showers; 301 were asked for"):
        asked(lhcb, 301, table)
    save(tmp_path / "some.hdf5", showers, source="import", provenance={})
    assert asked(lhcb, None, tmp_path / "some.hdf5")[0] == len(showers)
    with pytest.raises(FormatError, match="conditions come from files of showers .*.h5, .hdf5.*; got '.txt'"):
        asked(lhcb, None, tmp_path / "some.txt")
    muons = write_csv(tmp_path / "muons.csv", columns | {"pdg": np.full(300, 13)})
    with pytest.raises(RequestError, match="lhcb-ecal does not take the particle with PDG code 13"):
        asked(lhcb, None, muons)
