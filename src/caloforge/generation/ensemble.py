"""The members of an ensemble, one file each, under the same conditions and with the same noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caloforge.detector import Detector, check_same, load_detector
from caloforge.errors import RequestError
from caloforge.generation.generate import generate
from caloforge.models.bundle import read_bundle
from caloforge.showers.atomic import check_output, member_file


def generate_ensemble(
    detector: str | Path | Detector,
    n: int | None = None,
    *,
    models: Sequence[str | Path],
    output: str | Path,
    overwrite: bool = False,
    **request: Any,
) -> list[Path]:
    """Generate the showers of every member of an ensemble; return their files, ``OUTPUT.member-1.h5`` and so on.

    The conditions are the same for all, and so is the noise where the members take as much of it.

    Args:
        models: bundles, two at least, such as one family with several seeds.
        request: everything else that :func:`generate` takes.

    Raises:
        RequestError: fewer than two members, of different detectors or particles, or outputs that exist; before any
            work. Otherwise as :func:`generate`.
    """
    if len(models) < 2:
        raise RequestError(f"an ensemble has two members at least; got {len(models)}: name more bundles")
    described = load_detector(detector)
    bundles = [read_bundle(model) for model in models]
    for bundle in bundles:
        advice = "the members of an ensemble are models of one detector"
        check_same(bundle.detector, described, f"the model {bundle.path}", f"the detector {described.name}", advice)
        theirs, ours = bundle.domain.particles, bundles[0].domain.particles
        if theirs != ours:
            raise RequestError(
                f"{bundle.path} makes showers of the particles {theirs}, {bundles[0].path} of {ours}; {advice} and "
                "the same particles"
            )
    files = [
        check_output(member_file(Path(output), number), overwrite=overwrite) for number in range(1, len(models) + 1)
    ]
    for bundle, file in zip(bundles, files, strict=True):
        generate(described, n, model=bundle.path, output=file, overwrite=overwrite, **request)
    return files
