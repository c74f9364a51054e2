"""Where Geant4's official datasets are, and what of them a simulation needs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from caloforge.cache import absent
from caloforge.errors import RequestError

DATA_DIR = "GEANT4_DATA_DIR"


@dataclass(frozen=True)
class Dataset:
    """One dataset: name and version as in Geant4 11.4, the variable that names its folder, the files needed in it.

    ``files`` gives their names from the atomic numbers; each must have ``smallest`` bytes at least.
    """

    name: str
    version: str
    variable: str
    files: Callable[[Sequence[int]], list[str]]
    smallest: int = 1

    @property
    def folder(self) -> str:
        return self.name + self.version

    def missing(self, folder: Path, elements: Sequence[int]) -> list[str]:
        return absent(folder, self.files(elements), self.smallest)


def _electromagnetic(elements: Sequence[int]) -> list[str]:
    names = [f"brem_SB/br{Z}" for Z in elements]
    for Z in elements:
        kinds = ("cs", "high", "low") if Z < 3 else ("cs", "high", "low", "le-cs", "ss-cs")  # more than one shell
        names += [f"epics2017/phot/pe-{kind}-{Z}.dat" for kind in kinds]
    return names


def _neutrons(_: Sequence[int]) -> list[str]:
    """Those of every element: nuclear reactions leave others than the materials have."""
    return [f"neutron/{kind}{Z}" for kind in ("inel", "el", "cap") for Z in range(1, 93)]


def _levels(_: Sequence[int]) -> list[str]:
    """None: Geant4 wants the folder, and takes a nucleus without a file as one without known levels."""
    return []


def _states(_: Sequence[int]) -> list[str]:
    return ["ENSDFSTATE.dat"]


ELECTROMAGNETIC = Dataset("G4EMLOW", "8.8", "G4LEDATA", _electromagnetic)
NEUTRONS = Dataset("G4PARTICLEXS", "4.2", "G4PARTICLEXSDATA", _neutrons)
LEVELS = Dataset("PhotonEvaporation", "6.1.2", "G4LEVELGAMMADATA", _levels)
STATES = Dataset("G4ENSDFSTATE", "3.0", "G4ENSDFSTATEDATA", _states, smallest=0)


@dataclass(frozen=True)
class Found:
    """A folder that has what is needed, and what pointed to it."""

    folder: Path
    origin: str


def download_folder() -> Path:
    """Where geant4-pybind downloads datasets to; the same rule as in its code."""
    return Path("~/.geant4_pybind").expanduser()


def find(dataset: Dataset, elements: Sequence[int]) -> Found | None:
    """The user's own copy of a dataset: its variable, then ``GEANT4_DATA_DIR``, then what was downloaded.

    None when the user points nowhere and nothing complete was downloaded.

    Raises:
        RequestError: a variable points to a folder that is not there or lacks a file that is needed. Geant4 would
            end the process without a word that Python could catch.
    """
    if os.environ.get(dataset.variable):
        return _checked(dataset, Path(os.environ[dataset.variable]), dataset.variable, elements)
    if os.environ.get(DATA_DIR):
        return _checked(dataset, _inside(Path(os.environ[DATA_DIR]), dataset), DATA_DIR, elements)
    folder = download_folder() / dataset.folder
    if folder.is_dir() and not dataset.missing(folder, elements):
        return Found(folder.absolute(), "downloaded")
    return None


def _inside(parent: Path, dataset: Dataset) -> Path:
    """The dataset's folder in ``parent``, of the version this Geant4 was made for or else the latest."""
    if not parent.is_dir():
        raise RequestError(f"{DATA_DIR} points to {parent}, which is not a folder; {_advice(DATA_DIR)}")
    exact = parent / dataset.folder
    if exact.is_dir():
        return exact
    others = [p for p in parent.iterdir() if re.fullmatch(re.escape(dataset.name) + r"[\d.]+", p.name) and p.is_dir()]
    if not others:
        raise RequestError(f"{DATA_DIR}={parent} has no folder {dataset.folder}; {_advice(DATA_DIR)}")
    return max(others, key=lambda p: [int(n) for n in re.findall(r"\d+", p.name.removeprefix(dataset.name))])


def _checked(dataset: Dataset, folder: Path, variable: str, elements: Sequence[int]) -> Found:
    if not folder.is_dir():
        raise RequestError(f"{variable} points to {folder}, which is not a folder; {_advice(variable)}")
    missing = dataset.missing(folder, elements)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise RequestError(f"{folder} lacks the file {missing[0]}{more} or has it empty; {_advice(variable)}")
    return Found(folder.absolute(), variable)


def _advice(variable: str) -> str:
    return f"install the official datasets of Geant4 there, or unset {variable} to do without (built-in tables)"
