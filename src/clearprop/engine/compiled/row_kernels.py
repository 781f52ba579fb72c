"""Kernels over rows: as many rows as a vector has lanes are taken together.

What is one number a row (a maximum, a sum, its logarithm, a sample weight) is then one vector for the group, a lane a
row: it is computed once for all of them, where a vector per row would hold the same number in every lane.
"""

from __future__ import annotations

from clearprop.engine.compiled.lowering import Columns, Output
from clearprop.symbolic.graph import ELEMENT, ROW, Symbol, ordered


class RowKernel(Columns):
    """A function over the rows of arrays (rows, units) that lie `stride` elements apart.

    Rows are padded to whole vectors; zeros are written to the padding of results, and what is read from padding
    reaches no result.
    """

    def text(self) -> str:
        """The LLVM text."""
        taken = [x for node in self.nodes if node.level == ELEMENT for x in node.args]
        taken += [output.value for output in self.outputs if not output.add]
        rows = [node for node in taken if node.level == ROW and node.op != "constant"]
        self.spread_out = {id(node): place for place, node in enumerate(dict.fromkeys(rows))}
        self.kinds = [node.kind for node in dict.fromkeys(rows)]
        arguments = [f"ptr %{p}" for p in self.pointers] + ["i64 %rows", "i64 %units", "i64 %stride"]
        return self.function(arguments, self._groups)

    def slots(self) -> list[str]:
        """Memory of counters and sums, of the running reductions of each row, and of what rows have one number of."""
        vector, several = self.type(self.kind), f"[{self.lanes} x {self.type(self.kind)}]"
        lines = [*super().slots(), "  %n = alloca i64", "  %r = alloca i64"]
        lines += [f"  %row{place} = alloca {self.type(_kept(kind))}" for place, kind in enumerate(self.kinds)]
        for i in range(len(self.reductions)):
            lines.append(f"  %each{i} = alloca {several}")
            for r in range(self.lanes):  # a group of few rows leaves some as they were
                lines.append(f"  %each{i}.{r} = getelementptr {vector}, ptr %each{i}, i64 {r}")
                lines.append(f"  store {vector} zeroinitializer, ptr %each{i}.{r}")
        return lines

    def _groups(self) -> None:
        with self.counting("n", "%rows", self.lanes) as self.n:
            self._begin_group()
            at_hand = dict(self.names)
            for number in range(self.last + 1):
                self._pass(number)
            for output in self.outputs:
                if output.add:
                    self._of_rows([output.value])
                    self._add(output)
            self.names = at_hand

    def _begin_group(self) -> None:
        """How many rows the group has, and which lanes are theirs."""
        left = self.emit(f"sub i64 %rows, {self.n}")
        few = self.emit(f"icmp slt i64 {left}, {self.lanes}")
        self.count_rows = self.emit(f"select i1 {few}, i64 {left}, i64 {self.lanes}")
        self.rows_mask = self.first_lanes(left)

    def _pass(self, number: int) -> None:
        """One pass over the columns of each row, and what it reduces them to."""
        targets = self.targets(number)
        self._of_rows(targets)
        reduced = [i for i, node in enumerate(self.reductions) if self.stage[id(node)] == number + 1]
        vector = self.type(self.kind)
        with self.counting("r", self.count_rows, 1) as self.r:
            row = self.emit(f"add i64 {self.n}, {self.r}")
            self.row_offset = self.emit(f"mul i64 {row}, %stride")
            self._columns(number, targets)
            for i in reduced:
                running = self.emit(f"load {vector}, ptr %running{i}")
                self.do(
                    f"store {vector} {running}, ptr {self.emit(f'getelementptr {vector}, ptr %each{i}, i64 {self.r}')}"
                )
        for i in reduced:
            each = [self.emit(f"load {vector}, ptr %each{i}.{r}") for r in range(self.lanes)]
            self._name_row(self.reductions[i], self.of_each(self.reductions[i].extra, each))

    def _of_rows(self, targets: list[Symbol]) -> None:
        """What these values need of the rows as such, a lane a row."""
        for node in ordered(targets, known=self.names):
            if node.level == ROW and id(node) not in self.names and node.op != "constant":
                if node.op == "input":
                    address = self.emit(f"getelementptr {node.kind}, ptr %{node.extra}, i64 {self.n}")
                    self.names[id(node)] = self.load(address, node.kind, self.rows_mask)
                else:
                    self.compute(node)
                self._name_row(node, self.names[id(node)])

    def _name_row(self, node: Symbol, name: str) -> None:
        """Know a row's number by its name, and lay it out where elements of the row take it from."""
        self.names[id(node)] = name
        place = self.spread_out.get(id(node))
        if place is not None:
            if node.kind == "i1":
                name = self.emit(f"zext {self.type('i1')} {name} to {self.type('i8')}")
            self.do(f"store {self.type(_kept(node.kind))} {name}, ptr %row{place}")

    def of_row(self, node: Symbol) -> str:
        """The name of a row's number in every lane."""
        kind = _kept(node.kind)
        address = self.emit(f"getelementptr {kind}, ptr %row{self.spread_out[id(node)]}, i64 {self.r}")
        number = self.emit(f"load {kind}, ptr {address}")
        return self.spread(self.emit(f"trunc i8 {number} to i1") if node.kind == "i1" else number, node.kind)

    def _add(self, output: Output) -> None:
        value, wide = self.operand(output.value, ROW), self.type("double")
        if self.kind == "float":
            value = self.emit(f"fpext {self.type('float')} {value} to {wide}")
        address = self.emit(f"getelementptr double, ptr %{output.pointer}, i64 {self.n}")
        before = self.load(address, "double", self.rows_mask)
        self.store(address, self.emit(f"fadd {wide} {before}, {value}"), "double", self.rows_mask)


def _kept(kind: str) -> str:
    """The type in memory; a truth takes a byte."""
    return "i8" if kind == "i1" else kind
