"""The line of every path in TOML of all shapes: known because the test writes the text line by line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.detector import detector_names
from caloforge.detector.locate import line_of

Path = tuple[str | int, ...]

KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True),
    st.sampled_from(["a b", "#", "a.b", "[x]", "=", '"', "\n", "ü", ""]),
)
SCALARS = st.one_of(
    st.integers(-1000, 1000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.text(st.sampled_from("ab#[]{}=,.'\"\\\n \u00fc"), max_size=12),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)


class Writer:
    """Writes TOML with shapes that hypothesis chooses, and notes the line of every path."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.text, self.lines = draw, "", dict[Path, int]()

    @property
    def line(self) -> int:
        return 1 + self.text.count("\n")

    def choose(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def key(self, key: str) -> str:
        bare = key.isascii() and key.replace("-", "a").replace("_", "a").isalnum()
        forms = [json.dumps(key)] + [key] * bare + [f"'{key}'"] * ("'" not in key and "\n" not in key)
        return self.choose(*forms)

    def scalar(self, value: Any) -> str:
        if not isinstance(value, str):
            return json.dumps(value)
        forms = [
            json.dumps(value),
            f'"""{json.dumps(value)[1:-1]}"""',
            '"""\n' + value.replace("\\", "\\\\").replace('"', '\\"') + '"""',
        ]
        if "'" not in value:
            forms += [f"'''\n{value}'''"] + [f"'{value}'"] * ("\n" not in value)
        return self.choose(*forms)

    def value(self, path: Path, value: Any) -> None:
        if isinstance(value, list):
            self.text += "["
            for index, item in enumerate(value):
                self.text += self.choose("", " ", "\n", "  # ] } , [ 'x\n\n")
                self.lines[*path, index] = self.line
                self.value((*path, index), item)
                self.text += (
                    self.choose(", ", ",\n", " # [\n,") if index < len(value) - 1 else self.choose("", ",", "\n")
                )
            self.text += "]"
        elif isinstance(value, dict):
            self.text += "{ "
            for index, (key, item) in enumerate(value.items()):
                self.text += ", " if index else ""
                self.pair(path, key, item)
            self.text += " }"
        else:
            self.text += self.scalar(value)

    def pair(self, path: Path, key: str, value: Any) -> None:
        self.lines[*path, key] = self.line
        self.text += self.key(key)
        if isinstance(value, dict) and len(value) == 1 and self.draw(st.booleans()):  # a dotted key
            ((inner, value),) = value.items()
            self.text += self.choose(".", " . ")
            self.pair((*path, key), inner, value)
        else:
            self.text += self.choose("=", " = ")
            self.value((*path, key), value)

    def table(self, path: Path, header: tuple[str, ...], table: dict[str, Any]) -> None:
        later = {}
        for key, value in table.items():
            tables = isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
            if (tables or isinstance(value, dict)) and self.draw(st.booleans()):
                later[key] = value
                continue
            self.text += self.choose("", "\n", "# [no.table]\n")
            self.pair(path, key, value)
            self.text += self.choose("\n", " # key = 1\n")
        for key, value in later.items():
            names = (*header, self.key(key))
            name = ".".join(names)
            if isinstance(value, dict):
                self.lines[*path, key] = self.line
                self.text += f"[{name}] # ]\n"
                self.table((*path, key), names, value)
                continue
            self.lines[*path, key] = self.line
            for index, item in enumerate(value):
                self.lines[*path, key, index] = self.line
                self.text += f"[[ {name} ]]\n"
                self.table((*path, key, index), names, item)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[Path, int]]:
    """A text, what it means, and the line of every path in it."""
    data = draw(st.dictionaries(KEYS, VALUES, max_size=5))
    writer = Writer(draw)
    writer.table((), (), data)
    return writer.text, data, writer.lines


def paths(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every path below a value, with what it leads to."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key), item
        yield from paths(item, (*path, key))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents())
def test_every_path_is_found_on_its_line(document: tuple[str, dict[str, Any], dict[Path, int]]) -> None:
    text, data, lines = document
    assert tomllib.loads(text) == data
    assert {path for path, _ in paths(data)} == set(lines)
    assert {path: line_of(text, path) for path in lines} == lines
    for path in lines:  # a missing key is looked for where it should be
        assert line_of(text, (*path, "no such key", 3)) == lines[path]


@pytest.mark.parametrize("name", detector_names())
def test_shipped_detectors(name: str) -> None:
    text = resources.files("caloforge.detector").joinpath("data", f"{name}.toml").read_text(encoding="utf-8")
    lines = text.splitlines()
    for path, value in paths(tomllib.loads(text)):
        line = line_of(text, path)
        assert line is not None
        if isinstance(path[-1], str):
            assert path[-1] in lines[line - 1], path
        if isinstance(value, str | bool):
            assert json.dumps(value, ensure_ascii=False) in lines[line - 1], path


DETECTOR = '''name = "mine"     # [[layers]]
title = """
two = "lines"
"""
[[layers]]
repeat = 3
slabs = [
  { material = "G4_Pb", thickness = 2.0 },
  # a comment, with ] and }
  { material = "#", thickness = -4.0 },
]
[[layers]]
[layers.cells]
size = [20.0,
        30.0]
[[layers.slabs]]
[[layers.slabs]]
thickness = 1.0
[simulation.cuts]
x.y = 1
[simulation]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 1),
        (("title",), 2),
        (("layers",), 5),
        (("layers", 0), 5),
        (("layers", 0, "repeat"), 6),
        (("layers", 0, "slabs"), 7),
        (("layers", 0, "slabs", 1, "thickness"), 10),
        (("layers", 0, "slabs", 1, "active"), 10),
        (("layers", 1, "repeat"), 12),
        (("layers", 1, "cells"), 13),
        (("layers", 1, "cells", "size", 1), 15),
        (("layers", 1, "slabs", 0), 16),
        (("layers", 1, "slabs", 1, "thickness"), 18),
        (("layers", 2), 5),
        (("simulation", "cuts", "x", "y"), 20),
        (("simulation", "cuts", "z"), 19),
        (("simulation",), 21),
        (("simulation", "physics_list"), 21),
        (("particles",), 1),
        (["layers", 0, "repeat"], 6),
    ],
)
def test_a_detector(path: Path, line: int) -> None:
    tomllib.loads(DETECTOR)
    assert line_of(DETECTOR, path) == line
    assert line_of(DETECTOR.replace("\n", "\r\n"), path) == line


def test_an_empty_path_has_no_line() -> None:
    assert line_of(DETECTOR, ()) is None
