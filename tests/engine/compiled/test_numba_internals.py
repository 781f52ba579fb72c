"""The private names of Numba and llvmlite that the engine uses exist, are all listed, and are used in one module."""

from __future__ import annotations

import importlib
import re
from functools import reduce
from pathlib import Path

import llvmlite
import numba
import pytest
from numba import njit

from clearprop.engine.compiled import numba_internals

SOURCES = Path(numba_internals.__file__).parents[2]
NAMES = re.findall(r"^- `([\w.]+)`: ", numba_internals.__doc__ or "", flags=re.MULTILINE)
VERSIONS = f"numba {numba.__version__} with llvmlite {llvmlite.__version__}"


def resolve(name: str) -> object:
    """The object of a dotted name: the longest prefix that is a module, then attributes."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        return reduce(getattr, parts[end:], module)
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_private_name_still_exists(name: str) -> None:
    try:
        resolve(name)
    except (AttributeError, ModuleNotFoundError) as error:
        pytest.fail(
            f"{VERSIONS} no longer has {name} ({error}). clearprop/engine/compiled/numba_internals.py says what it is "
            "for: find what replaces it, or lower the upper bound of numba in pyproject.toml."
        )


def test_functions_have_a_cache_that_can_be_replaced() -> None:
    function = njit(lambda x: x)
    for owner in (function, numba.cfunc("float64(float64)")(lambda x: x)):
        assert hasattr(owner, "_cache"), f"{VERSIONS}: {type(owner).__name__} no longer has the attribute _cache"
    interface = ("load_overload", "save_overload")
    assert all(hasattr(function._cache, name) for name in interface), f"{VERSIONS}: caches have another interface"


def test_all_private_names_are_in_one_module() -> None:
    private = re.compile(r"\bnumba\.core\b|\bnumba\._(?!_)|\bllvm\.ffi\b|\bllvmlite\.binding\.ffi\b")
    users = {path.name for path in SOURCES.rglob("*.py") if private.search(path.read_text())}
    assert users == {"numba_internals.py"}


def test_a_missing_name_is_reported() -> None:
    assert len(NAMES) > 10
    for gone in ("numba.core.gone.x", "numba.core.compiler.Gone", "gone.x"):
        with pytest.raises((AttributeError, ModuleNotFoundError)):
            resolve(gone)
