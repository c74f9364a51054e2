"""The table of observables of a detector, and the function that computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from array_api_compat import array_namespace, device

from caloforge.errors import RequestError, unknown_name
from caloforge.observables import depth, energy, shape
from caloforge.observables.axis import Array, ShowerAxis, shower_axis

if TYPE_CHECKING:
    from caloforge.detector import CellLayer, Detector

_SHOWER: tuple[shape.Direction, ...] = ("along", "across")
_PLANE: tuple[shape.Direction, ...] = ("x", "y")
_IN = {"along": "along", "across": "across", "x": "in x", "y": "in y"}
ObservableFunction = Callable[[Array, ShowerAxis, "Detector"], Array]


@dataclass(frozen=True)
class Observable:
    """One number a shower: a pure function of its cells, its axis and the detector.

    Attributes:
        name: identifier used in files and on the command line.
        label: axis label with unit, matplotlib mathtext.
        function: (energies (N, n_cells) MeV, axis, detector) -> (N,).
        differentiable: whether the gradient in the energies carries information (torch).
    """

    name: str
    label: str
    function: ObservableFunction
    differentiable: bool = True


def observables_for(detector: Detector) -> dict[str, Observable]:
    """Observables that make sense for a detector, by name, in the order of reports.

    >>> from caloforge.detector import load_detector
    >>> list(observables_for(load_detector("lhcb-ecal")))[:3]
    ['response', 'fraction_1x1', 'fraction_3x3']
    """
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
    angled = any(name.startswith("angle") for name in detector.condition_names)
    for direction in _SHOWER if angled else _PLANE:
        table += [
            Observable(f"width_{direction}", f"width {_IN[direction]} [mm]", partial(shape.width, direction=direction)),
            Observable(
                f"asymmetry_{direction}", f"asymmetry {_IN[direction]}", partial(shape.asymmetry, direction=direction)
            ),
            Observable(
                f"barycentre_{direction}",
                f"barycentre {_IN[direction]} [mm]",
                partial(shape.barycentre, direction=direction),
            ),
        ]
    if len(detector.cell_layers) > 1:
        table += [Observable("mean_depth", "mean depth [mm]", depth.mean_depth)]
        table += [Observable("depth_spread", "spread of the depth [mm]", depth.depth_spread)]
        for number, layer in enumerate(detector.cell_layers):
            table += _of_layer(number, layer)
    table += [
        Observable(
            f"sparsity_{threshold:g}",
            f"share of cells above {threshold:g} MeV",
            partial(energy.sparsity, threshold=threshold),
            differentiable=False,
        )
        for threshold in detector.sparsity_thresholds
    ]
    return {observable.name: observable for observable in table}


def _of_layer(number: int, layer: CellLayer) -> list[Observable]:
    """What one of several layers of cells shows: its share of the energy, and its centre and width in x and y."""
    found = [
        Observable(
            f"layer_{number}_fraction",
            rf"$E_{{\mathrm{{layer}}\ {number}}}/E$",
            partial(depth.layer_fraction, layer=layer),
        )
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
