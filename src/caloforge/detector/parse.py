"""From the text of a TOML file to the valid form of a detector; errors name the line and the key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from caloforge.detector.checks import MisfitError, check_detector
from caloforge.detector.locate import line_of
from caloforge.detector.spec import DetectorForm, keys
from caloforge.errors import RequestError, nearest_name


def parse_detector(text: str, origin: str = "detector TOML") -> DetectorForm:
    """Validate the text of a detector file.

    Args:
        text: the TOML text.
        origin: where it came from, for the error message.

    Raises:
        RequestError: the text is no TOML, or a key is unknown, missing or has a bad value; names the first such key
            and its line.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"{origin}: not valid TOML: {error}") from error
    try:
        form = DetectorForm.model_validate(values)
        check_detector(form)
    except ValidationError as error:
        # An entry that is wrong leaves its list too short, which is no error of its own.
        found = [each for each in error.errors() if each["type"] != "too_short" or not each["input"]]
        first = found[0]
        path, message = first["loc"], first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            nearest = nearest_name(str(path[-1]), keys())
            message = "unknown key" + (f"; did you mean {nearest!r}?" if nearest else "")
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise RequestError(f"{_place(text, values, path, origin)}: {message}{more}") from error
    except MisfitError as error:
        raise RequestError(f"{_place(text, values, error.path, origin)}: {error}") from error
    except RequestError as error:
        raise RequestError(f"{origin}: {error}") from error
    return form


def _place(text: str, values: Any, path: Sequence[str | int], origin: str) -> str:
    """The origin, the line in it and the key, such as "my.toml, line 7: layers.0.repeat"."""
    real = tuple(_as_written(values, path))
    line = line_of(text, real)
    where = origin if line is None else f"{origin}, line {line}"
    return f"{where}: {'.'.join(map(str, real))}" if real else where


def _as_written(values: Any, path: Sequence[str | int]) -> Iterator[str | int]:
    """The path without the place 0 of a table that may stand alone, as [cells] does."""
    for part in path:
        if isinstance(part, int) and isinstance(values, dict):
            continue
        yield part
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            values = None
