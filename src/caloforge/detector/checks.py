"""What must fit together in a detector beyond what each key says for itself: materials, depths, cells, mirrors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caloforge.detector.cells import RectangularCells
from caloforge.detector.materials import check_material, nist_materials
from caloforge.detector.mirror import REFLECTED
from caloforge.detector.spec import CellsForm, DetectorForm
from caloforge.errors import RequestError
from caloforge.units import to_internal

Path = tuple[str | int, ...]


class MisfitError(RequestError):
    """Something is wrong with the value at ``path`` in the file."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path: Path = path


def check_detector(form: DetectorForm) -> None:
    """Check the whole form, once each key is valid for itself.

    Raises:
        MisfitError: names the key at fault.
    """
    for check in _CHECKS:
        check(form)


def _materials(form: DetectorForm) -> None:
    names: list[str] = []
    for number, material in enumerate(form.materials):
        where = ("materials", number)
        if material.name in names or material.name in nist_materials():
            raise MisfitError(f"the name {material.name} is taken; give this mixture another", *where, "name")
        names.append(material.name)
        for part in material.fractions:
            _known(part, (), *where, "fractions", part)
        total = sum(material.fractions.values())
        if abs(total - 1) > 1e-6:
            raise MisfitError(f"the shares by mass add up to {total:g}, not to 1", *where, "fractions")
    for number, layer in enumerate(form.layers):
        for place, slab in enumerate(layer.slabs):
            _known(slab.material, tuple(names), "layers", number, "slabs", place, "material")


def _known(name: str, own: tuple[str, ...], *path: str | int) -> None:
    try:
        check_material(name, own)
    except RequestError as error:
        raise MisfitError(str(error), *path) from error


def _reference_depth(form: DetectorForm) -> None:
    depth = sum(slab.thickness * layer.repeat for layer in form.layers for slab in layer.slabs)
    if form.reference_depth is None:
        angles = [spec.name for spec in form.conditions if spec.name.startswith("angle")]
        if angles:
            raise MisfitError(
                f"particles come at an angle ({angles[0]}), so the depth at which their path is compared with the "
                f'cells is needed, for instance reference_depth = {{ value = {depth / 3:.0f}, unit = "mm" }}'
            )
        return
    value, unit = to_internal(form.reference_depth.value, form.reference_depth.unit)
    if unit != "mm" or not 0 <= value <= depth:
        raise MisfitError(
            f"must be a length from 0 to the detector's depth of {depth:g} mm", "reference_depth", "value"
        )


def _cells(form: DetectorForm) -> None:
    n_layers = sum(layer.repeat for layer in form.layers)
    for number, cells in enumerate(form.cells):
        if cells.layers is None and len(form.cells) > 1:
            raise MisfitError("say how many layers these cells reach through: layers = ...", "cells", number)
        _cover(cells, form, number)
    covered = sum((cells.layers or n_layers) * cells.repeat for cells in form.cells)
    if covered != n_layers:
        raise MisfitError(
            f"cells reach through {covered} layers in all, the detector has {n_layers}; make the numbers agree",
            "cells",
            len(form.cells) - 1,
            "layers",
        )


def _cover(cells: CellsForm, form: DetectorForm, number: int) -> None:
    """Cells tile the layers: all of them the same rectangle, or each within the face."""
    grid = cells.grid()
    (width, height), face = grid.extent, form.face or form.cells[0].grid().extent
    covers = f"{grid} cover {width:g} x {height:g} mm"
    path = ("cells", number, "size" if isinstance(grid, RectangularCells) else "radii")
    if form.face and (width > face[0] * (1 + 1e-9) or height > face[1] * (1 + 1e-9)):
        raise MisfitError(
            f"{covers}, which is more than the face of {face[0]:g} x {face[1]:g} mm; enlarge the face", *path
        )
    if not form.face and not isinstance(grid, RectangularCells):
        raise MisfitError(
            f"{covers}, but round cells do not tile the plates; give these face = [width, height] in mm", *path
        )
    if not form.face and not np.allclose((width, height), face, rtol=1e-9, atol=0):
        raise MisfitError(
            f"{covers}, the first ones {face[0]:g} x {face[1]:g} mm: they do not tile the same plate; change size or "
            f"shape, or give the plates face = [width, height] in mm, of which cells may leave a rim unread",
            *path,
        )


def _symmetries(form: DetectorForm) -> None:
    for symmetry in form.symmetries:
        for number, condition in enumerate(form.conditions):
            # A condition that is not listed is 0 for every shower, which a mirror leaves as it is.
            drawn = condition.values or (condition.low, condition.high)
            if condition.name in REFLECTED[symmetry] and drawn != tuple(-value for value in reversed(drawn)):
                word, key = (" to ", "low") if not condition.values else (", ", "values")
                raise MisfitError(
                    f"{symmetry} changes the sign of {condition.name}, so its range must be symmetric about 0; "
                    f"got {word.join(map(str, drawn))}",
                    "conditions",
                    number,
                    "value" if "value" in condition.model_fields_set else key,
                )
    for number, cells in enumerate(form.cells):
        if cells.sectors and cells.sectors % 2 and "mirror_x" in form.symmetries:
            raise MisfitError("an odd number of sectors is not symmetric under mirror_x", "cells", number, "sectors")


def _squares(form: DetectorForm) -> None:
    single = len(form.cells) == 1 and form.cells[0].repeat == 1 and form.cells[0].shape is not None
    if form.observables.squares and not single:
        raise MisfitError(
            "squares of cells exist where all layers are read out as one rectangular grid; leave them out",
            "observables",
            "squares",
        )


_CHECKS: tuple[Callable[[DetectorForm], None], ...] = (_materials, _reference_depth, _cells, _symmetries, _squares)
