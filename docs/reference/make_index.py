"""Write docs/reference/index.md: every public name with the first line of its docstring, by subject.

Run it after a public name or the first line of a docstring has changed: python docs/reference/make_index.py
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import clearprop as cp
from clearprop import errors, views

#: Each subject with the modules whose public names belong to it.
SECTIONS = {
    "From a table to a model": ("model", "tables", "report", "estimators"),
    "Networks": ("core.network", "core.layer", "core.connections", "core.parameters"),
    "Training": ("training", "engine", "penalties"),
    "Looking inside": ("core.trace", "core.per_sample", "analysis", "explain"),
    "Activations": ("activations",),
    "Losses": ("losses",),
    "Optimizers": ("optimizers",),
    "Schedules of the learning rate": ("schedules",),
    "Starting weights": ("initializers",),
}

#: Tables of names are dicts, which have no docstring.
TABLES = {
    "ACTIVATIONS": ("activations", "Every activation that comes with the library, by the name that stands for it."),
    "INITIALIZERS": ("initializers", "Every initializer by the name that stands for it."),
    "LOSSES": ("losses", "Every loss that comes with the library, by the name that stands for it."),
    "METRICS": ("training", "Every metric by its name, as (function of y and yhat, whether more is better)."),
    "OPTIMIZERS": ("optimizers", "Every optimizer that comes with the library, by the name that stands for it."),
    "PENALTIES": ("penalties", "Every penalty that comes with the library, by the name that stands for it."),
    "SCHEDULES": ("schedules", "Every schedule that comes with the library, by its name in model files."),
}

HEAD = """# Reference

Every public name after `import clearprop as cp`, with the first line of its documentation. `help(cp.train)` shows the
rest: equations, shapes, exceptions and an example. The letters are explained in the [conventions](../conventions.md),
and names of earlier versions in the [table of renamed names](renamed.md).
"""


def public_names() -> dict[str, Any]:
    """Everything public by its name after `cp.`: names at the top, in the namespaces, and what functions return."""
    names = {name: getattr(cp, name) for name in cp.__all__}
    for module in cp._NAMESPACES:
        short = module.__name__.removeprefix("clearprop.")
        names |= {f"{short}.{name}": getattr(module, name) for name in module.__all__ if name not in cp.__all__}
    for name, module in cp._ELSEWHERE.items():
        names[f"{module}.{name}"] = getattr(importlib.import_module(f"clearprop.{module}"), name)
    return names


def entry(name: str, thing: Any) -> tuple[str, str]:
    """The module (below clearprop) a public name comes from, and what it is in one line."""
    if (bare := name.rpartition(".")[2]) in TABLES:
        return TABLES[bare]
    documented = thing if callable(thing) and hasattr(thing, "__name__") else type(thing)
    return documented.__module__.removeprefix("clearprop."), first_line(documented)


def first_line(thing: Any) -> str:
    """The first line of a docstring."""
    line = (thing.__doc__ or "").strip().partition("\n")[0]
    if not line:
        raise SystemExit(f"{thing.__name__} has no docstring to take a line from.")
    return line


def is_error(thing: Any) -> bool:
    """Whether it is an exception class."""
    return isinstance(thing, type) and issubclass(thing, Exception)


def page() -> str:
    """The text of docs/reference/index.md."""
    entries = {name: entry(name, thing) for name, thing in public_names().items()}
    parts, placed = [HEAD], set()
    for title, modules in SECTIONS.items():
        names = [name for name, (module, _) in entries.items() if module.startswith(modules)]
        placed.update(names)
        parts.append(section(title, {f"cp.{name}": entries[name][1] for name in sorted(names, key=order)}))
    raised = {name: first_line(error) for name, error in vars(errors).items() if is_error(error)}
    placed.update(raised)
    shown = {f"cp.{name}" if name in entries else f"cp.errors.{name}": line for name, line in raised.items()}
    pictures = {f"views.{name}": first_line(getattr(views, name)) for name in sorted(views.__all__, key=order)}
    parts.append(section("Pictures (from clearprop import views)", pictures))
    parts.append(section("Errors", shown))
    lost = sorted(set(entries) - placed)
    if lost:
        raise SystemExit(f"these public names have no section: {lost}. Add their module to SECTIONS.")
    return "\n".join(parts)


def section(title: str, lines: dict[str, str]) -> str:
    """A heading with a table of names."""
    rows = [f"| `{name}` | {line.replace('|', '&#124;')} |" for name, line in lines.items()]
    return "\n".join([f"## {title}", "", "| Name | What it is |", "|---|---|", *rows, ""])


def order(name: str) -> tuple[bool, bool, bool, str]:
    """Names at the top first; functions and ready-made objects, then classes, then tables of names."""
    bare = name.rpartition(".")[2]
    return "." in name, bare in TABLES, bare[0].isupper(), name.lower()


if __name__ == "__main__":
    Path(__file__).with_name("index.md").write_text(page(), encoding="utf-8")
