"""The form of a detector's TOML file for pydantic: which keys there are, and what each may hold."""

from __future__ import annotations

import itertools
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from caloforge.detector.base import Simulation
from caloforge.detector.cells import Cells, PolarCells, RectangularCells
from caloforge.units import to_internal

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]

# The internal unit of each condition that files hold.
_UNIT_OF = {"energy": "MeV", "x": "mm", "y": "mm", "angle_xz": "rad", "angle_yz": "rad"}


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class QuantityForm(_Form):
    value: Finite
    unit: str


class SlabForm(_Form):
    material: Annotated[str, Field(min_length=1)]
    thickness: Positive
    active: bool = False


class MaterialForm(_Form):
    name: Annotated[str, Field(min_length=1)]
    density: Positive
    fractions: Annotated[dict[str, Positive], Field(min_length=1)]


class LayerForm(_Form):
    repeat: Count = 1
    slabs: Annotated[tuple[SlabForm, ...], Field(min_length=1)]

    @field_validator("slabs")
    @classmethod
    def _active(cls, slabs: tuple[SlabForm, ...]) -> tuple[SlabForm, ...]:
        if not any(slab.active for slab in slabs):
            raise ValueError("a layer needs an active slab, one that is read out: active = true")
        return slabs


class CellsForm(_Form):
    layers: Count | None = None
    repeat: Count = 1
    shape: tuple[Count, Count] | None = None
    size: tuple[Positive, Positive] | None = None
    radii: Annotated[tuple[Finite, ...], Field(min_length=2)] | None = None
    sectors: Count | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> CellsForm:
        given = [name for name in ("shape", "size", "radii", "sectors") if getattr(self, name) is not None]
        if given not in (["shape", "size"], ["radii", "sectors"]):
            raise ValueError(
                f"cells are rectangular, with shape and size, or round, with radii and sectors; got "
                f"{' and '.join(given) or 'none of them'}"
            )
        return self

    @field_validator("radii")
    @classmethod
    def _ascending(cls, radii: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if radii and (radii[0] != 0 or any(inner >= outer for inner, outer in itertools.pairwise(radii))):
            raise ValueError(f"radii must begin with 0 and ascend, or rings overlap; got {list(radii)}")
        return radii

    def grid(self) -> Cells:
        """The cells themselves."""
        if self.radii is not None and self.sectors is not None:
            return PolarCells(self.radii, self.sectors)
        assert self.shape is not None
        assert self.size is not None
        return RectangularCells(self.shape, self.size)


class ConditionForm(_Form):
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    unit: str
    low: Finite = math.nan
    high: Finite = math.nan
    density: Literal["uniform", "1/E", "log-uniform"] = "uniform"
    value: Finite = math.nan
    values: Annotated[tuple[Finite, ...], Field(min_length=1)] = ()

    @model_validator(mode="after")
    def _range(self) -> ConditionForm:
        given = self.model_fields_set - {"name", "unit"}
        if given not in ({"low", "high", "density"}, {"value"}, {"values"}):
            raise ValueError(
                f"{self.name} needs either low, high and density, or one value, or a list of values; "
                f"got {' and '.join(sorted(given)) or 'none of them'}"
            )
        if given == {"value"}:
            object.__setattr__(self, "values", (self.value,))  # a list of one; the form itself is frozen
        if self.values:
            if len(set(self.values)) != len(self.values):
                raise ValueError(f"values must differ from one another, as each is equally likely; got {self.values}")
            object.__setattr__(self, "values", tuple(sorted(self.values)))
            object.__setattr__(self, "low", self.values[0])
            object.__setattr__(self, "high", self.values[-1])
        elif self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        if self.density != "uniform" and self.low <= 0:
            raise ValueError(f"the density {self.density} needs low > 0")
        (low, unit), (high, _) = (to_internal(value, self.unit) for value in (self.low, self.high))
        if unit != _UNIT_OF.get(self.name, unit):
            raise ValueError(f"{self.name} needs a unit such as {_UNIT_OF[self.name]}; got {self.unit!r}")
        if self.name == "energy" and low <= 0:
            raise ValueError(f"energy needs low > 0; got {self.low}")
        if unit == "rad" and max(-low, high) >= math.pi / 2:
            raise ValueError(f"{self.name} must stay below 90 degrees; got {self.low} to {self.high} {self.unit}")
        return self


class ObservablesForm(_Form):
    sparsity_thresholds: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] = ()
    squares: tuple[Count, ...] = ()

    @field_validator("squares")
    @classmethod
    def _odd(cls, squares: tuple[int, ...]) -> tuple[int, ...]:
        even = [side for side in squares if side % 2 == 0]
        if even:
            raise ValueError(f"squares are centred on a cell, so their sides are odd numbers of cells; got {even[0]}")
        return squares


class SimulationForm(_Form):
    physics_list: Annotated[str, Field(min_length=1)] | None = None
    production_cut: Positive = Simulation.production_cut


class DetectorForm(_Form):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    title: str = ""
    source: str = ""
    particles: Annotated[tuple[int, ...], Field(min_length=1)]
    symmetries: tuple[Literal["mirror_x", "mirror_y"], ...] = ()
    reference_depth: QuantityForm | None = None
    materials: tuple[MaterialForm, ...] = ()
    layers: Annotated[tuple[LayerForm, ...], Field(min_length=1)]
    face: tuple[Positive, Positive] | None = None
    cells: Annotated[tuple[CellsForm, ...], Field(min_length=1)]
    conditions: Annotated[tuple[ConditionForm, ...], Field(min_length=1)]
    observables: ObservablesForm = ObservablesForm()
    simulation: SimulationForm = SimulationForm()

    @field_validator("conditions")
    @classmethod
    def _distinct(cls, conditions: tuple[ConditionForm, ...]) -> tuple[ConditionForm, ...]:
        names = [condition.name for condition in conditions]
        if len(set(names)) != len(names):
            raise ValueError(f"condition names must differ from one another: {', '.join(names)}")
        return conditions

    @field_validator("cells", mode="before")
    @classmethod
    def _one_table(cls, cells: Any) -> Any:
        return (cells,) if isinstance(cells, dict) else cells


def keys() -> set[str]:
    """Every key that stands somewhere in a detector file."""
    forms = (
        DetectorForm,
        QuantityForm,
        MaterialForm,
        SlabForm,
        LayerForm,
        CellsForm,
        ConditionForm,
        ObservablesForm,
        SimulationForm,
    )
    return {key for form in forms for key in form.model_fields}
