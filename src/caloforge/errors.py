"""Every error CaloForge raises on purpose.

The command line prints the message of a :class:`CaloForgeError` as one line and leaves with its ``exit_code``:
2 for a request that cannot be honoured, 1 for work that failed on the way.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class CaloForgeError(Exception):
    """Base of every deliberate error."""

    exit_code = 1


class RequestError(CaloForgeError):
    """The request itself is wrong: an unknown name, a bad value, an output that exists."""

    exit_code = 2


class FormatError(RequestError):
    """A file is missing, cut, of another format, or holds values that showers cannot have."""


class DomainError(RequestError):
    """Conditions lie outside the domain a model was trained on."""


class MissingExtraError(RequestError):
    """A feature needs a package that the light installation leaves out."""


class WorkError(CaloForgeError):
    """The request was sound but the work failed."""

    exit_code = 1


def nearest_name(name: str, valid: Iterable[str]) -> str | None:
    """The entry of ``valid`` that resembles ``name`` most, or None when nothing does.

    >>> nearest_name("lhcb-ecla", ["lhcb-ecal", "calogan"])
    'lhcb-ecal'
    """
    matches = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> RequestError:
    """The error for a name that is not in a closed table: lists the valid ones and suggests the nearest.

    >>> print(unknown_name("detector", "lhcb", ["lhcb-ecal"]))
    unknown detector 'lhcb'; did you mean 'lhcb-ecal'? Valid names: lhcb-ecal
    """
    names = sorted(valid)
    nearest = nearest_name(name, names)
    hint = f"; did you mean {nearest!r}?" if nearest else "."
    return RequestError(f"unknown {kind} {name!r}{hint} Valid names: {', '.join(names) or '(none)'}")


def require(module: str, extra: str) -> ModuleType:
    """Import ``module``, or say which extra of CaloForge brings it.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A module missing inside an installed package is a fault of that installation, not a missing extra.
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f"this needs the package {module.split('.')[0]!r}, which is not installed: pip install 'caloforge[{extra}]'"
        ) from error
