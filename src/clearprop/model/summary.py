"""A model as text: layers and connections, columns and their encoding, and how it was trained."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from clearprop.model.evaluation import readable
from clearprop.tables import TableEncoding
from clearprop.terminal import is_terminal, terminal_width, wrap

if TYPE_CHECKING:
    from clearprop.model.model import Model

_INDENT = 2
MOST_COLUMNS = 50
"""The most columns that a summary lists of those that are used, and of those that are left out."""


def format_model(model: Model) -> str:
    """Sections of plain text: target, network, columns, settings and history."""
    net = model.net
    sections = []
    if model.encoding is not None:
        encoding = model.encoding
        sections.append(f"predicts {', '.join(encoding.target_names)}: {encoding.task_reason}")
        if encoding.classes:
            sections[-1] += f"\n{len(encoding.classes)} classes: {', '.join(map(str, encoding.classes[:20]))}"
            sections[-1] += " ..." if len(encoding.classes) > 20 else ""
    frozen = net.parameter_count - net.trainable_count
    counts = f"{net.parameter_count:,} parameters in {model.params.dtype}" + (
        f", {frozen:,} of them frozen" if frozen else ""
    )
    sections.append(f"network: {counts}\n{_indent(str(net))}")
    if model.encoding is not None:
        sections.append("columns\n" + _indent(_format_columns(model.encoding)))
    if model.settings:
        rows = [(name.replace("_", " "), format_setting(value)) for name, value in model.settings.items()]
        sections.append("training\n" + _indent(columns(rows)))
    if model.history is not None and model.history.epochs:
        sections.append("history\n" + _indent(str(model.history)))
    text = "\n\n".join(sections)
    return wrap(text) if is_terminal() else text


def _format_columns(encoding: TableEncoding) -> str:
    """A line per column, at most `MOST_COLUMNS` of those that are used and of those that are left out."""
    notes = encoding.describe()
    used = [note for note in notes if note.kind != "left out"]
    left_out = notes[len(used) :]
    shown = [*used[:MOST_COLUMNS], *left_out[:MOST_COLUMNS]]
    lines = [(n.column, n.kind, str(n.inputs), n.description) for n in shown]
    text = columns([("column", "kind", "inputs", "encoding"), *lines])
    if len(shown) == len(notes):
        return text
    more = f"{len(used):,} columns are used and {len(left_out):,} are left out"
    return f"{text}\n{more}; model.encoding.describe() lists all of them."


def format_setting(value: Any) -> str:
    """A setting on one line: an object as a call, other fields by name, several with commas.

    >>> format_setting({"name": "adam", "learning_rate": 0.001})
    'adam(learning_rate=0.001)'
    """
    if isinstance(value, dict):
        fields = ", ".join(f"{key}={format_setting(item)}" for key, item in value.items() if key != "name")
        return f"{value['name']}({fields})" if "name" in value else fields
    if isinstance(value, list):
        return ", ".join(map(format_setting, value)) or "none"
    return readable(value) if isinstance(value, float) else str(value)


def columns(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of text in aligned columns; on a terminal, the last one is wrapped to its width.

    >>> print(columns([("a", "b"), ("long", "c")]))
    a     b
    long  c
    """
    listed = [tuple(cell if len(cell) <= 100 else cell[:99] + "…" for cell in row[:-1]) + row[-1:] for row in rows]
    widths = [max(len(row[i]) for row in listed) for i in range(len(listed[0]))]
    start = sum(widths[:-1]) + 2 * (len(widths) - 1)
    room = max(30, terminal_width() - start - _INDENT) if is_terminal() else sys.maxsize
    lines = []
    for row in listed:
        first, *others = textwrap.wrap(row[-1], room, break_long_words=False, break_on_hyphens=False) or [""]
        cells = [cell.ljust(w) for cell, w in zip(row[:-1], widths, strict=False)]
        lines += ["  ".join([*cells, first]).rstrip(), *(" " * start + other for other in others)]
    return "\n".join(lines)


def _indent(text: str) -> str:
    return "\n".join(" " * _INDENT + line for line in text.splitlines())
