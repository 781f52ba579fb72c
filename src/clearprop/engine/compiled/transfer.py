"""Parameters between the flat vector, where they have names, and the panels, where they are fast."""

from __future__ import annotations

from clearprop.engine.compiled import records as at
from clearprop.engine.compiled.cache import compiled
from clearprop.engine.compiled.ffi import call_part
from clearprop.engine.compiled.records import memory_at, of_connection, of_layer, pointer


@compiled
def copy_in(flat, panels, table, panel):
    """Every W and b from the flat vector into panels."""
    for start, place, rows, columns, padded in table:
        for j in range(0, padded, panel):
            width = min(panel, padded - j)
            for r in range(rows):
                for i in range(min(width, columns - j)):
                    panels[place + j * rows + r * width + i] = flat[start + r * columns + j + i]


@compiled
def copy_out(flat, panels, table, panel):
    """Every W and b from the panels into the flat vector."""
    for start, place, rows, columns, padded in table:
        for j in range(0, padded, panel):
            width = min(panel, padded - j)
            for r in range(rows):
                for i in range(min(width, columns - j)):
                    flat[start + r * columns + j + i] = panels[place + j * rows + r * width + i]


@compiled
def read_parameters(table, work, flat, panels, copies):
    """The parameters into panels, with what is made of them."""
    m = memory_at(pointer(table), pointer(work))
    panel = m.numbers[at.PANEL]
    copy_in(flat, panels, copies, panel)
    for c in range(m.numbers[at.CONNECTION_COUNT]):
        if of_connection(m, c, at.KIND) == at.WIRED:
            call_part(m, at.EXPAND, c)
        elif of_connection(m, c, at.KIND) == at.DENSE and of_connection(m, c, at.W_T) != -1:
            inputs = of_layer(m, of_connection(m, c, at.SOURCE), at.UNITS)
            columns = of_layer(m, of_connection(m, c, at.LAYER), at.PADDED)
            for j in range(0, columns, panel):
                call_part(m, at.REFRESH, c, 0, inputs, j, min(panel, columns - j))
