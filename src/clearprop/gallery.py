"""The gallery: worked examples and problems from the literature, as scripts that a reader can run and change.

The scripts are the files of `examples/`: beside the sources in a checkout, inside the package when it is installed.
"""

from __future__ import annotations

import ast
import inspect
import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearprop.checks import check_integer
from clearprop.errors import ArgumentError, unknown

_INSTALLED = Path(__file__).parent / "examples"
_CHECKOUT = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Script:
    """One example: its name, what it is in one line, and its file."""

    name: str
    about: str
    path: Path

    def run(self, seeds: int | None = None, picture: str | None = None) -> Any:
        """What its `main` returns; it prints as it goes, and `picture` is an SVG file for what was learnt.

        `seeds` is how many starts a study trains from. ArgumentError, before anything runs, for seeds where the script
        is no study, or a picture where it draws none.
        """
        functions = runpy.run_path(str(self.path), run_name="gallery")
        main = functions["main"]
        if seeds is not None and "seeds" not in inspect.signature(main).parameters:
            raise ArgumentError(f"seeds: {self.name} runs once, from numbers that are published.")
        if picture is not None and "draw" not in functions:
            raise ArgumentError(f"picture: {self.name} draws none.")
        result = main() if seeds is None else main(check_integer(seeds, "seeds"))
        if picture is not None and not result:
            raise ArgumentError(
                "picture: no start solved the problem, so nothing was learnt to be drawn; try more seeds."
            )
        if picture is not None:
            functions["draw"](result).save(picture)
        return result


def scripts() -> dict[str, Script]:
    """Every script of the gallery by its name.

    >>> scripts()["rumelhart_xor"].about
    'Exclusive or: two hidden units, or a single one with direct links from the inputs to the output.'
    """
    folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    found = {}
    for path in sorted(folder.glob("*.py")):
        about = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        found[path.stem] = Script(path.stem, about, path)
    return found


def script(name: str) -> Script:
    """The script of that name; ArgumentError names the nearest."""
    known = scripts()
    if name not in known:
        raise ArgumentError(f"gallery: {unknown('example', name, known)}")
    return known[name]
