"""Imports point one way, and the cheap entrances stay cheap."""

from __future__ import annotations

import ast
import graphlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import caloforge

SOURCE = Path(caloforge.__file__).parent
ORDER = (
    "_version",
    "errors",
    "units",
    "random",
    "progress",
    "processes",
    "cache",
    "clusters",
    "detector",
    "showers",
    "runs",
    "observables",
    "reconstruction",
    "fullsim",
    "transforms",
    "models",
    "training",
    "generation",
    "evaluation",
    "reports",
    "deployment",
    "api",
    "cli",
)
MODULE_NAME = re.compile(r"caloforge(\.\w+)+")


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(SOURCE.rglob("*.py"))}


def imported(module: str, tree: ast.AST) -> Iterator[str]:
    """Modules of the package that ``tree`` imports anywhere, inside functions too."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "caloforge")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                stem = package.split(".")
                base = ".".join([*stem[: len(stem) - node.level + 1], *([base] if base else [])])
            if base.split(".")[0] == "caloforge":
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    yield full if full in MODULES else base


def named(tree: ast.AST) -> Iterator[str]:
    """Modules of the package that ``tree`` names in a string, as tables of lazy imports do."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]
            if MODULE_NAME.fullmatch(name) and name in MODULES:
                yield name


def rank(module: str) -> int:
    part = module.split(".")[1]
    assert part in ORDER, f"{module} has no place in the order of imports"
    return ORDER.index(part)


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ("caloforge", "caloforge.__main__")])
def test_imports_point_one_way(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for other in {*imported(module, tree), *named(tree)}:
        assert other != "caloforge", f"{module} imports the top of the package, which stands after everything"
        assert rank(other) <= rank(module), f"{module} imports {other}, which comes after it"


def test_no_cycles_inside_packages_either() -> None:
    graph = {
        module: set(imported(module, ast.parse(path.read_text(encoding="utf-8")))) - {module}
        for module, path in MODULES.items()
    }
    assert len(tuple(graphlib.TopologicalSorter(graph).static_order())) >= len(MODULES)


def test_relative_imports_and_imports_in_functions_are_seen() -> None:
    tree = ast.parse("def f():\n    from .. import cli\n    import caloforge.errors\n")
    assert set(imported("caloforge.detector.base", tree)) == {"caloforge.cli", "caloforge.errors"}


@pytest.mark.parametrize("code", ["import caloforge", "from caloforge.cli import main; main(['--help'])"])
def test_cheap_entrances_import_nothing_heavy(code: str) -> None:
    heavy = {
        "torch",
        "matplotlib",
        "sklearn",
        "onnxruntime",
        "scipy",
        "h5py",
        "pandas",
        "mplhep",
        "hist",
        "dask",
        "distributed",
    }
    script = f"import sys\n{code}\nprint('loaded:', *sorted(m for m in sys.modules if '.' not in m))"
    environment = os.environ | {"PYTHONPATH": str(SOURCE.parent)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    loaded = set(done.stdout.splitlines()[-1].split()[1:])
    assert "caloforge" in loaded
    assert loaded & heavy == set()


def test_public_names_resolve() -> None:
    for name in caloforge.__all__:
        assert getattr(caloforge, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = caloforge.nonsense


def test_no_pickle_no_eval() -> None:
    for module, path in MODULES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not calls & {"eval", "exec", "__import__"}, module
        imports = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
        assert not imports & {"pickle", "joblib", "dill", "cloudpickle"}, module
