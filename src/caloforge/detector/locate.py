"""On which line of a TOML text a key or value stands; tomllib itself does not tell."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

Path = tuple[str | int, ...]

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'  # up to two quotes may stand before the closing three
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}=,.\n]"
    r"|[^\s\[\]{}=,.\#\"']+",
    re.DOTALL,
)
_END_OF_VALUE = (",", "]", "}", "\n", "")


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line, from 1, at which the key or value with that path stands.

    Args:
        text: valid TOML, that is, what :func:`tomllib.loads` accepts.
        path: keys of tables and indices in arrays, like ``loc`` in an error of pydantic.

    Returns:
        For a key its own line, for a table its header, for an item of an array where it begins. When the last parts of
        the path are not in the text, because a key is missing, the line of the deepest part that is, or 1 when there
        is none. None for an empty path.

    >>> text = "[cells]\\nsize = [\\n  1.0,\\n  -2.0,\\n]"
    >>> line_of(text, ("cells", "size", 1)), line_of(text, ("cells", "shape"))
    (4, 1)
    """
    if not path:
        return None
    lines = _Scanner(text).lines
    there = (path[:length] for length in range(len(path), 0, -1) if tuple(path[:length]) in lines)
    return lines.get(tuple(next(there, ())), 1)


class _Scanner:
    """Reads a valid text once; ``lines`` maps each path in it to its line."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._tables_in: dict[Path, int] = {}  # path of an array of tables -> how many so far
        found = [match for match in _TOKEN.finditer(text) if match[0][0] != "#"]
        self._tokens = [(match[0], 1 + text.count("\n", 0, match.start())) for match in found]
        self._tokens.append(("", 0))
        self._at = 0
        table: Path = ()
        while self._token:
            if self._token == "\n":
                self._at += 1
            elif self._token == "[":
                table = self._header()
            else:
                self._pair(table)

    @property
    def _token(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _line(self) -> int:
        return self._tokens[self._at][1]

    def _header(self) -> Path:
        line = self._line
        brackets = 2 if self._tokens[self._at + 1][0] == "[" else 1
        self._at += brackets
        keys = self._keys()
        self._at += brackets
        path: Path = ()
        for key in keys[:-1]:
            path = (*path, key)
            self.lines.setdefault(path, line)
            if path in self._tables_in:  # the last of its tables so far is meant
                path = (*path, self._tables_in[path] - 1)
        path = (*path, keys[-1])
        if brackets == 1:
            self.lines[path] = line  # also when a table inside it came before
            return path
        self.lines.setdefault(path, line)
        index = self._tables_in.get(path, 0)
        self._tables_in[path] = index + 1
        self.lines[(*path, index)] = line
        return (*path, index)

    def _pair(self, path: Path) -> None:
        line = self._line
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _keys(self) -> list[str]:
        keys = []
        while self._token not in ("=", "]", ""):
            if self._token != ".":
                # tomllib knows the escapes of a quoted key.
                keys.append(tomllib.loads(f"key = {self._token}")["key"] if self._token[0] in "\"'" else self._token)
            self._at += 1
        return keys

    def _value(self, path: Path) -> None:
        closing = {"[": "]", "{": "}"}.get(self._token)
        if closing is None:
            while self._token not in _END_OF_VALUE:
                self._at += 1
            return
        self._at += 1
        index = 0
        while self._token not in (closing, ""):
            if self._token in (",", "\n"):
                self._at += 1
            elif closing == "}":
                self._pair(path)
            else:
                self.lines[(*path, index)] = self._line
                self._value((*path, index))
                index += 1
        self._at += 1
