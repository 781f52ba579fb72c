"""Files of earlier layouts, changed into what the present layout would hold, before anything is decoded.

Layout 1 had no digests, and all numbers of the history in JSON. Layout 2 had the history in one matrix, a version of
the encoding of a table, no names of arrays in its JSON data except for the patterns of wired connections, and other
names for the learning rate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clearprop.errors import ModelFileError
from clearprop.serialization.sealed import VERSION, Sections

#: Names that were changed with layout 3: fields of optimizers and schedules, and columns of the history.
RENAMED_FIELDS, RENAMED_COLUMNS = {"rate": "learning_rate"}, {"rate": "learning rate"}
_HISTORY_PARTS = ("columns", "delta_norms", "gradient_norms")


def upgraded(sections: Sections, kind: str) -> Sections:
    """The sections of a file as the present layout has them; ModelFileError where they are not what the older one held.

    >>> old = Sections(2, {"history": None, "encoding": None, "settings": {}}, {"parameters": np.zeros(2)})
    >>> upgraded(old, "model").head
    {'history': None, 'encoding': None, 'settings': {}, 'parameters': 'parameters'}
    """
    if sections.version == VERSION or kind != "model":
        return sections
    head, arrays = dict(sections.head), dict(sections.arrays)
    try:
        head["parameters"] = "parameters"
        if head["history"] is not None:
            head["history"] = _history(head["history"], arrays)
        if head["encoding"] is not None:
            head["encoding"] = _encoding(**head["encoding"])
        optimizer = head["settings"].get("optimizer")
        if isinstance(optimizer, dict):
            head["settings"] = head["settings"] | {"optimizer": _renamed(optimizer)}
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise ModelFileError(f"its data is not what layout {sections.version} of a {kind} file holds.") from None
    return Sections(VERSION, head, arrays)


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of an optimizer or a schedule by their present names."""
    return {
        RENAMED_FIELDS.get(name, name): _renamed(value) if isinstance(value, dict) else value
        for name, value in fields.items()
    }


def _encoding(version: int, columns: Any, **fields: Any) -> dict[str, Any]:
    """The encoding of a table by its present names."""
    if version != 1:
        raise KeyError("version")
    return {"encoders": columns, **fields}


def _history(history: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The history with a matrix for each of its parts in `arrays`; layout 1 has lists of numbers by name instead."""
    parts, row = {}, 0
    for part in _HISTORY_PARTS:
        names = [RENAMED_COLUMNS.get(name, name) for name in history[part]]
        if isinstance(history[part], dict):
            parts[part] = dict(zip(names, history[part].values(), strict=True))
        else:
            arrays[f"history.{part}"] = arrays.get("history", np.zeros((0, 0)))[row : row + len(names)]
            parts[part] = {"names": names, "values": f"history.{part}"}
            row += len(names)
    return {"unfinished": {}, **history, **parts}
