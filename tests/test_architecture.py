"""The structure of the package: no circular imports, and docs/architecture.md describes the modules that exist."""

from __future__ import annotations

import re
import runpy
import tomllib

import grimp
import numpy as np
import pytest
from paths import DOCS, ROOT
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACT = PROJECT["tool"]["importlinter"]["contracts"][0]
#: Convenience methods that import a module above their own when they are called, such as trace.derivation().
UPWARD = [tuple(line.split(" -> ")) for line in CONTRACT["ignore_imports"]]
PAGE = (DOCS / "architecture.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def graph():
    """Which module imports which, imports inside functions included."""
    return grimp.build_graph("clearprop", exclude_type_checking_imports=True, cache_dir=None)


def circles(graph) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others."""
    modules = sorted(graph.modules)
    index = {module: i for i, module in enumerate(modules)}
    edges = [(index[m], index[k]) for m in modules for k in graph.find_modules_directly_imported_by(m)]
    rows, columns = np.array(edges).T
    matrix = coo_array((np.ones(len(edges)), (rows, columns)), shape=(len(modules), len(modules)))
    _, group = connected_components(matrix, directed=True, connection="strong")
    groups = [[m for m, g in zip(modules, group, strict=True) if g == k] for k in np.unique(group)]
    return [members for members in groups if len(members) > 1]


def test_no_circular_imports(graph):
    assert len(graph.modules) > 150
    for importer, imported in UPWARD:
        graph.remove_import(importer=importer, imported=imported)
    assert circles(graph) == []


def test_a_circle_would_be_found(graph):
    graph.add_import(importer="clearprop.checks", imported="clearprop.core.network")
    assert any({"clearprop.checks", "clearprop.core.network"} <= set(group) for group in circles(graph))
    graph.remove_import(importer="clearprop.checks", imported="clearprop.core.network")


def test_two_convenience_methods_import_upward():
    assert UPWARD == [
        ("clearprop.core.trace", "clearprop.explain.derivation"),
        ("clearprop.model.model", "clearprop.report"),
    ]


def test_every_module_at_the_top_is_on_a_floor(graph):
    floors = [name for floor in CONTRACT["layers"] for name in floor.split(" | ")]
    children = {module.removeprefix("clearprop.") for module in graph.find_children("clearprop")}
    assert set(floors) == children - {"__main__"}
    assert len(floors) == len(set(floors))


def test_the_page_names_every_folder_and_every_module_at_the_top(graph):
    children = {module.removeprefix("clearprop.") for module in graph.find_children("clearprop")} - {"__main__"}
    named = set(re.findall(r"`(\w+)(?:/|\.py)`", PAGE))
    assert children - named == set()


def test_every_path_on_the_page_exists():
    paths = re.findall(r"`([\w/]+(?:/|\.py|\.md|\.svg))`", PAGE)
    assert len(paths) > 30
    roots = [ROOT, ROOT / "src" / "clearprop"]
    assert [path for path in paths if not any((root / path).exists() for root in roots)] == []


def test_the_picture_is_up_to_date():
    script = runpy.run_path(str(DOCS / "make_architecture.py"), run_name="make_architecture")
    stored = (DOCS / "architecture.svg").read_text(encoding="utf-8")
    assert script["picture"]() == stored, "run python docs/make_architecture.py"


def test_decisions_are_numbered_without_holes_listed_and_of_one_form():
    folder = DOCS / "decisions"
    records = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [path.name[:4] for path in records] == [f"{i:04d}" for i in range(1, len(records) + 1)]
    for path in records:
        title, *rest = path.read_text(encoding="utf-8").splitlines()
        number, _, name = title.removeprefix("# ").partition(". ")
        assert f"| [{number}]({path.name}) | {name} |" in index, path.name
        headings = [line.removeprefix("## ") for line in rest if line.startswith("## ")]
        measured = ["Measured"] if "Measured" in headings else []
        assert headings == ["Context", "Choice", *measured, "Rejected", "Consequence"], path.name


def test_pre_commit_runs_the_tools_of_make_check():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    check = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck:")[2].partition("\n\n")[0]
    tools = re.findall(r"\$\(BIN\)/([\w-]+)", check)
    assert len(tools) == 4
    assert re.findall(r"entry: \.venv/bin/([\w-]+)", text) == tools
