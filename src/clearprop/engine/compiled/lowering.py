"""From expression graphs to LLVM text: explicit vector instructions in a loop over rows and columns.

Every element is computed by the same vector instructions, so results do not depend on how rows or ranges of elements
are divided among threads. A definition with sums or maxima along a row takes several passes over the row: one for the
values that each reduction needs, and a last one for the results. This module has the passes, and the kernels of a range
of parameters and of the scalars of a step; `row_kernels` has the kernels of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from clearprop.engine.compiled.builder import Emitter, Index
from clearprop.engine.compiled.ffi import parameters
from clearprop.symbolic.graph import ELEMENT, INTEGER, ROW, STEP, Graph, Symbol, ordered
from clearprop.symbolic.operations import INSTRUCTIONS, OPERATIONS, REDUCTIONS
from clearprop.symbolic.primitives import INTEGERS, constant, convert

#: A value of more operations than this is stored between two passes over a row instead of being computed again.
EXPENSIVE = 8
#: Where the running sum, max or min of a row starts.
NEUTRAL = {"sum": -0.0, "max": float("-inf"), "min": float("inf")}


class Lowering:
    """Instructions of an expression graph, in the order of its nodes, by the column `machine` of the table."""

    def __init__(self, traced: Graph) -> None:
        self.traced, self.graph = traced, Graph(traced.dtype, INSTRUCTIONS)
        self._lowered: list[Any] = []  # by the index of the node; constants are plain numbers

    def __call__(self, node: Symbol) -> Symbol:
        """The value of a node in the precision of the kernel."""
        for each in islice(self.traced.nodes.values(), len(self._lowered), None):
            self._lowered.append(self._lower(each))
        value, kind = self._lowered[node.index], self.graph.kind
        return convert(value, kind) if isinstance(value, Symbol) else constant(self.graph, value, kind)

    def _lower(self, node: Symbol) -> Any:
        graph = self.graph
        if node.op == "constant":
            return node.extra
        if node.op == "input" and node.kind == INTEGER:
            return convert(graph.node("input", (), "i64", node.extra, node.level, node.flat), INTEGERS[graph.kind])
        if node.op == "input":
            kind = graph.kind if node.level else "double"
            return graph.node("input", (), kind, node.extra, node.level, node.flat)
        operation, args = OPERATIONS[node.op], [self._lowered[x.index] for x in node.args]
        if node.op in REDUCTIONS:
            return operation.machine(*args, flat=node.flat)
        return operation.machine(*args or [graph])


@dataclass(frozen=True)
class Output:
    """A result: stored into an array (n, u), or with `add` added to a double precision array (n,)."""

    pointer: str
    value: Symbol
    add: bool = False


def stages(nodes: Iterable[Symbol]) -> dict[int, int]:
    """How many passes over the row each node has to wait for; the nodes are sorted, operands first."""
    stage: dict[int, int] = {}
    for node in nodes:
        before = max((stage[id(x)] for x in node.args), default=0)
        stage[id(node)] = before + (node.op == "reduce")
    return stage


class Columns(Emitter):
    """The passes over the columns of one row of arrays.

    A row is padded to whole vectors, unless it is `ragged`. With `apart` no result overlaps an input.
    """

    ragged = False
    row_offset: Index  # of the row that is computed, in all arrays

    def __init__(self, graph: Graph, signature: str, outputs: Sequence[Output], apart: bool = False) -> None:
        super().__init__(graph)
        self.signature, self.outputs, self.apart = signature, outputs, apart
        self.units = self.index("units")
        self.nodes = ordered(output.value for output in outputs)
        self.scalars = step_values(self.nodes, [output.value for output in outputs])
        self.stage = stages(self.nodes)
        self.reductions = [node for node in self.nodes if node.op == "reduce"]
        stored = [output.value for output in outputs if not output.add]
        self.last = max([self.stage[id(x)] for x in stored] + [self.stage[id(x)] - 1 for x in self.reductions])
        self.kept = self._most_expensive()
        self.running = [self.slot(self.vector) for _ in self.reductions]

    # ---------------------------------------------------------------------------------------------------------- plan
    def targets(self, number: int) -> list[Symbol]:
        """The values that a pass over the row computes."""
        needed = [self.reductions[i].args[0] for i in self.reduced_by(number)]
        if number == self.last:
            needed += [output.value for output in self.outputs if not output.add]
        return needed

    def _most_expensive(self) -> tuple[int, Symbol] | None:
        """The most expensive value that a later pass needs again, and the pass that computes it.

        It is stored in the row of the first result. Unless results are `apart`, that may be the row of an input, so no
        later pass may read one.
        """
        best, cost = None, EXPENSIVE
        for number in range(self.last if any(not output.add for output in self.outputs) else 0):
            later = [target for n in range(number + 1, self.last + 1) for target in self.targets(n)]
            again = {id(node) for node in ordered(later)}
            for node in ordered(self.targets(number)):
                rest = ordered(later, known=[id(node)])
                inside = sum(x.level == ELEMENT for x in ordered([node]))
                reads = not self.apart and any(x.op == "input" and x.level == ELEMENT for x in rest)
                if id(node) in again and node.kind == self.kind and inside > cost and not reads:
                    best, cost = (number, node), inside
        return best

    # ------------------------------------------------------------------------------------------------------ emission
    def _step_level(self) -> None:
        """What depends on the step alone, once per call: read from `scalars`, or computed from the number of units."""
        if "scalars" in parameters(self.signature):
            for index, node in enumerate(self.scalars):
                value = self.number("%scalars", index, "double")
                self.names[id(node)] = self.emit(f"fptrunc double {value} to float") if node.kind == "float" else value
        else:
            for node in ordered(self.scalars):
                if node.op == "units":
                    self.names[id(node)] = self.emit("uitofp i64 %units to double")
                else:
                    self.compute(node)
        self.spreads = {id(node): self.spread(self.names[id(node)], node.kind) for node in self.scalars}

    def function(self, body: Callable[[], None]) -> str:
        """The LLVM text of a function: the numbers of the step, and its body."""
        self._step_level()
        self.last_vector = self.units // self.lanes * self.lanes  # where the last one starts that is not full
        body()
        return self.defined(self.signature)

    def reduced_by(self, number: int) -> list[int]:
        """Indices of the reductions that a pass over the row computes."""
        return [i for i, node in enumerate(self.reductions) if self.stage[id(node)] == number + 1]

    def _columns(self, number: int, targets: list[Symbol]) -> None:
        """One pass over the columns of a row: whole vectors, and for a ragged row the rest under a mask."""
        for i in self.reduced_by(number):
            self.running[i].set(self.literal(NEUTRAL[self.reductions[i].extra], self.kind))
        if self.ragged:
            self.in_vectors(self.units, lambda j, mask: self._vector(number, targets, j, mask))
            return
        with self.loop(0, self.units, self.lanes) as j:
            self._vector(number, targets, j, "")
        if number == self.last:
            self._trim()

    def _trim(self) -> None:
        """Zeros in the padding of the results' last vector."""
        vector, whole = self.vector, self.type(INTEGERS[self.kind])
        j = self.last_vector
        with self.only_if(j.compare("slt", self.units)):
            self.offset = self.row_offset + j
            mask = self.emit(f"sext {self.type('i1')} {self.first_lanes(self.units - j)} to {whole}")
            for output in self.outputs:
                if not output.add:
                    value = self._load(output.pointer, self.kind, "")
                    kept = self.emit(f"and {whole} {mask}, {self.emit(f'bitcast {vector} {value} to {whole}')}")
                    self._store(output.pointer, self.emit(f"bitcast {whole} {kept} to {vector}"), "")

    def _vector(self, number: int, targets: list[Symbol], j: Index, mask: str) -> None:
        """The targets of a pass for one vector of columns, from column j on."""
        at_hand = dict(self.names)
        self.j, self.offset = j, self.row_offset + j
        if self.kept and number > self.kept[0]:
            self.names[id(self.kept[1])] = self._load(self._scratch, self.kind, "")
        for node in ordered(targets, known=self.names):
            if node.level == ELEMENT:
                self._element(node, mask)
        if self.kept and number == self.kept[0]:
            self._store(self._scratch, self.names[id(self.kept[1])], "")
        padded = bool(self.reduced_by(number)) and not self.ragged
        self._accumulate(number, self.first_lanes(self.units - j) if padded else mask)
        if number == self.last:
            for output in self.outputs:
                if not output.add:
                    self._store(output.pointer, self.operand(output.value, ELEMENT), mask)
        self.names = at_hand

    @property
    def _scratch(self) -> str:
        return next(output.pointer for output in self.outputs if not output.add)

    def _accumulate(self, number: int, mask: str) -> None:
        vector = self.vector
        for i in self.reduced_by(number):
            node = self.reductions[i]
            value = self.operand(node.args[0], ELEMENT)
            if mask:
                neutral = self.literal(NEUTRAL[node.extra], self.kind)
                value = self.emit(f"select {self.type('i1')} {mask}, {vector} {value}, {vector} {neutral}")
            self.running[i].set(self.combine(node.extra, self.running[i].get(), value))

    def _element(self, node: Symbol, mask: str) -> None:
        if node.op == "input":
            self.names[id(node)] = self._load(node.extra, node.kind, mask)
        elif node.op == "column":
            start = self.spread(self.emit(f"trunc i64 {self.j} to i32"), "i32")
            place = self.emit(f"add {self.type('i32')} {start}, {self.lane_numbers}")
            wide = f"sext {self.type('i32')} {place} to {self.type('i64')}"
            self.names[id(node)] = place if node.kind == "i32" else self.emit(wide)
        else:
            self.compute(node)

    def _load(self, pointer: str, kind: str, mask: str) -> str:
        return self.load(self.at(f"%{pointer}", self.offset, kind), kind, mask)

    def _store(self, pointer: str, value: str, mask: str) -> None:
        self.store(self.at(f"%{pointer}", self.offset), value, self.kind, mask)


