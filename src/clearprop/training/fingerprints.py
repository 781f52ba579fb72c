"""Descriptions and digests of the settings and data of a run, to decide whether two runs are the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.sparse import issparse

from clearprop.core.objective import Objective


def describe_data(objective: Objective, held_out: Objective | None) -> dict[str, str]:
    """Shape, precision and SHA-256 of all training and validation data."""
    facts = {}
    for prefix, part in (("", objective), ("validation ", held_out)):
        if part is not None:
            targets = part.targets
            facts[f"{prefix}X"] = fingerprint(part.X)
            for name, y in targets.items():
                facts[f"{prefix}y" if len(targets) == 1 else f'{prefix}y["{name}"]'] = fingerprint(y)
            weight = part.sample_weight
            facts[f"{prefix}sample_weight"] = "none" if weight is None else fingerprint(weight)
    return facts


def description(thing: Any) -> str:
    """The repr of a definition with all its fields, without memory addresses.

    >>> import clearprop as cp
    >>> description(cp.Momentum(cp.schedules.Cosine(0.1)))
    'Momentum(learning_rate=Cosine(learning_rate=0.1, final=0.0), momentum=0.9)'
    """
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))


def fingerprint(array: Any) -> str:
    """Shape, precision and the SHA-256 of an array or a CSR matrix.

    >>> fingerprint(np.zeros((2, 3)))[:30]
    '2 x 3 float64, SHA-256 17b0761'
    """
    digest = hashlib.sha256()
    for part in (array.data, array.indices, array.indptr) if issparse(array) else (array,):
        digest.update(np.ascontiguousarray(part).data)
    return f"{' x '.join(map(str, array.shape))} {array.dtype}, SHA-256 {digest.hexdigest()}"


def patterns(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The fingerprints of the patterns of wired connections."""
    return {"patterns": {name: fingerprint(a) for name, a in arrays.items() if name.endswith(".pattern")}}


def first_difference(was: Any, now: Any, where: str = "") -> str | None:
    """A description of the first difference between two JSON values, or None.

    >>> first_difference({"settings": {"seed": 1, "batch_size": 32}}, {"settings": {"seed": 1, "batch_size": 64}})
    'settings, batch_size: was 32, is 64'
    """
    if isinstance(was, dict) and isinstance(now, dict):
        for name in [*was, *(name for name in now if name not in was)]:
            difference = first_difference(was.get(name, "missing"), now.get(name, "missing"), _join(where, name))
            if difference:
                return difference
        return None
    if isinstance(was, list) and isinstance(now, (list, tuple)) and len(was) == len(now):
        differences = (
            first_difference(a, b, _join(where, _key(a, i))) for i, (a, b) in enumerate(zip(was, now, strict=True))
        )
        return next(filter(None, differences), None)
    if isinstance(was, list) and isinstance(now, (list, tuple)):
        return f"{where}: had {len(was)} items, has {len(now)}"
    return None if was == now else f"{where}: was {_short(was)}, is {_short(now)}"


def _join(where: str, name: Any) -> str:
    return f"{where}, {name}" if where else str(name)


def _key(item: Any, index: int) -> str:
    return str(item["name"]) if isinstance(item, dict) and "name" in item else str(index)


def _short(value: Any) -> str:
    text = str(value)
    head, mark, digest = text.partition(", SHA-256 ")
    return f"{head}{mark}{digest[:8]}" if mark else text[:200]
