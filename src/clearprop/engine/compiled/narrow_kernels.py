"""Kernels over the rows of narrow arrays: a vector holds one column of as many rows as it has lanes.

A row of three units fills three lanes of eight; three columns of eight rows fill all lanes of three vectors. And what
is reduced along a row is then a chain of whole vectors, with nothing to fold at its end.
"""

from __future__ import annotations

import math

from clearprop.engine.compiled.builder import LINE
from clearprop.engine.compiled.lowering import NEUTRAL
from clearprop.engine.compiled.row_kernels import RowKernel
from clearprop.symbolic.graph import ELEMENT, Symbol, ordered

#: Vectors of the widest row.
BLOCKS = 2


class NarrowKernel(RowKernel):
    """A function over the rows of arrays (rows, units) of at most BLOCKS vectors, that lie `stride` elements apart.

    A group of rows is brought into columns, all passes go over these, and the columns of results are brought back into
    rows. As no result is written before all inputs are read, they may overlap.
    """

    def text(self) -> str:
        """The LLVM text."""
        inputs = [node.extra for node in self.nodes if node.op == "input" and node.level == ELEMENT]
        self.inputs = list(dict.fromkeys(inputs))
        self.results = [output.pointer for output in self.outputs if not output.add]
        return super().text()

    def slots(self) -> list[str]:
        """Memory of the counters, and the columns of what is read, kept and written."""
        vector = self.type(self.kind)
        lines = [f"  %{counter} = alloca i64" for counter in ("n", "r", "j", "block")]
        lines += [f"  %running{i} = alloca {vector}" for i in range(len(self.reductions))]
        lines += [f"  %undefined{i} = alloca {self.type('i1')}" for i in range(len(self.reductions))]
        tables = [f"{name}.columns" for name in self.inputs] + [f"{name}.result" for name in self.results]
        for name in [*tables, *(["kept"] if self.kept else [])]:
            several = f"[{BLOCKS * self.lanes} x {vector}]"
            # Columns behind the last unit stay zero: the padding of results.
            lines += [f"  %{name} = alloca {several}", f"  store {several} zeroinitializer, ptr %{name}"]
        several = f"[{self.lanes} x {vector}]"
        return [*lines, f"  %rows.here = alloca {several}", f"  store {several} zeroinitializer, ptr %rows.here"]

    def _groups(self) -> None:
        with self.counting("n", "%rows", self.lanes) as self.n:
            self._begin_group()
            at_hand = dict(self.names)
            for name in self.inputs:
                self._transpose_in(name)
            for number in range(self.last + 1):
                self._pass(number)
            for name in self.results:
                self._transpose_out(name)
            for output in self.outputs:
                if output.add:
                    self._of_rows([output.value])
                    self._add(output)
            self.names = at_hand

    # ------------------------------------------------------------------------------------------------- rows and columns
    def _place(self, table: str, number: str) -> str:
        return self.emit(f"getelementptr {self.type(self.kind)}, ptr %{table}, i64 {number}")

    def _row_address(self, pointer: str, block: str) -> str:
        row = self.emit(f"mul i64 {self.emit(f'add i64 {self.n}, {self.r}')}, %stride")
        return self.emit(f"getelementptr {self.kind}, ptr %{pointer}, i64 {self.emit(f'add i64 {row}, {block}')}")

    def _transpose_in(self, name: str) -> None:
        vector = self.type(self.kind)
        with self.counting("block", "%units", self.lanes) as block:
            with self.counting("r", self.count_rows, 1) as self.r:
                row = self.load(self._row_address(name, block), self.kind)
                self.store(self._place("rows.here", self.r), row, self.kind)
            rows = [self.emit(f"load {vector}, ptr {self._place('rows.here', str(r))}") for r in range(self.lanes)]
            for lane, column in enumerate(self.transposed(rows)):
                place = self._place(f"{name}.columns", self.emit(f"add i64 {block}, {lane}"))
                self.do(f"store {vector} {column}, ptr {place}")

    def _transpose_out(self, name: str) -> None:
        vector = self.type(self.kind)
        with self.counting("block", "%units", self.lanes) as block:
            columns = []
            for lane in range(self.lanes):
                place = self._place(f"{name}.result", self.emit(f"add i64 {block}, {lane}"))
                columns.append(self.emit(f"load {vector}, ptr {place}"))
            for r, row in enumerate(self.transposed(columns)):
                self.do(f"store {vector} {row}, ptr {self._place('rows.here', str(r))}")
            with self.counting("r", self.count_rows, 1) as self.r:
                row = self.emit(f"load {vector}, ptr {self._place('rows.here', self.r)}")
                self.store(self._row_address(name, block), row, self.kind)

    # ------------------------------------------------------------------------------------------------------- the passes
    def _pass(self, number: int) -> None:
        """One pass over the columns, and what it reduces each row to."""
        targets, vector = self.targets(number), self.type(self.kind)
        self._of_rows(targets)
        reduced = [(i, node) for i, node in enumerate(self.reductions) if self.stage[id(node)] == number + 1]
        for i, node in reduced:
            self.do(f"store {vector} {self.literal(NEUTRAL[node.extra], self.kind)}, ptr %running{i}")
            self.do(f"store {self.type('i1')} zeroinitializer, ptr %undefined{i}")
        with self.counting("j", "%units", 1) as self.j:
            at_hand = dict(self.names)
            if self.kept and number > self.kept[0]:
                self.names[id(self.kept[1])] = self.emit(f"load {vector}, ptr {self._place('kept', self.j)}")
            for node in ordered(targets, known=self.names):
                if node.level == ELEMENT:
                    self._element(node, "")
            if self.kept and number == self.kept[0]:
                kept = self.names[id(self.kept[1])]
                self.do(f"store {vector} {kept}, ptr {self._place('kept', self.j)}")
            self._accumulate(number, "")
            for output in self.outputs if number == self.last else ():
                if not output.add:
                    value = self.operand(output.value, ELEMENT)
                    self.do(f"store {vector} {value}, ptr {self._place(f'{output.pointer}.result', self.j)}")
            self.names = at_hand
        for i, node in reduced:
            running, truth = self.emit(f"load {vector}, ptr %running{i}"), self.type("i1")
            if node.extra != "sum":
                undefined = self.emit(f"load {truth}, ptr %undefined{i}")
                nan = self.literal(math.nan, self.kind)
                running = self.emit(f"select {truth} {undefined}, {vector} {nan}, {vector} {running}")
            self.names[id(node)] = running

    def _accumulate(self, number: int, mask: str) -> None:
        """Add a column to sums; of the larger and smaller numbers, whether one was no number is found out apart.

        So the chain from column to column is one comparison, for which the processor has an instruction.
        """
        vector, truth = self.type(self.kind), self.type("i1")
        for i, node in enumerate(self.reductions):
            if self.stage[id(node)] != number + 1:
                continue
            value, running = self.operand(node.args[0], ELEMENT), self.emit(f"load {vector}, ptr %running{i}")
            if node.extra == "sum":
                better = self.combine("sum", running, value)
            else:
                before = self.emit(f"load {truth}, ptr %undefined{i}")
                undefined = self.emit(f"or {truth} {before}, {self.emit(f'fcmp uno {vector} {value}, {value}')}")
                self.do(f"store {truth} {undefined}, ptr %undefined{i}")
                wins = self.emit(f"fcmp {'ogt' if node.extra == 'max' else 'olt'} {vector} {value}, {running}")
                better = self.emit(f"select {truth} {wins}, {vector} {value}, {vector} {running}")
            self.do(f"store {vector} {better}, ptr %running{i}")

    def _element(self, node: Symbol, mask: str) -> None:
        if node.op == "input":
            place = self._place(f"{node.extra}.columns", self.j)
            self.names[id(node)] = self.emit(f"load {self.type(node.kind)}, ptr {place}")
        elif node.op == "column":
            number = self.emit(f"trunc i64 {self.j} to i32") if node.kind == "i32" else self.j
            self.names[id(node)] = self.spread(number, node.kind)
        else:
            self.compute(node)

    def _name_row(self, node: Symbol, name: str) -> None:
        self.names[id(node)] = name

    def of_row(self, node: Symbol) -> str:
        """The name of the rows' numbers, which have a lane each already."""
        return self.names[id(node)]


def is_narrow(units: int, bytes_of_a_number: int) -> bool:
    """Whether a row of so many units is quicker by columns."""
    return units <= BLOCKS * (LINE // bytes_of_a_number)
