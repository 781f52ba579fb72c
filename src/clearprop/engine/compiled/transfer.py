"""Copy parameters between the flat vector that users see and the panels that compiled code uses."""

from __future__ import annotations

from typing import Any

from clearprop.engine.compiled.cache import compiled
from clearprop.engine.compiled.ffi import call_part
from clearprop.engine.compiled.pointers import memory_at, pointer
from clearprop.engine.compiled.records import DENSE, NONE, WIRED, Memory


@compiled
def copy_in(flat: Any, panels: Any, blocks: Any, panel: int) -> None:
    """Copy each W and b from the flat vector into panels."""
    for start, offset, rows, columns, padded in blocks:
        for j in range(0, padded, panel):
            width = min(panel, padded - j)
            for r in range(rows):
                for i in range(min(width, columns - j)):
                    panels[offset + j * rows + r * width + i] = flat[start + r * columns + j + i]


@compiled
def copy_out(flat: Any, panels: Any, blocks: Any, panel: int) -> None:
    """Copy each W and b from the panels into the flat vector."""
    for start, offset, rows, columns, padded in blocks:
        for j in range(0, padded, panel):
            width = min(panel, padded - j)
            for r in range(rows):
                for i in range(min(width, columns - j)):
                    flat[start + r * columns + j + i] = panels[offset + j * rows + r * width + i]


@compiled
def load_parameters(table: Any, work: Any, flat: Any, panels: Any, blocks: Any) -> None:
    """Copy the parameters into panels, and compute what is derived from them."""
    m: Memory = memory_at(pointer(table), pointer(work))
    panel = m.layout.panel
    copy_in(flat, panels, blocks, panel)
    for c in range(m.layout.connection_count):
        connection = m.connections[c]
        if connection.kind == WIRED:
            call_part(m, m.code.expand, c)
        elif connection.kind == DENSE and connection.W_T != NONE:
            inputs, columns = m.layers[connection.source].units, m.layers[connection.layer].padded
            for j in range(0, columns, panel):
                call_part(m, m.code.refresh_transposed, c, 0, inputs, j, min(panel, columns - j))
