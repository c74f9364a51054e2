"""The table of observables of a detector, and the function that computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from array_api_compat import array_namespace, device

from caloforge.errors import RequestError, unknown_name
from caloforge.observables import depth, energy, pairs, radial, shape
from caloforge.observables.axis import Array, ShowerAxis, shower_axis

if TYPE_CHECKING:
    from caloforge.detector import CellLayer, Detector

_SHOWER: tuple[shape.Direction, ...] = ("along", "across")
_PLANE: tuple[shape.Direction, ...] = ("x", "y")
_IN = {"along": "along", "across": "across", "x": "in x", "y": "in y"}
_RINGS = (1, 2, 4)  # radii of the radial profile, in cells
_NEAR = 1.5  # distance up to which two cells are neighbours, in cells
_FEW_LAYERS = 8  # up to so many layers, each has its share and its hottest cells in the table too
ObservableFunction = Callable[[Array, ShowerAxis, "Detector"], Array]


@dataclass(frozen=True)
class Observable:
    """One number a shower: a pure function of its cells, its axis and the detector.

    Attributes:
        name: identifier used in files and on the command line.
        label: axis label with unit, matplotlib mathtext.
        function: (energies (N, n_cells) MeV, axis, detector) -> (N,).
        differentiable: whether the gradient in the energies carries information (torch).
        lattice: spacing of the values, where they are counts or shares of cells.
    """

    name: str
    label: str
    function: ObservableFunction
    differentiable: bool = True
    lattice: float | None = None


def observables_for(detector: Detector) -> dict[str, Observable]:
    """Observables that make sense for a detector, by name, in the order of reports.

    >>> from caloforge.detector import load_detector
    >>> list(observables_for(load_detector("lhcb-ecal")))[:3]
    ['response', 'fraction_1x1', 'fraction_3x3']
    """
    lit = min(detector.sparsity_thresholds, default=0.0)
    table = [Observable("response", r"$E_\mathrm{vis}/E$", energy.response)]
    table += [
        Observable(
            f"fraction_{side}x{side}",
            rf"$E_{{{side}\times{side}}}/E$",
            partial(energy.square_fraction, side=side),
        )
        for side in detector.squares
    ]
    table.append(Observable("hottest_ratio", r"$(E_1-E_2)/(E_1+E_2)$, two hottest cells", energy.hottest_ratio))
    table += _radial(detector)
    table += _pairs(detector)
    angled = any(name.startswith("angle") for name in detector.condition_names)
    for direction in _SHOWER if angled else _PLANE:
        table += [
            Observable(f"width_{direction}", f"width {_IN[direction]} [mm]", partial(shape.width, direction=direction)),
            Observable(
                f"asymmetry_{direction}", f"asymmetry {_IN[direction]}", partial(shape.asymmetry, direction=direction)
            ),
            _barycentre(direction),
        ]
    if angled:
        table += [_barycentre(direction) for direction in _PLANE]
    if len(detector.cell_layers) > 1:
        table += [Observable("mean_depth", "mean depth [mm]", depth.mean_depth)]
        table += [Observable("depth_spread", "spread of the depth [mm]", depth.depth_spread)]
        table += [
            Observable("depth_weighted_energy", r"$\sum E_k z_k/E$ [mm]", depth.depth_weighted_energy),
            Observable(
                "deepest_layer",
                f"deepest layer with a cell above {lit:g} MeV",
                partial(depth.deepest_layer, threshold=lit),
                differentiable=False,
                lattice=1.0,
            ),
        ]
        few = len(detector.cell_layers) <= _FEW_LAYERS
        for number, layer in enumerate(detector.cell_layers):
            table += _of_layer(number, layer, lit, few=few)
    table += [
        Observable(
            f"sparsity_{threshold:g}",
            f"share of cells above {threshold:g} MeV",
            partial(energy.sparsity, threshold=threshold),
            differentiable=False,
            lattice=1.0 / detector.n_cells,
        )
        for threshold in detector.sparsity_thresholds
    ]
    return {observable.name: observable for observable in table}


def _barycentre(direction: shape.Direction) -> Observable:
    return Observable(
        f"barycentre_{direction}",
        f"barycentre {_IN[direction]} [mm]",
        partial(shape.barycentre, direction=direction),
    )


def _radial(detector: Detector) -> list[Observable]:
    """Mean and spread of the distance from the axis, and the energy within circles round it."""
    radii = [cells * detector.pitch for cells in _RINGS]
    return [
        Observable("radius", "mean distance from the axis [mm]", radial.radius),
        Observable("radial_width", "spread of the distance from the axis [mm]", radial.radial_width),
        *(
            Observable(
                f"within_{radius:.3g}mm",
                rf"$E_{{r<{radius:.3g}\,\mathrm{{mm}}}}/E_\mathrm{{vis}}$",
                partial(radial.within, radius=radius),
            )
            for radius in radii
        ),
    ]


def _pairs(detector: Detector) -> list[Observable]:
    """Mean distance of two deposits, and how much energy has how much energy near it."""
    if not pairs.has_pairs(detector):
        return []
    distance = _NEAR * detector.pitch
    return [
        Observable("pair_distance", "mean distance of two deposits [mm]", pairs.pair_distance),
        Observable(
            f"pairs_within_{distance:.3g}mm",
            rf"$\sum_{{i\neq j}}e_ie_j/E_\mathrm{{vis}}^2$, $d_{{ij}}\leq{distance:.3g}\,$mm",
            partial(pairs.pairs_within, distance=distance),
        ),
    ]


def _of_layer(number: int, layer: CellLayer, lit: float, *, few: bool) -> list[Observable]:
    """What one of several layers of cells shows: its energy, its centre and width in x, y and r, its cells."""
    found = [
        Observable(
            f"layer_{number}_fraction",
            rf"$E_{{\mathrm{{layer}}\ {number}}}/E$",
            partial(depth.layer_fraction, layer=layer),
        ),
        Observable(
            f"layer_{number}_radius",
            f"mean distance from the axis, layer {number} [mm]",
            partial(radial.radius, layer=layer),
        ),
        Observable(
            f"layer_{number}_radial_width",
            f"spread of the distance from the axis, layer {number} [mm]",
            partial(radial.radial_width, layer=layer),
        ),
        Observable(
            f"layer_{number}_sparsity",
            f"share of cells above {lit:g} MeV, layer {number}",
            partial(energy.sparsity, threshold=lit, layer=layer),
            differentiable=False,
            lattice=1.0 / len(layer.cells),
        ),
    ]
    if few:
        found += [
            Observable(
                f"layer_{number}_share",
                rf"$E_{{\mathrm{{layer}}\ {number}}}/E_\mathrm{{vis}}$",
                partial(depth.layer_share, layer=layer),
            ),
            Observable(
                f"layer_{number}_hottest_ratio",
                f"$(E_1-E_2)/(E_1+E_2)$, two hottest cells of layer {number}",
                partial(energy.hottest_ratio, layer=layer),
            ),
        ]
    for direction in _PLANE:
        for name, function in (("barycentre", shape.barycentre), ("width", shape.width)):
            label = f"{name} in {direction}, layer {number} [mm]"
            found.append(
                Observable(
                    f"layer_{number}_{name}_{direction}", label, partial(function, direction=direction, layer=layer)
                )
            )
    return found


def compute(
    energies: Array, conditions: Array, detector: Detector, names: Iterable[str] | None = None
) -> dict[str, Array]:
    """Observables of N showers, as arrays of the kind that came in.

    Gradients flow to the energies on torch. Memory grows with N (a few times the size of `energies`): pass blocks.
    An empty shower has response, fractions, widths, asymmetries and barycentres 0.

    Args:
        energies: (N, n_cells), MeV.
        conditions: (N, C), in the order of `detector.conditions`; converted to the type and device of `energies`.
        detector: the detector both belong to.
        names: which observables; all of `observables_for(detector)` when None.

    Raises:
        RequestError: an unknown name (the message lists the valid ones) or arrays of the wrong shape.

    >>> import numpy as np
    >>> from caloforge.detector import load_detector
    >>> detector = load_detector("lhcb-ecal")
    >>> cells = np.zeros((1, detector.n_cells))
    >>> cells[0, 15 * 30 + 15] = 100.0
    >>> values = compute(cells, np.array([[1000.0, 0.0, 0.0, 0.1, 0.0]]), detector, ["response", "width_along"])
    >>> float(values["response"][0]), float(values["width_along"][0])
    (0.1, 0.0)
    """
    table = observables_for(detector)
    wanted = list(table) if names is None else list(names)
    for name in wanted:
        if name not in table:
            raise unknown_name("observable", name, table)
    if len(energies.shape) != 2 or energies.shape[1] != detector.n_cells:
        raise RequestError(
            f"energies have shape {tuple(energies.shape)}; expected (N, {detector.n_cells}) for {detector.name!r}"
        )
    if conditions.shape[0] != energies.shape[0]:
        raise RequestError(f"{energies.shape[0]} showers came with {conditions.shape[0]} conditions; expected as many")
    xp = array_namespace(energies)
    if energies.dtype not in (xp.float32, xp.float64):
        raise RequestError(f"energies have type {energies.dtype}; expected float32 or float64, MeV")
    axis = shower_axis(xp.asarray(conditions, dtype=energies.dtype, device=device(energies)), detector)
    return {name: table[name].function(energies, axis, detector) for name in wanted}
