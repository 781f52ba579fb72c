"""Write docs/architecture.svg: the packages of clearprop by floors, and which imports which, read from the imports.

Run it after a package or an import between packages has been added: python docs/make_architecture.py

An arrow from A to B means that a module of A imports one of B. An import that follows from others (A imports B, B
imports C, and A imports C) is not drawn.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

import grimp

DOCS = Path(__file__).resolve().parent
PROJECT = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACT = PROJECT["tool"]["importlinter"]["contracts"][0]
#: Modules that nearly all others import; they are drawn as the ground, without arrows.
GROUND = ("mathematics", "checks", "errors", "fork_safety", "display", "terminal")
WIDTH, ROW, BOX, MARGIN = 860, 92, 46, 20
STYLE = """
svg { --card: #ffffff; --ink: #1b1d22; --soft: #5d616b; --line: #a9abb0; --box: #f1efea; --edge: #1f6fb4;
  font-family: Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Noto Sans", sans-serif;
  max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { svg { --card: #1a1d23; --ink: #eceef2; --soft: #a7adb8; --line: #596070;
  --box: #262a32; --edge: #5ba8ee; } }
.page { fill: var(--card); } .box { fill: var(--box); stroke: var(--line); } text { font-size: 13px; fill: var(--ink); }
.name { text-anchor: middle; font-weight: 600; } .what { text-anchor: middle; fill: var(--soft); font-size: 11.5px; }
.arrow { fill: none; stroke: var(--edge); stroke-width: 1.3; opacity: 0.75; } .head { fill: var(--edge); }
"""
#: What each package is for, in a few words.
PURPOSE = {
    "cli": "command line",
    "gallery": "worked examples",
    "views": "pictures",
    "report": "HTML report",
    "explain": "derivations, checks",
    "estimators": "scikit-learn API",
    "model": "models of tables",
    "draw": "SVG, charts, pages",
    "datasets": "example data",
    "tables": "tables to matrices",
    "training": "training loop",
    "engine": "computes the steps",
    "analysis": "more derivatives",
    "symbolic": "definitions as graphs",
    "serialization": "files",
    "core": "network, both sweeps",
    "losses": "value and delta",
    "optimizers": "update rules",
    "penalties": "L1, L2, limits",
    "activations": "f and pullback",
    "initializers": "starting weights",
    "schedules": "learning rates",
}


def floors() -> list[list[str]]:
    """The packages of each floor, top to bottom, as import-linter enforces them."""
    return [floor.split(" | ") for floor in CONTRACT["layers"]]


def imports() -> dict[str, set[str]]:
    """The packages and top modules that each one imports, without the convenience methods that import upward."""
    graph = grimp.build_graph("clearprop", exclude_type_checking_imports=True, cache_dir=None)
    for line in CONTRACT["ignore_imports"]:
        importer, imported = line.split(" -> ")
        graph.remove_import(importer=importer, imported=imported)
    found: dict[str, set[str]] = {name: set() for floor in floors() for name in floor}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            a, b = (name.split(".")[1] if "." in name else "" for name in (module, imported))
            if a in found and b in found and a != b:
                found[a].add(b)
    return found


def without_implied(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """The edges that do not follow from a longer path (the transitive reduction)."""

    def reached(start: str) -> set[str]:
        return set().union(*({target} | reached(target) for target in edges[start]))

    below = {name: reached(name) for name in edges}
    return {name: {t for t in to if not any(t in below[other] for other in to - {t})} for name, to in edges.items()}


def rows_of(edges: dict[str, set[str]]) -> list[list[str]]:
    """The packages in rows, each above all that it imports, ordered so that arrows are short."""
    level: dict[str, int] = {}
    for name in reversed([name for floor in floors() for name in floor if name in edges]):
        level[name] = 1 + max((level[target] for target in edges[name]), default=-1)
    users = {name: {user for user, to in edges.items() if name in to} for name in edges}
    for name in sorted(level, key=lambda name: -level[name]):  # right below the lowest package that imports it
        level[name] = min((level[user] - 1 for user in users[name]), default=level[name])
    rows = [[name for name in edges if level[name] == k] for k in reversed(range(max(level.values()) + 1))]
    for _ in range(8):
        at = {name: (i + 0.5) / len(row) for row in rows for i, name in enumerate(row)}
        for row in rows:
            near = {name: [at[other] for other in edges[name] | users[name]] for name in row}
            row.sort(key=lambda name: sum(near[name]) / max(1, len(near[name])))
    return rows


def box(x: float, y: float, width: float, name: str, purpose: str) -> list[str]:
    """A package: its name and what it is for."""
    return [
        f'<rect class="box" x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BOX}" rx="7"/>',
        f'<text class="name" x="{x:.1f}" y="{y + 20:.1f}">{escape(name)}</text>',
        f'<text class="what" x="{x:.1f}" y="{y + 36:.1f}">{escape(purpose)}</text>',
    ]


def picture() -> str:
    """The SVG."""
    edges = without_implied({name: to - set(GROUND) for name, to in imports().items() if name not in GROUND})
    rows = rows_of(edges)
    height = ROW * len(rows) + BOX + 2 * MARGIN
    place: dict[str, tuple[float, float, float]] = {}  # middle, top and width of each box
    for i, row in enumerate(rows):
        step = (WIDTH - 2 * MARGIN) / len(row)
        for k, name in enumerate(row):
            place[name] = (
                MARGIN + (k + 0.5) * step,
                MARGIN + i * ROW,
                min(step - 8, max(110, 6.6 * len(PURPOSE[name]) + 18)),
            )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img"><title>The packages of clearprop and their imports</title>',
        f"<style>{STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="head" d="M0 0 8 4 0 8z"/></marker></defs>',
        f'<rect class="page" width="{WIDTH}" height="{height}"/>',
    ]
    for name, targets in edges.items():
        x, y, _ = place[name]
        for target in sorted(targets):
            to_x, to_y, _ = place[target]
            bend = (to_y - y - BOX) / 2
            parts.append(
                f'<path class="arrow" marker-end="url(#head)" d="M{x:.0f} {y + BOX:.0f}'
                f'C{x:.0f} {y + BOX + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y - 2:.0f}"/>'
            )
    for name, (x, y, width) in place.items():
        parts += box(x, y, width, name, PURPOSE[name])
    parts += box(WIDTH / 2, height - BOX - MARGIN, WIDTH - 2 * MARGIN, ", ".join(GROUND), "used by all of them")
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    (DOCS / "architecture.svg").write_text(picture(), encoding="utf-8")
