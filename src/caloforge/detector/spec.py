"""The form of a detector's TOML file, validated by pydantic: an unknown or missing key is an error that names it."""

from __future__ import annotations

import math
import tomllib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from caloforge.detector.base import Simulation
from caloforge.errors import RequestError, nearest_name
from caloforge.units import to_internal

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]

# The internal unit of each condition that files hold, and the conditions whose sign a mirror changes.
_UNIT_OF = {"energy": "MeV", "x": "mm", "y": "mm", "angle_xz": "rad", "angle_yz": "rad"}
_REFLECTED = {"mirror_x": ("x", "angle_xz"), "mirror_y": ("y", "angle_yz")}


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class QuantityForm(_Form):
    value: Finite
    unit: str


class SlabForm(_Form):
    material: Annotated[str, Field(min_length=1)]
    thickness: Positive
    active: bool


class LayerForm(_Form):
    repeat: Annotated[int, Field(ge=1)] = 1
    slabs: Annotated[tuple[SlabForm, ...], Field(min_length=1)]

    @field_validator("slabs")
    @classmethod
    def _one_active(cls, slabs: tuple[SlabForm, ...]) -> tuple[SlabForm, ...]:
        if sum(slab.active for slab in slabs) != 1:
            raise ValueError("a layer needs exactly one active slab, the one that is read out")
        return slabs


class CellsForm(_Form):
    shape: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    size: tuple[Positive, Positive]


class ConditionForm(_Form):
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    unit: str
    low: Finite
    high: Finite
    density: Literal["uniform", "1/E"]

    @model_validator(mode="after")
    def _range(self) -> ConditionForm:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low}) must be below high ({self.high})")
        if self.density == "1/E" and self.low <= 0:
            raise ValueError("the density 1/E needs low > 0")
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
    squares: tuple[Annotated[int, Field(ge=1)], ...] = ()

    @field_validator("squares")
    @classmethod
    def _odd(cls, squares: tuple[int, ...]) -> tuple[int, ...]:
        even = [side for side in squares if side % 2 == 0]
        if even:
            raise ValueError(f"squares are centred on a cell, so their sides are odd numbers of cells; got {even[0]}")
        return squares


class SimulationForm(_Form):
    physics_list: Annotated[str, Field(min_length=1)] = Simulation.physics_list
    production_cut: Positive = Simulation.production_cut


class DetectorForm(_Form):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    title: str
    source: str
    particles: Annotated[tuple[int, ...], Field(min_length=1)]
    symmetries: tuple[Literal["mirror_x", "mirror_y"], ...] = ()
    reference_depth: QuantityForm
    layers: Annotated[tuple[LayerForm, ...], Field(min_length=1)]
    cells: CellsForm
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

    @model_validator(mode="after")
    def _depth(self) -> DetectorForm:
        depth = sum(slab.thickness * layer.repeat for layer in self.layers for slab in layer.slabs)
        value, unit = to_internal(self.reference_depth.value, self.reference_depth.unit)
        if unit != "mm" or not 0 <= value <= depth:
            raise ValueError(f"reference_depth must be a length from 0 to the detector's depth of {depth:g} mm")
        return self

    @model_validator(mode="after")
    def _mirrors(self) -> DetectorForm:
        for symmetry in self.symmetries:
            for condition in self.conditions:
                # A condition that is not listed is 0 for every shower, which a mirror leaves as it is.
                if condition.name in _REFLECTED[symmetry] and condition.low != -condition.high:
                    raise ValueError(
                        f"{symmetry} changes the sign of {condition.name}, so its range must be symmetric about 0; "
                        f"got {condition.low} to {condition.high}"
                    )
        return self


def _keys() -> set[str]:
    forms = (DetectorForm, QuantityForm, SlabForm, LayerForm, CellsForm, ConditionForm, ObservablesForm, SimulationForm)
    return {key for form in forms for key in form.model_fields}


def parse_detector(text: str, origin: str = "detector TOML") -> DetectorForm:
    """Validate the text of a detector file.

    Args:
        text: the TOML text.
        origin: where it came from, for the error message.

    Raises:
        RequestError: the text is no TOML, or a key is unknown, missing or has a bad value; names the first such key.
    """
    try:
        return DetectorForm.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"{origin}: not valid TOML: {error}") from error
    except RequestError as error:
        raise RequestError(f"{origin}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "detector"
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            nearest = nearest_name(str(first["loc"][-1]), _keys())
            message = "unknown key" + (f"; did you mean {nearest!r}?" if nearest else "")
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise RequestError(f"{origin}: {where}: {message}{more}") from error
