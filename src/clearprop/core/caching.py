"""Results cached by the definitions that they are made from: networks, activations, losses, optimizers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import lru_cache, wraps
from operator import attrgetter
from typing import Any

import numpy as np

#: Types of simple values, as most fields of a definition are.
_SIMPLE = frozenset({type(None), bool, int, float, str})


def _is_fixed(*objects: Any) -> bool:
    """Whether the behaviour of objects can never change: numbers, and the library's own definitions made of such."""
    rest = list(objects)
    while rest:
        x = rest.pop()
        if isinstance(x, tuple):
            rest += x
        elif type(x) not in _SIMPLE:
            parts = _parts_of(type(x))
            if parts is None:
                return False
            rest += parts(x)
    return True


@lru_cache(maxsize=256)
def _parts_of(kind: type) -> Callable[[Any], tuple[Any, ...]] | None:
    """What gives the fields of a definition that belongs to the library; None for any other class."""
    if issubclass(kind, (int, float, str, np.dtype)):
        return lambda number: ()
    if not (is_dataclass(kind) and kind.__module__.startswith("clearprop.") and kind.__hash__ is not None):
        return None
    names = [field.name for field in fields(kind)]
    return attrgetter(*names) if len(names) > 1 else lambda x: tuple(getattr(x, name) for name in names)


def cached_by_definition(make: Callable[..., Any], most: int = 1024) -> Any:
    """Cache the results of a function of definitions, at most `most` of them.

    It is called each time for a definition of the user's own, which may have changed in the meantime.
    """
    cached = lru_cache(maxsize=most, typed=True)(make)

    @wraps(make)
    def call(*args: Any, **options: Any) -> Any:
        fixed = _is_fixed(*args, *options.values())
        return cached(*args, **options) if fixed else make(*args, **options)

    return call
