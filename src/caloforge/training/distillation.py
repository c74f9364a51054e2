"""The student: one evaluation in place of the many of a flow-matching model."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from lightning_fabric import Fabric
from torch import Tensor

from caloforge.detector import Detector, check_same
from caloforge.errors import RequestError
from caloforge.models.bundle import read_bundle
from caloforge.models.networks.generator import ShowerGenerator
from caloforge.models.networks.sampler import load_generator
from caloforge.training.config import StudentConfig
from caloforge.training.data import Sample
from caloforge.training.pulls import PullBatch, PullTrainer, normals_like

TEACHERS = ("flow-matching",)


def load_teacher(detector: Detector, particles: tuple[int, ...], config: StudentConfig) -> ShowerGenerator:
    """The generator to learn from.

    Raises:
        RequestError: it is of another family, detector or particle, or represents showers by networks of another size.
        FormatError: the bundle cannot be read.
    """
    bundle = read_bundle(config.teacher)
    if bundle.family not in TEACHERS:
        raise RequestError(
            f"the teacher {bundle.path} is of the family {bundle.family}; a student learns from {', '.join(TEACHERS)}"
        )
    check_same(bundle.detector, detector, f"the teacher {bundle.path}", "the data", "give a teacher of this detector")
    if bundle.domain.particles != particles:
        raise RequestError(
            f"the teacher {bundle.path} makes the particles {bundle.domain.particles}, the data hold {particles}; "
            "give data of the same"
        )
    for key in ("hidden", "epsilon"):
        theirs, ours = bundle.config["network"][key], getattr(config.network, key)
        if theirs != ours:
            raise RequestError(
                f"the teacher {bundle.path} has network.{key} = {theirs}, the student {ours}; they share the "
                "representation of showers: give the student the teacher's value"
            )
    generator = load_generator(bundle)
    assert isinstance(generator, ShowerGenerator)
    return generator


@final
class Distillation(PullTrainer):
    """Mean square of the pulls of student minus teacher for the same noise.

    The noise of a teacher decides its showers, so the student learns a function, not a distribution: E. Luhman and T.
    Luhman, arXiv:2101.02388. The representation of showers is the teacher's.
    """

    config: StudentConfig

    def __init__(self, detector: Detector, particles: tuple[int, ...], config: StudentConfig, fabric: Fabric) -> None:
        def teacher(generator: ShowerGenerator) -> ShowerGenerator:
            return load_teacher(detector, particles, config).requires_grad_(False)

        super().__init__(detector, particles, config, fabric, teacher=teacher)

    @property
    def teacher(self) -> ShowerGenerator:
        """What is learnt from."""
        teacher = self.modules["teacher"]
        assert isinstance(teacher, ShowerGenerator)
        return teacher

    @property
    def pretraining_steps(self) -> int:
        return 1

    def pretrain(self, sample: Sample, advance: Callable[[int], None]) -> None:
        self.generator.cells.load_state_dict(self.teacher.cells.state_dict())
        self.generator.layers.load_state_dict(self.teacher.layers.state_dict())
        self.generator.response.load_state_dict(self.teacher.response.state_dict())
        self.generator.ceiling.copy_(self.teacher.ceiling)
        advance(1)

    def losses(self, batch: PullBatch, random: torch.Generator) -> dict[str, Tensor]:
        noise = torch.cat([batch.normal, normals_like(batch.pulls, random)], 1)
        with torch.no_grad():
            taught = self.teacher.pulls(batch.context, noise, batch.cells)
        made = self.network(batch.context, noise, batch.cells)
        return {"difference": (made - taught).square().mean()}
