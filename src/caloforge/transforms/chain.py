"""Several transforms, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from numpy.typing import ArrayLike

from caloforge.errors import FormatError, RequestError, unknown_name
from caloforge.transforms.base import Floats, Transform
from caloforge.transforms.box_cox import BoxCoxTransform
from caloforge.transforms.elementwise import IncidentEnergyTransform, LogTransform, ThresholdTransform

TRANSFORMS: dict[str, type[Transform]] = {
    transform.name: transform
    for transform in (LogTransform, BoxCoxTransform, ThresholdTransform, IncidentEnergyTransform)
}
"""Every transform by name: the only names that a configuration or a saved state can give."""


class Chain:
    """Transforms applied in order, undone in the opposite order; fitted each on what the ones before it made.

    Example:
        >>> chain = make_chain([("incident-energy", {}), ("log", {"epsilon": 1e-4})])
        >>> values = chain.fit([[30.0, 10.0]], [100.0]).forward([[30.0, 0.0]], [100.0])
        >>> restore(chain.state()).inverse(values, [100.0]).round(9).tolist()
        [[30.0, 0.0]]
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        if not transforms:
            raise RequestError("a chain needs at least one transform")
        self.transforms = tuple(transforms)

    def fit(self, energies: ArrayLike, incident: ArrayLike) -> Self:
        """Fit every transform on training data; see :meth:`Transform.fit`."""
        values = energies
        for transform in self.transforms:
            values = transform.fit(values, incident).forward(values, incident)
        return self

    def forward(self, energies: ArrayLike, incident: ArrayLike) -> Floats:
        """Energies (N, n_cells) to transformed values of the same shape."""
        values = self.transforms[0].forward(energies, incident)
        for transform in self.transforms[1:]:
            values = transform.forward(values, incident)
        return values

    def inverse(self, values: ArrayLike, incident: ArrayLike) -> Floats:
        """Transformed values (N, n_cells) back to energies of the same shape."""
        energies = self.transforms[-1].inverse(values, incident)
        for transform in reversed(self.transforms[:-1]):
            energies = transform.inverse(energies, incident)
        return energies

    def state(self) -> dict[str, Floats]:
        """All parameters as arrays under ``<position>/<name>/<key>``, enough for :func:`restore`."""
        return {
            f"{position:02d}/{transform.name}/{key}": value
            for position, transform in enumerate(self.transforms)
            for key, value in transform.state().items()
        }


def make_chain(steps: Sequence[tuple[str, Mapping[str, Any]]]) -> Chain:
    """Return an unfitted chain from pairs (name, options); an unknown name or option raises ``RequestError``."""
    transforms = []
    for name, options in steps:
        if name not in TRANSFORMS:
            raise unknown_name("transform", name, TRANSFORMS)
        try:
            transforms.append(TRANSFORMS[name](**options))
        except TypeError as error:
            raise RequestError(f"the transform {name!r} does not take the options {sorted(options)}: {error}") from None
    return Chain(transforms)


def restore(state: Mapping[str, ArrayLike]) -> Chain:
    """Return the fitted chain whose ``state()`` this is; anything else raises ``FormatError``."""
    steps: dict[tuple[str, str], dict[str, ArrayLike]] = {}
    for path, value in state.items():
        position, _, rest = path.partition("/")
        name, _, key = rest.partition("/")
        if not position.isdigit() or name not in TRANSFORMS:
            raise FormatError(f"{path!r} is not part of the state of a chain of transforms ({', '.join(TRANSFORMS)})")
        steps.setdefault((position, name), {})[key] = value
    ordered = sorted(steps)
    if not ordered or [int(position) for position, _ in ordered] != list(range(len(ordered))):
        raise FormatError("the state of a chain of transforms has no steps, or steps are missing or double")
    return Chain([TRANSFORMS[name]().load_state(steps[position, name]) for position, name in ordered])
