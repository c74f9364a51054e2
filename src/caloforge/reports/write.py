"""Write a report: first the figures as JSON and CSV, then one page that needs nothing but itself."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import time
from importlib import resources
from pathlib import Path
from typing import Any

from caloforge.errors import RequestError
from caloforge.evaluation import Evaluation
from caloforge.evaluation.metrics import METRICS
from caloforge.evaluation.ranking import COLUMNS, best
from caloforge.evaluation.results import Histogram, SampleInfo
from caloforge.reports import wording
from caloforge.reports.explorer import explorer_data
from caloforge.reports.places import part_title, worst_places
from caloforge.reports.rows import as_csv
from caloforge.showers.atomic import atomic_output

JSON_NAME = "report.json"
CSV_NAME = "report.csv"
HTML_NAME = "report.html"
MAX_PLOTS = 60  # histograms on a page
LONGEST_LABEL = 28  # letters of a sample's label in a plot


def check_report_folder(output: str | Path, *, overwrite: bool) -> Path:
    """The folder, once it is certain that a report may be written there; call it before any work.

    Raises:
        RequestError: a report is there and `overwrite` is False, the path is a file, or its parent does not exist.
    """
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"the output {folder} is a file; a report is a folder: choose another name")
    for name in (JSON_NAME, CSV_NAME, HTML_NAME):
        if (folder / name).exists() and not overwrite:
            raise RequestError(f"{folder / name} exists; choose another folder or pass --overwrite (overwrite=True)")
    if not folder.parent.is_dir():
        raise RequestError(f"the folder {folder.parent} of the output does not exist; create it first")
    return folder


def write_report(evaluation: Evaluation, output: str | Path, *, overwrite: bool = False) -> Path:
    """Write `report.json`, `report.csv` and `report.html` into a folder, which is made if need be.

    Args:
        evaluation: from `caloforge.evaluation.evaluate`.
        output: the folder.
        overwrite: replace a report that is there.

    Returns:
        The path of the page.

    Raises:
        RequestError: as `check_report_folder`.
    """
    folder = check_report_folder(output, overwrite=overwrite)
    figures = json.dumps(evaluation.to_json(), allow_nan=False, ensure_ascii=False)
    folder.mkdir(exist_ok=True)
    with atomic_output(folder / JSON_NAME, overwrite=overwrite) as partial:
        partial.write_text(figures + "\n", encoding="utf-8")
    with atomic_output(folder / CSV_NAME, overwrite=overwrite) as partial:
        partial.write_text(as_csv(evaluation), encoding="utf-8")
    page = render_html(evaluation)
    with atomic_output(folder / HTML_NAME, overwrite=overwrite) as partial:
        partial.write_text(page, encoding="utf-8")
    return folder / HTML_NAME


def render_html(evaluation: Evaluation) -> str:
    """The page as text: every plot and the one script inside, no address outside it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("caloforge.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}
    environment.filters["measured"] = wording.measured
    environment.filters["significant"] = wording.significant
    environment.filters["rank"] = wording.rank
    environment.filters["size"] = wording.size
    environment.filters["small"] = wording.small
    environment.filters["p_value"] = wording.p_value
    environment.filters["details"] = wording.details
    environment.filters["hundredfold"] = wording.hundredfold
    environment.filters["particle"] = wording.particle
    environment.filters["reconstruction"] = lambda name: wording.RECONSTRUCTION[name]
    environment.filters["separation"] = lambda name: wording.SEPARATIONS[name]
    environment.filters["whole"] = lambda name: wording.WHOLE_SHOWERS[name]
    environment.filters["words"] = lambda name: str(name).replace("_", " ")
    environment.filters["ranked"] = wording.ranked
    environment.filters["no_evidence"] = wording.no_evidence
    environment.filters["part_title"] = lambda part: part_title(part.variable, part.low, part.high)
    environment.filters["provenance"] = _provenance
    script = resources.files("caloforge.reports").joinpath("templates", "report.js").read_text(encoding="utf-8")
    known = {name for rank in evaluation.ranking for name in rank.figures}
    return environment.get_template("report.html.j2").render(
        evaluation=evaluation,
        plots=_plots(_drawable(evaluation)),
        headlines=[wording.headlines(sample, evaluation) for sample in evaluation.samples],
        metrics=METRICS,
        columns={name: column for name, column in COLUMNS.items() if name in known},
        best={name: best(name, evaluation.ranking) for name in COLUMNS},
        dash=wording.DASH,
        explorer=explorer_data(evaluation),
        places=[list(worst_places(sample)) for sample in evaluation.samples],
        script=Markup(script),
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        verdicts=[wording.verdict(sample, evaluation) for sample in evaluation.samples],
        support=[wording.support(sample, evaluation) for sample in evaluation.samples],
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def _drawable(evaluation: Evaluation) -> Evaluation:
    """The same with labels that fit into a plot, and whose dollar signs are no mathematics to matplotlib."""

    def short(info: SampleInfo) -> SampleInfo:
        label = info.label
        if len(label) > LONGEST_LABEL:
            label = f"{label[: LONGEST_LABEL - 1]}\N{HORIZONTAL ELLIPSIS}"
        return dataclasses.replace(info, label=label.replace("$", r"\$"))

    samples = [dataclasses.replace(sample, info=short(sample.info)) for sample in evaluation.samples]
    reference = dataclasses.replace(evaluation.reference, info=short(evaluation.reference.info))
    return dataclasses.replace(evaluation, samples=samples, reference=reference)


def _plots(evaluation: Evaluation) -> dict[str, Any]:
    from caloforge.reports import curves, images
    from caloforge.reports.heat import heat_maps
    from caloforge.reports.style import plot_style

    with plot_style():
        return {
            "displays": images.event_displays(evaluation),
            "means": images.mean_images(evaluation),
            "heat": heat_maps(evaluation),
            "response": curves.response_plot(evaluation),
            "reconstruction": {
                code: curves.reconstruction_plot(code, evaluation) for code in _reconstructed(evaluation)
            },
            "observables": [curves.observable_plot(histogram, evaluation) for histogram in _plotted(evaluation)],
            "correlations": images.correlation_matrices(evaluation),
            "importance": [
                curves.importance_plot(sample.classifier, index) for index, sample in enumerate(evaluation.samples)
            ],
        }


def _plotted(evaluation: Evaluation) -> list[Histogram]:
    """The histograms to draw, in their order: all, or where there are very many those that differ most."""
    worst: dict[str, float] = {}
    for item in (item for sample in evaluation.samples for item in sample.distances):
        worst[item.name] = max(worst.get(item.name, -math.inf), item.wasserstein.spreads_above_floor)
    chosen = sorted(worst, key=worst.__getitem__, reverse=True)[:MAX_PLOTS]
    return [histogram for histogram in evaluation.histograms if histogram.name in chosen]


def _reconstructed(evaluation: Evaluation) -> list[int]:
    """PDG codes of the particles that figures of the reconstruction are there for, of any sample."""
    return sorted({item.particle for sample in evaluation.samples for item in sample.reconstruction.particles})


def _provenance(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Facts as text, long values cut."""
    lines = []
    for key, value in facts.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append((key.replace("_", " "), text if len(text) <= 300 else text[:297] + "..."))
    return lines
