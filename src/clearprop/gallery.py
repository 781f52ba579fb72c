"""The gallery: worked examples and problems from the literature, as scripts to run and change.

The scripts are the files in `examples/`, which is next to `src/` in a checkout and inside the package once installed.
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
    """One example: its name, a description in one line, and its file."""

    name: str
    about: str
    path: Path

    def run(self, seeds: int | None = None, picture: str | None = None) -> Any:
        """Run the script, which prints its results, and return the result of its `main`.

        `seeds` is the number of starts that a study trains from, `picture` an SVG file to draw the result to. Raises
        ArgumentError before anything runs if the script has no seeds, or draws no picture.
        """
        functions = runpy.run_path(str(self.path), run_name="gallery")
        main = functions["main"]
        if seeds is not None and "seeds" not in inspect.signature(main).parameters:
            raise ArgumentError(f"seeds: {self.name} runs once, from published numbers, and has no seeds.")
        if picture is not None and "draw" not in functions:
            raise ArgumentError(f"picture: {self.name} draws no picture.")
        result = main() if seeds is None else main(check_integer(seeds, "seeds"))
        if picture is not None and not result:
            raise ArgumentError("picture: no start solved the problem, so there is nothing to draw; try more seeds.")
        if picture is not None:
            functions["draw"](result).save(picture)
        return result


def scripts() -> dict[str, Script]:
    """The scripts of the gallery by name.

    >>> scripts()["rumelhart_xor"].about
    'Exclusive or: two hidden units, or a single one with direct links from the inputs to the output.'
    """
    folder = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT
    scripts = {}
    for path in sorted(folder.glob("*.py")):
        about = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        scripts[path.stem] = Script(path.stem, about, path)
    return scripts


def script(name: str) -> Script:
    """The script of that name. Raises ArgumentError with similar names if there is none."""
    known = scripts()
    if name not in known:
        raise ArgumentError(f"gallery: {unknown('example', name, known)}")
    return known[name]
