"""Kernels over the rows of narrow arrays: a vector holds one column of as many rows as it has lanes.

A row of three units fills three lanes of eight; three columns of eight rows fill all lanes of three vectors. A sum or
maximum along a row is then computed from whole vectors, and no vector has to be reduced to one number at the end.
"""

from __future__ import annotations

import math

from clearprop.engine.compiled.builder import Index, Slot
from clearprop.engine.compiled.lowering import NEUTRAL
from clearprop.engine.compiled.row_kernels import RowKernel
from clearprop.engine.compiled.vectors import LINE
from clearprop.symbolic.graph import ELEMENT, Symbol, ordered

#: Vectors of the widest row.
BLOCKS = 2


class NarrowKernel(RowKernel):
    """A function over the rows of arrays (rows, units) of at most BLOCKS vectors, that lie `stride` elements apart.

    A group of rows is transposed into columns, all passes go over these, and the columns of results are transposed back
    into rows. As no result is written before all inputs are read, they may overlap.
    """

    def _allocate(self) -> None:
        inputs = dict.fromkeys(node.extra for node in self.nodes if node.op == "input" and node.level == ELEMENT)
        most = BLOCKS * self.lanes
        self.columns = {name: self._table(most) for name in inputs}
        self.results = {output.pointer: self._table(most) for output in self.outputs if not output.add}
        self.kept_columns, self.rows_here = self._table(most if self.kept else 1), self._table(self.lanes)
        self.undefined = [self.slot(self.type("i1")) for _ in self.reductions]

    def _table(self, vectors: int) -> Slot:
        """Vectors, zero at first: columns behind the last unit stay so, and become the padding of results."""
        table = self.slot(f"[{vectors} x {self.vector}]")
        table.set("zeroinitializer")
        return table

    def _get(self, table: Slot, index: Index | int) -> str:
        return self.emit(f"load {self.vector}, ptr {self.at(table.name, index, self.vector)}")

    def _set(self, table: Slot, index: Index | int, value: str) -> None:
        self.do(f"store {self.vector} {value}, ptr {self.at(table.name, index, self.vector)}")

    def _group(self) -> None:
        """All passes over a group of rows."""
        for name in self.columns:
            self._read(name)
        for number in range(self.last + 1):
            self._pass(number)
        for name in self.results:
            self._write(name)

    def _row_address(self, pointer: str, r: Index, block: Index) -> str:
        return self.at(f"%{pointer}", (self.n + r) * self.index("stride") + block)

    def _read(self, name: str) -> None:
        """Transpose the rows of an input into columns."""
        with self.loop(0, self.units, self.lanes) as block:
            with self.loop(0, self.count_rows) as r:
                self._set(self.rows_here, r, self.load(self._row_address(name, r, block)))
            rows = [self._get(self.rows_here, r) for r in range(self.lanes)]
            for lane, column in enumerate(self.transposed(rows)):
                self._set(self.columns[name], block + lane, column)

    def _write(self, name: str) -> None:
        """Transpose the columns of a result into rows."""
        with self.loop(0, self.units, self.lanes) as block:
            columns = [self._get(self.results[name], block + lane) for lane in range(self.lanes)]
            for r, row in enumerate(self.transposed(columns)):
                self._set(self.rows_here, r, row)
            with self.loop(0, self.count_rows) as r:
                self.store(self._row_address(name, r, block), self._get(self.rows_here, r))

    def _pass(self, number: int) -> None:
        """One pass over the columns, and what it reduces each row to."""
        targets = self.targets(number)
        self._compute_rows(targets)
        for i in self.reduced_by(number):
            self.running[i].set(self.literal(NEUTRAL[self.reductions[i].extra], self.kind))
            self.undefined[i].set("zeroinitializer")
        with self.loop(0, self.units) as self.j:
            values = dict(self.names)
            if self.kept and number > self.kept[0]:
                self.names[id(self.kept[1])] = self._get(self.kept_columns, self.j)
            for node in ordered(targets, known=self.names):
                if node.level == ELEMENT:
                    self._element(node, "")
            if self.kept and number == self.kept[0]:
                self._set(self.kept_columns, self.j, self.names[id(self.kept[1])])
            self._accumulate(number, "")
            for output in self.outputs if number == self.last else ():
                if not output.add:
                    self._set(self.results[output.pointer], self.j, self.operand(output.value, ELEMENT))
            self.names = values
        for i in self.reduced_by(number):
            self.names[id(self.reductions[i])] = self._reduced(i)

    def _reduced(self, i: int) -> str:
        """The value of a reduction, from its running value."""
        running, truth = self.running[i].get(), self.type("i1")
        if self.reductions[i].extra == "sum":
            return running
        nan = self.literal(math.nan, self.kind)
        return self.emit(f"select {truth} {self.undefined[i].get()}, {self.vector} {nan}, {self.vector} {running}")

    def _accumulate(self, number: int, mask: str) -> None:
        """Add a column to the running reductions.

        A maximum or minimum is one comparison from column to column, for which the processor has an instruction:
        whether a value was NaN is recorded separately.
        """
        vector, truth = self.vector, self.type("i1")
        for i in self.reduced_by(number):
            node = self.reductions[i]
            value, running = self.operand(node.args[0], ELEMENT), self.running[i].get()
            if node.extra == "sum":
                better = self.combine("sum", running, value)
            else:
                unordered = self.emit(f"fcmp uno {vector} {value}, {value}")
                self.undefined[i].set(self.emit(f"or {truth} {self.undefined[i].get()}, {unordered}"))
                wins = self.emit(f"fcmp {'ogt' if node.extra == 'max' else 'olt'} {vector} {value}, {running}")
                better = self.emit(f"select {truth} {wins}, {vector} {value}, {vector} {running}")
            self.running[i].set(better)

    def _element(self, node: Symbol, mask: str) -> None:
        if node.op == "input":
            self.names[id(node)] = self._get(self.columns[node.extra], self.j)
        elif node.op == "column":
            number = self.emit(f"trunc i64 {self.j} to i32") if node.kind == "i32" else self.j
            self.names[id(node)] = self.spread(number, node.kind)
        else:
            self.compute(node)

    def _name_row(self, node: Symbol, name: str) -> None:
        self.names[id(node)] = name

    def of_row(self, node: Symbol) -> str:
        """The number of each row, which is in its lane already."""
        return self.names[id(node)]


def is_narrow(units: int, itemsize: int) -> bool:
    """Whether rows of so many units are processed faster by columns."""
    return units <= BLOCKS * (LINE // itemsize)
