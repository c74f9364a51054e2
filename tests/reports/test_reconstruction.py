"""The section of the reconstruction: its figures on the page and in the table."""

from __future__ import annotations

import csv
import dataclasses
import re
from io import StringIO

import pytest

from caloforge.evaluation import Evaluation, Measured
from caloforge.evaluation.results import ParticleSeparation
from caloforge.reports import render_html
from caloforge.reports.rows import as_csv
from caloforge.reports.wording import RECONSTRUCTION, hundredfold, particle, small


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    """The page of an evaluation in which one separation of two could be computed."""
    auc = Measured(0.6123, 0.0101)
    found = ParticleSeparation("e/gamma", auc, Measured(0.5012, 0.0102), Measured(-0.1111, 0.0144), 1e-14, [7] * 4, "")
    sample = evaluation.samples[0]
    missing = {"particle 22": "3 showers of fast; it takes 100"}
    reconstruction = dataclasses.replace(
        sample.reconstruction, separations=[found, sample.reconstruction.separations[1]], not_computable=missing
    )
    samples = [dataclasses.replace(sample, reconstruction=reconstruction), *evaluation.samples[1:]]
    whole = render_html(dataclasses.replace(evaluation, samples=samples))
    return whole[whole.index('id="reconstruction"') : whole.index('id="observables"')]


def test_every_figure_stands_on_the_page(page: str, evaluation: Evaluation) -> None:
    text = re.sub(r"<[^>]+>", "", page)
    assert ">e-</h3>" in page
    for sample in evaluation.samples:
        (electrons,) = sample.reconstruction.particles
        for row in electrons.rows:
            assert f"{RECONSTRUCTION[row.name]}{small(row.value)}" in text
        for ratio in electrons.ratio["position_resolution_x"]:
            assert f"{ratio.value:.3f} ± {ratio.error:.3f}" in text
    assert "0.6123 ± 0.01010.5012 ± 0.0102-0.1111 ± 0.01441e-14" in text
    assert "not computable: one particle only in Geant4 (11)" in text
    assert "fast, particle 22: not computable, 3 showers of fast; it takes 100" in text


def test_five_per_cent_too_much_energy_are_marked(page: str, evaluation: Evaluation) -> None:
    table = page.split("<h3>")[1].split("<details>")[0]
    marks = dict(re.findall(r"<tr><td>([\w ]+)</td><td class=\"(\w+)\">", table))
    assert marks["linearity"] == "large"
    assert marks["position resolution in x"] == "within"


def test_every_figure_is_a_row_of_the_table(evaluation: Evaluation) -> None:
    table = {
        (row["sample"], row["observable"], row["region"], row["figure"]): row
        for row in csv.DictReader(StringIO(as_csv(evaluation)))
    }
    sample = evaluation.samples[0]
    label = sample.info.label
    (electrons,) = sample.reconstruction.particles
    edges = electrons.sample.edges
    first = f"energy {edges[0]:.6g} to {edges[1]:.6g} MeV"
    for name, figures in electrons.sample.figures.items():
        row = table[label, "reconstruction 11", first, name]
        assert float(row["value"]) == pytest.approx(figures[0].value, rel=1e-5)
        row = table[label, "reconstruction 11", first, f"{name}_of_reference"]
        assert float(row["error"]) == pytest.approx(electrons.reference.figures[name][0].error, rel=1e-5)
    row = table[label, "reconstruction 11", first, "energy_resolution_over_reference"]
    assert float(row["value"]) == pytest.approx(electrons.ratio["energy_resolution"][0].value, rel=1e-5)
    row = table[label, "reconstruction 11", "all", "response_deviation"]
    assert row["floor"]
    assert row["floor_same_conditions"]
    assert table[label, "e/pi", "all", "auc"]["note"] == "not computable: one particle only in Geant4 (11)"


def test_particles_have_names() -> None:
    assert [particle(code) for code in (11, -11, 22, 211, 2112)] == ["e-", "e+", "gamma", "pi+", "n"]
    assert particle(99_999_999) == "particle 99999999"
    assert hundredfold(Measured(0.0875, 0.0015)) == "8.75 ± 0.15"
