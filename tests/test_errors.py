"""Errors carry their exit code and teach the fix."""

from __future__ import annotations

import math

import pytest

from caloforge.errors import (
    CaloForgeError,
    DomainError,
    FormatError,
    MissingExtraError,
    RequestError,
    WorkError,
    require,
    unknown_name,
)
from caloforge.units import describe, to_internal


def test_exit_codes() -> None:
    assert {kind.exit_code for kind in (RequestError, FormatError, DomainError, MissingExtraError)} == {2}
    assert {kind.exit_code for kind in (CaloForgeError, WorkError)} == {1}


def test_unknown_name_lists_and_suggests() -> None:
    message = str(unknown_name("model", "wgan", ["neighbour", "wgan-gp"]))
    assert "'wgan'" in message
    assert "did you mean 'wgan-gp'" in message
    assert "neighbour, wgan-gp" in message
    assert "did you mean" not in str(unknown_name("model", "xyz", ["neighbour"]))


def test_missing_extra_says_how_to_install_it() -> None:
    assert require("json", "train").dumps([]) == "[]"
    with pytest.raises(MissingExtraError, match=r"pip install 'caloforge\[train\]'"):
        require("a_package_nobody_has.part", "train")


def test_units() -> None:
    angle, unit = to_internal(180.0, "deg")
    assert unit == "rad"
    assert angle == pytest.approx(math.pi)
    assert to_internal(1.0, "m") == (1000.0, "mm")
    assert describe(1000.0, "MeV") == "1 GeV"
    with pytest.raises(RequestError, match="unknown unit 'Gev'; did you mean 'GeV'"):
        to_internal(1.0, "Gev")
