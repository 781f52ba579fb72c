"""Engines run the steps of training. All give the same result up to rounding. A new engine is added to `ENGINES`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

from clearprop.engine.api import Engine
from clearprop.engine.textbook import TextbookEngine
from clearprop.errors import CompilationError


def _compiled() -> type[Engine]:
    from clearprop.engine.compiled.engine import CompiledEngine  # Numba takes a moment to load

    return CompiledEngine


#: The engines by name. Each is loaded when it is first used.
ENGINES: dict[str, Callable[[], type[Engine]]] = {"compiled": _compiled, "textbook": lambda: TextbookEngine}

T = TypeVar("T")


def with_engine(name: str, use: Callable[[type[Engine]], T]) -> T:
    """Call `use` with the engine of that name, and return its result.

    "auto" is the compiled engine. If it raises CompilationError, because a definition in use cannot be compiled, a
    RuntimeWarning gives the reason and `use` gets the textbook engine.
    """
    if name != "auto":
        return use(ENGINES[name]())
    try:
        return use(ENGINES["compiled"]())
    except CompilationError as reason:
        warnings.warn(f"falling back to the textbook engine (slower): {reason}", RuntimeWarning, stacklevel=3)
        return use(ENGINES["textbook"]())
