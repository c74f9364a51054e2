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


@pytest.fixture
def tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The blocks of the tutorial, its detector and its training file saved where the test is run."""
    page = (ROOT / "docs" / "your-detector.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"^```\w*\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)[:5]
    monkeypatch.chdir(tmp_path)
    Path("my-ecal.toml").write_text(blocks[0], encoding="utf-8")
    Path("my-training.yaml").write_text(blocks[3], encoding="utf-8")
    return blocks


def commands(block: str, smaller: dict[str, str]) -> list[list[str]]:
    """The arguments of each line, with other numbers of showers."""
    lines = [line.partition("#")[0].split() for line in block.splitlines()]
    assert {words[0] for words in lines} == {"caloforge"}
    return [[smaller.get(word, word) for word in words[1:]] for words in lines]


@pytest.mark.usefixtures("geant4")
def test_the_tutorial_works(tutorial: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    toml, first, _, training, second = tutorial
    assert len([line for line in toml.splitlines() if line]) <= 20
    for line in commands(first, {"300": "10"}):
        assert main(line) == 0
    assert Path("my-ecal.png").exists()
    assert "10 showers of my-ecal, made by geant4" in capsys.readouterr().out
    quick = training.replace("1000", "100") + "epochs: 1\npretraining_steps: 100\n"
    Path("my-training.yaml").write_text(quick, encoding="utf-8")
    lines = commands(second, {"10000": "200", "2000": "100"})
    assert [line[0] for line in lines] == ["simulate", "simulate", "train", "generate", "evaluate"]
    for line in lines:
        assert main(line) == 0
    assert Path("report/report.html").exists()


def test_the_mistake_of_the_tutorial_is_found(tutorial: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    toml, first, error, *_ = tutorial
    Path("my-ecal.toml").write_text(toml.replace('"G4_W"', '"G4_w"'), encoding="utf-8")
    assert main(commands(first, {})[0]) == 2
    assert capsys.readouterr().err.startswith(error.removesuffix(" ...\n"))
