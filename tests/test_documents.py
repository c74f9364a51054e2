"""What the documents point to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from caloforge.cli import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md")]
PAGES += sorted(page for folder in ("docs", "benchmarks") for page in (ROOT / folder).rglob("*.md"))
LINK = re.compile(r"\]\(([^)#:]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]
    assert not missing


def test_every_verb_in_the_readme_exists() -> None:
    from caloforge.cli.verbs import VERBS

    used = set(re.findall(r"^caloforge (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert len(used) > 5
    assert used <= {verb.name for verb in VERBS}


@pytest.mark.usefixtures("geant4")
def test_the_tutorial_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "your-detector.md").read_text(encoding="utf-8")
    toml, commands = re.findall(r"^```(?:toml)?\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)[:2]
    assert len([line for line in toml.splitlines() if line]) <= 20
    monkeypatch.chdir(tmp_path)
    Path("my-ecal.toml").write_text(toml, encoding="utf-8")
    lines = [line.partition("#")[0].split() for line in commands.splitlines()]
    assert [words[:2] for words in lines] == [["caloforge", verb] for verb in ("detectors", "simulate", "show")]
    for words in lines:
        assert main(["10" if word == "300" else word for word in words[1:]]) == 0  # fewer showers, to be quick
    assert Path("my-ecal.png").exists()
    assert "10 showers of my-ecal, made by geant4" in capsys.readouterr().out
    Path("my-ecal.toml").write_text(toml.replace('"G4_W"', '"G4_w"'), encoding="utf-8")
    assert main(lines[0][1:]) == 2
    assert capsys.readouterr().err.startswith(re.findall(r"^error: .*'G4_W'\?", page, flags=re.MULTILINE)[0])
