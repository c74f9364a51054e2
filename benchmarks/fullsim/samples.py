"""The simulated files: detectors derived from ``lhcb-ecal``, Geant4's tables, and files that are made once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import caloforge
from caloforge.detector import Detector, detector_from_toml
from caloforge.fullsim import datasets

_ANGLE = re.compile(r'\[\[conditions\]\]\nname = "angle_\w+"\n(?:.+\n)+')


def with_cut(cut: float) -> Detector:
    """``lhcb-ecal`` with another production cut, mm."""
    return detector_from_toml(_cut(caloforge.load_detector("lhcb-ecal").toml, cut))


def _cut(text: str, cut: float) -> str:
    return _replaced(text, "production_cut = 1.0", f"production_cut = {cut}")


def normal_incidence(absorber: str = "G4_Pb", *, cell: float = 20.0) -> Detector:
    """``lhcb-ecal`` for particles along its axis, with another absorber or cells of another size, and a cut of 0.7 mm.

    A condition that is not listed is zero, so leaving out the angles leaves normal incidence; particles enter within
    +-5 mm of the middle as they do in ``lhcb-ecal``.
    """
    text = caloforge.load_detector("lhcb-ecal").toml
    text, angles = _ANGLE.subn("", text)
    if angles != 2:
        raise SystemExit("the TOML of lhcb-ecal has no two conditions angle_..; adapt benchmarks/fullsim/samples.py")
    number = round(600 / cell)
    text = _replaced(text, "G4_Pb", absorber)
    text = _replaced(text, "shape = [30, 30]", f"shape = [{number}, {number}]")
    text = _replaced(text, "size = [20.0, 20.0]", f"size = [{cell}, {cell}]")
    return detector_from_toml(_cut(text, 0.7))


def _replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise SystemExit(f"the TOML of lhcb-ecal does not have {old!r} once; adapt benchmarks/fullsim/samples.py")
    return text.replace(old, new)


@dataclass(frozen=True)
class Samples:
    """Where the simulated files are kept, and how they are made."""

    work: Path
    workers: int

    def __post_init__(self) -> None:
        self.work.mkdir(parents=True, exist_ok=True)

    def simulated(
        self,
        name: str,
        detector: Detector | str,
        n: int,
        *,
        seed: int,
        gev: float | None = None,
        particle: int = 11,
        builtin: bool = False,
    ) -> Path:
        """The file ``name`` of n showers, simulated unless it is there; with built-in or the user's own tables.

        An unfinished run goes on where it was interrupted.
        """
        output = self.work / f"{name}.h5"
        if not output.exists():
            energy = None if gev is None else 1e3 * gev
            with self.builtin_tables() if builtin else reference_tables():
                caloforge.simulate(
                    detector,
                    n,
                    output=output,
                    seed=seed,
                    energy=energy,
                    particle=particle,
                    workers=self.workers,
                    progress=True,
                )
        with caloforge.ShowerFile(output) as file:
            if len(file) != n or file.provenance["seed"] != seed or file.provenance["tables_approximate"] != builtin:
                raise SystemExit(f"{output} is of another request; remove it, or give another --work")
        return output

    @contextmanager
    def builtin_tables(self) -> Iterator[None]:
        """No dataset of Geant4 can be found, and the tables computed here go to a cache under the work folder."""
        before = dict(os.environ)
        for variable in _VARIABLES:
            os.environ.pop(variable, None)
        os.environ["HOME"] = os.environ["XDG_CACHE_HOME"] = str(self.work / "home")
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


_VARIABLES = (
    datasets.DATA_DIR,
    *(part.variable for part in (datasets.ELECTROMAGNETIC, datasets.NEUTRONS, datasets.LEVELS, datasets.STATES)),
)


@contextmanager
def reference_tables() -> Iterator[None]:
    """The user's datasets, without which a comparison with them is none."""
    if not any(os.environ.get(variable) for variable in _VARIABLES[:2]):
        raise SystemExit(f"set {datasets.DATA_DIR} to the folder of Geant4's datasets, the reference of this benchmark")
    yield
