"""From a name or a path to a :class:`Detector`."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path

from caloforge.detector.base import CellGrid, ConditionSpec, Detector, Layer, Simulation, Slab
from caloforge.detector.spec import ConditionForm, LayerForm, parse_detector
from caloforge.errors import RequestError, unknown_name
from caloforge.units import to_internal

# The shipped detectors; each is the file `data/<name>.toml`.
_SHIPPED = ("lhcb-ecal",)


def detector_names() -> tuple[str, ...]:
    """Names of the shipped detectors.

    >>> detector_names()
    ('lhcb-ecal',)
    """
    return _SHIPPED


def detectors(name: str | Path | Detector | None = None) -> tuple[Detector, ...]:
    """Every shipped detector, or the one of that name or file alone.

    Raises:
        RequestError: as :func:`load_detector`.

    >>> [detector.n_cells for detector in detectors()]
    [900]
    """
    names = detector_names() if name is None else (name,)
    return tuple(load_detector(each) for each in names)


def load_detector(name_or_path: str | Path | Detector) -> Detector:
    """The shipped detector of that name, or the one described by a TOML file.

    Args:
        name_or_path: a name of :func:`detector_names`, or the path of a file, which ends in ``.toml``; a detector
            is returned as it is.

    Raises:
        RequestError: no such name or file, or the file is not a valid detector.

    >>> load_detector("lhcb-ecal").n_cells
    900
    """
    if isinstance(name_or_path, Detector):
        return name_or_path
    if isinstance(name_or_path, str) and name_or_path in _SHIPPED:
        return _shipped(name_or_path)
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise unknown_name("detector", str(name_or_path), (*_SHIPPED, "the path of your own .toml file"))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise RequestError(f"cannot read the detector file {path}: {reason}") from error
    return detector_from_toml(text, origin=str(path))


@lru_cache
def _shipped(name: str) -> Detector:
    text = resources.files("caloforge.detector").joinpath("data", f"{name}.toml").read_text(encoding="utf-8")
    return detector_from_toml(text, origin=f"shipped detector {name}")


def detector_from_toml(text: str, origin: str = "detector TOML") -> Detector:
    """Build a detector from the text of a TOML file; ``origin`` says in errors where the text came from.

    Raises:
        RequestError: the text is not a valid detector; names the key at fault.
    """
    form = parse_detector(text, origin)
    return Detector(
        name=form.name,
        title=form.title,
        source=form.source,
        particles=form.particles,
        symmetries=form.symmetries,
        reference_depth=to_internal(form.reference_depth.value, form.reference_depth.unit)[0],
        layers=_layers(form.layers),
        cells=CellGrid(form.cells.shape, form.cells.size),
        conditions=tuple(_condition(condition) for condition in form.conditions),
        sparsity_thresholds=form.observables.sparsity_thresholds,
        squares=form.observables.squares,
        toml=text,
        simulation=Simulation(form.simulation.physics_list, form.simulation.production_cut),
    )


def _layers(forms: tuple[LayerForm, ...]) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    front = 0.0
    for form in forms:
        slabs = tuple(Slab(slab.material, slab.thickness, slab.active) for slab in form.slabs)
        for _ in range(form.repeat):
            layers.append(Layer(slabs, front))
            front += layers[-1].thickness
    return tuple(layers)


def _condition(form: ConditionForm) -> ConditionSpec:
    low, unit = to_internal(form.low, form.unit)
    high, _ = to_internal(form.high, form.unit)
    return ConditionSpec(form.name, unit, low, high, form.density)