class RunKernel(Columns):
    """A function over one range of `units` elements of any length, such as the parameters of a network."""

    ragged = True

    def text(self) -> str:
        """The LLVM text."""
        return self.function(self._body)

    def _body(self) -> None:
        self.row_offset = self.index(0)
        for number in range(self.last + 1):
            targets = self.targets(number)
            for node in ordered(targets):
                if node.level == ROW:
                    self.compute(node)
            self._columns(number, targets)
            for i in self.reduced_by(number):
                node = self.reductions[i]
                self.names[id(node)] = self.across(node.extra, self.running[i].get())
        for output in self.outputs:
            if output.add:
                self._add(output)

    def _add(self, output: Output) -> None:
        for node in ordered([output.value]):
            if node.level == ROW:
                self.compute(node)
        value = self.lane(self.operand(output.value, ROW), self.kind, 0)
        if self.kind == "float":
            value = self.emit(f"fpext float {value} to double")
        total = self.emit(f"fadd double {self.emit(f'load double, ptr %{output.pointer}')}, {value}")
        self.do(f"store double {total}, ptr %{output.pointer}")


class StepKernel(Emitter):
    """A function that computes the numbers of one step.

    Its arguments are the learning rate, the number t of the step, the factor by which weights shrink, and the strength
    of the penalty of the batch (ridge).
    """

    def text(self, values: Sequence[Symbol]) -> str:
        """The LLVM text; value k goes to scalars[k]."""
        for node in ordered(values):
            if node.op == "input":
                self.names[id(node)] = f"%{node.extra}" if node.extra != "t" else self.emit("sitofp i64 %t to double")
            else:
                self.compute(node)
        for index, node in enumerate(values):
            value = self.operand(node, STEP)
            wide = self.emit(f"fpext float {value} to double") if node.kind == "float" else value
            self.do(f"store double {wide}, ptr {self.at('%scalars', index, 'double')}")
        return self.defined("prepare")


def step_values(nodes: Iterable[Symbol], results: Iterable[Symbol]) -> list[Symbol]:
    """The numbers of one step that operations on arrays use or that are results, in a fixed order."""
    met = [x for node in nodes if node.level != STEP for x in node.args] + list(results)
    return list({id(x): x for x in met if x.level == STEP and x.op != "constant"}.values())
