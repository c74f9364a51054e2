"""From a name or a path to a :class:`Detector`."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from pathlib import Path

from caloforge.detector.base import ConditionSpec, Detector, Layer, Material, Simulation, Slab
from caloforge.detector.cells import CellLayer
from caloforge.detector.parse import parse_detector
from caloforge.detector.spec import CellsForm, ConditionForm, LayerForm
from caloforge.errors import RequestError, unknown_name
from caloforge.units import to_internal

DEFAULT_DETECTOR = "lhcb-ecal"
"""What is meant where no detector is named: the one whose models come with the package."""

_DATA = resources.files("caloforge.detector").joinpath("data")


@lru_cache
def detector_names() -> tuple[str, ...]:
    """Names of the shipped detectors, each the file ``data/<name>.toml``: the default first, then by the alphabet.

    >>> detector_names()
    ('lhcb-ecal', 'atlas-barrel', 'calochallenge-2', 'calogan')
    """
    names = (item.name.removesuffix(".toml") for item in _DATA.iterdir() if item.name.endswith(".toml"))
    return tuple(sorted(names, key=lambda name: (name != DEFAULT_DETECTOR, name)))


def detectors(name: str | Path | Detector | None = None) -> tuple[Detector, ...]:
    """Every shipped detector, or the one of that name or file alone.

    Raises:
        RequestError: as :func:`load_detector`.

    >>> [detector.n_cells for detector in detectors()]
    [900, 89, 6480, 504]
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
    if isinstance(name_or_path, str) and name_or_path in detector_names():
        return _shipped(name_or_path)
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise unknown_name("detector", str(name_or_path), (*detector_names(), "the path of your own .toml file"))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise RequestError(f"cannot read the detector file {path}: {reason}") from error
    return detector_from_toml(text, origin=str(path))


@lru_cache
def _shipped(name: str) -> Detector:
    text = _DATA.joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return detector_from_toml(text, origin=f"shipped detector {name}")


def detector_from_toml(text: str, origin: str = "detector TOML") -> Detector:
    """Build a detector from the text of a TOML file; ``origin`` says in errors where the text came from.

    Raises:
        RequestError: the text is not a valid detector; names the key at fault.
    """
    form = parse_detector(text, origin)
    layers = _layers(form.layers)
    depth = form.reference_depth
    return Detector(
        name=form.name,
        title=form.title or form.name,
        source=form.source,
        particles=form.particles,
        symmetries=form.symmetries,
        reference_depth=0.0 if depth is None else to_internal(depth.value, depth.unit)[0],
        layers=layers,
        face=form.face or form.cells[0].grid().extent,
        cell_layers=_cell_layers(form.cells, layers),
        materials=tuple(Material(item.name, item.density, tuple(item.fractions.items())) for item in form.materials),
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


def _cell_layers(forms: tuple[CellsForm, ...], layers: tuple[Layer, ...]) -> tuple[CellLayer, ...]:
    found: list[CellLayer] = []
    first = offset = 0
    for form in forms:
        grid = form.grid()
        for _ in range(form.repeat):
            stop = first + (form.layers or len(layers))
            back = layers[stop - 1].front + layers[stop - 1].thickness
            found.append(CellLayer(grid, first, stop, layers[first].front, back, offset))
            first, offset = stop, offset + len(grid)
    return tuple(found)


def _condition(form: ConditionForm) -> ConditionSpec:
    low, unit = to_internal(form.low, form.unit)
    high, _ = to_internal(form.high, form.unit)
    values = tuple(to_internal(value, form.unit)[0] for value in form.values)
    density = form.density if form.density != "log-uniform" else "1/E"  # two names of one distribution
    return ConditionSpec(form.name, unit, low, high, "list" if values else density, values)
