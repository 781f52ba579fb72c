"""Convert the data of files in earlier layouts to the present layout, before they are decoded.

Layout 1 had no digests, and all numbers of the history in JSON. Layout 2 had the history in one matrix, a version of
the table's encoding, no names of arrays in its JSON data except for the patterns of wired connections, and other
names for the learning rate and for restoring the best epoch.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from clearprop.errors import ModelFileError
from clearprop.serialization.sealed import VERSION, Sections

#: Names that layout 3 changed: arguments of definitions, and columns of the history.
_ARGUMENTS, _COLUMNS = {"rate": "learning_rate", "restore": "restore_best"}, {"rate": "learning rate"}
_HISTORY_PARTS = ("columns", "delta_norms", "gradient_norms")


def upgraded(sections: Sections, kind: str) -> Sections:
    """The sections of a file as the present layout has them; ModelFileError where they are not what the older one held.

    >>> old = Sections(2, {"history": None, "encoding": None, "settings": {}}, {"parameters": np.zeros(2)})
    >>> upgraded(old, "model").head
    {'history': None, 'encoding': None, 'settings': {}, 'parameters': 'parameters'}
    """
    if sections.version == VERSION or kind not in _UPGRADES:
        return sections
    head, arrays = dict(sections.head), dict(sections.arrays)
    try:
        changed = _UPGRADES[kind](head, arrays)
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise ModelFileError(f"its data does not follow layout {sections.version} of a {kind} file.") from None
    return Sections(VERSION, head | {"parameters": "parameters"} | changed, arrays)


def _model(head: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The fields of a model file that changed."""
    settings, encoding, history = head["settings"], head["encoding"], head["history"]
    optimizer = settings.get("optimizer")
    return {
        "settings": settings | {"optimizer": _renamed(optimizer)} if isinstance(optimizer, dict) else settings,
        "encoding": None if encoding is None else _encoding(**encoding),
        "history": None if history is None else _history(history, arrays),
    }


def _checkpoint(head: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The fields of a checkpoint that changed."""
    arrays.setdefault("sums", np.zeros(0))
    for i, layer in enumerate(head["network"]["layers"]):
        for j, source in enumerate(layer["sources"]):
            if "pattern" in source:
                name = f"network.layers[{i}].sources[{j}].pattern"
                arrays[name], source["pattern"] = arrays[source["pattern"]], name
    return {
        "history": _history(head["history"], arrays),
        "facts": _renamed(head["facts"]),
        "learning_rate": head.pop("rate"),
        "slots": {name: f"slot {name}" for name in head["slots"]},
        "best": "best" if "best" in arrays else None,
        "sums": "sums",
        "written_by": head.pop("by"),
    }


_UPGRADES = {"model": _model, "checkpoint": _checkpoint}


def _renamed(value: Any) -> Any:
    """Plain data with the present names of arguments: as fields of a definition, and in definitions in words."""
    if isinstance(value, dict):
        return {_ARGUMENTS.get(name, name): _renamed(item) for name, item in value.items()}
    if isinstance(value, str):
        return re.sub(rf"\b({'|'.join(_ARGUMENTS)})=", lambda match: f"{_ARGUMENTS[match[1]]}=", value)
    return value


def _encoding(version: int, columns: Any, **fields: Any) -> dict[str, Any]:
    """The encoding of a table by its present names."""
    if version != 1:
        raise KeyError("version")
    return {"encoders": columns, **fields}


def _history(history: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The history with a matrix for each of its parts in `arrays`; layout 1 has lists of numbers by name instead."""
    parts, row = {}, 0
    for part in _HISTORY_PARTS:
        names = [_COLUMNS.get(name, name) for name in history[part]]
        if isinstance(history[part], dict):
            parts[part] = dict(zip(names, history[part].values(), strict=True))
        else:
            arrays[f"history.{part}"] = arrays.get("history", np.zeros((0, 0)))[row : row + len(names)]
            parts[part] = {"names": names, "values": f"history.{part}"}
            row += len(names)
    return {"unfinished": {}, **history, **parts}
