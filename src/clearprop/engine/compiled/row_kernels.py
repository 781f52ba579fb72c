"""Kernels over rows: as many rows as a vector has lanes are processed together, as one group.

A value that each row has once (a maximum, a sum, its logarithm, a sample weight) is one vector for the group, with a
lane per row. So it is computed once for all rows of the group; a vector per row would hold one number in all lanes.
"""

from __future__ import annotations

from clearprop.engine.compiled.lowering import Columns, Output
from clearprop.symbolic.graph import ELEMENT, ROW, Symbol, ordered


class RowKernel(Columns):
    """A function over the rows of arrays (rows, units) that lie `stride` elements apart.

    Rows are padded to whole vectors; zeros are written to the padding of results, and values read from padding
    do not change any result.
    """

    def text(self) -> str:
        """The LLVM text."""
        self._allocate()
        return self.function(self._groups)

    def _allocate(self) -> None:
        """Memory for what each row of a group has one of."""
        taken = [x for node in self.nodes if node.level == ELEMENT for x in node.args]
        taken += [output.value for output in self.outputs if not output.add]
        rows = dict.fromkeys(node for node in taken if node.level == ROW and node.op != "constant")
        self.of_rows = {id(node): self.slot(self.type(_stored(node.kind))) for node in rows}  # for elements of the row
        self.sums = [self.slot(f"[{self.lanes} x {self.vector}]") for _ in self.reductions]
        for i in range(len(self.sums)):  # a group of few rows leaves some unwritten
            for r in range(self.lanes):
                self.do(f"store {self.vector} zeroinitializer, ptr {self._sum(i, r)}")

    def _groups(self) -> None:
        with self.loop(0, self.index("rows"), self.lanes) as self.n:
            left = self.index("rows") - self.n
            self.count_rows, self.rows_mask = left.at_most(self.lanes), self.first_lanes(left)
            values = dict(self.names)
            self._group()
            for output in self.outputs:
                if output.add:
                    self._compute_rows([output.value])
                    self._add(output)
            self.names = values

    def _group(self) -> None:
        """All passes over a group of rows."""
        for number in range(self.last + 1):
            targets = self.targets(number)
            self._compute_rows(targets)
            with self.loop(0, self.count_rows) as self.r:
                self.row_offset = (self.n + self.r) * self.index("stride")
                self._columns(number, targets)
                for i in self.reduced_by(number):
                    self.do(f"store {self.vector} {self.running[i].get()}, ptr {self._sum(i, self.r)}")
            for i in self.reduced_by(number):
                each = [self.emit(f"load {self.vector}, ptr {self._sum(i, r)}") for r in range(self.lanes)]
                self._name_row(self.reductions[i], self.of_each(self.reductions[i].extra, each))

    def _sum(self, i: int, r: object) -> str:
        return self.emit(f"getelementptr {self.vector}, ptr {self.sums[i].name}, i64 {r}")

    def _compute_rows(self, targets: list[Symbol]) -> None:
        """Compute what these values need of the rows as such, a lane per row."""
        for node in ordered(targets, known=self.names):
            if node.level == ROW and id(node) not in self.names and node.op != "constant":
                if node.op == "input":
                    address = self.at(f"%{node.extra}", self.n, node.kind)
                    self.names[id(node)] = self.load(address, node.kind, self.rows_mask)
                else:
                    self.compute(node)
                self._name_row(node, self.names[id(node)])

    def _name_row(self, node: Symbol, name: str) -> None:
        """Set the value of a number of the rows, and store it where elements of each row read it."""
        self.names[id(node)] = name
        if id(node) in self.of_rows:
            if node.kind == "i1":
                name = self.emit(f"zext {self.type('i1')} {name} to {self.type('i8')}")
            self.of_rows[id(node)].set(name)

    def of_row(self, node: Symbol) -> str:
        """A number of the present row, in every lane."""
        number = self.number(self.of_rows[id(node)].name, self.r, _stored(node.kind))
        return self.spread(self.emit(f"trunc i8 {number} to i1") if node.kind == "i1" else number, node.kind)

    def _add(self, output: Output) -> None:
        value, wide = self.operand(output.value, ROW), self.type("double")
        if self.kind == "float":
            value = self.emit(f"fpext {self.vector} {value} to {wide}")
        address = self.at(f"%{output.pointer}", self.n, "double")
        before = self.load(address, "double", self.rows_mask)
        self.store(address, self.emit(f"fadd {wide} {before}, {value}"), "double", self.rows_mask)


def _stored(kind: str) -> str:
    """The type in memory; a truth value takes a byte."""
    return "i8" if kind == "i1" else kind
