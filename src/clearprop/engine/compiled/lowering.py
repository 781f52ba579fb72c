"""From expression graphs to LLVM text: explicit vector instructions in a loop over rows and columns.

Every element is computed by the same vector instructions, so results do not depend on how rows or runs of elements are
divided among threads. A definition with sums or maxima along a row takes several passes over the
row: one for the values that each reduction needs, and a last one for the results. This module has the passes, and the
kernels of a run of parameters and of the numbers of a step; `row_kernels` has the kernels of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from clearprop.engine.compiled.builder import Emitter
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

    def __init__(self, graph: Graph, pointers: Sequence[str], outputs: Sequence[Output], apart: bool = False) -> None:
        super().__init__(graph)
        self.pointers, self.outputs, self.apart = pointers, outputs, apart
        self.nodes = ordered(output.value for output in outputs)
        self.scalars = step_values(self.nodes, [output.value for output in outputs])
        self.stage = stages(self.nodes)
        self.reductions = [node for node in self.nodes if node.op == "reduce"]
        stored = [output.value for output in outputs if not output.add]
        self.last = max([self.stage[id(x)] for x in stored] + [self.stage[id(x)] - 1 for x in self.reductions])
        self.kept = self._most_expensive()

    # ---------------------------------------------------------------------------------------------------------- plan
    def targets(self, number: int) -> list[Symbol]:
        """The values that a pass over the row computes."""
        needed = [node.args[0] for node in self.reductions if self.stage[id(node)] == number + 1]
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
    def slots(self) -> list[str]:
        """Memory for loop counters and running reductions, which LLVM promotes to registers."""
        vector = self.type(self.kind)
        return ["  %j = alloca i64"] + [f"  %running{i} = alloca {vector}" for i in range(len(self.reductions))]

    def _step_level(self) -> None:
        """What depends on the step alone, once per call: read from `scalars`, or computed from the number of units."""
        if "scalars" in self.pointers:
            for index, node in enumerate(self.scalars):
                address = self.emit(f"getelementptr double, ptr %scalars, i64 {index}")
                value = self.emit(f"load double, ptr {address}")
                self.names[id(node)] = self.emit(f"fptrunc double {value} to float") if node.kind == "float" else value
        else:
            for node in ordered(self.scalars):
                if node.op == "units":
                    self.names[id(node)] = self.emit("uitofp i64 %units to double")
                else:
                    self.compute(node)
        self.spreads = {id(node): self.spread(self.names[id(node)], node.kind) for node in self.scalars}

    def function(self, arguments: Sequence[str], body: Callable[[], None]) -> str:
        """The LLVM text of a function: its memory slots, the numbers of the step, and its body."""
        self._step_level()
        head, self.lines = self.lines, []
        body()
        return self.defined(", ".join(arguments), [*self.slots(), *head])

    def _columns(self, number: int, targets: list[Symbol]) -> None:
        """One pass over the columns of a row: whole vectors, and for a ragged run the rest under a mask."""
        vector = self.type(self.kind)
        for i, node in enumerate(self.reductions):
            if self.stage[id(node)] == number + 1:
                self.do(f"store {vector} {self.literal(NEUTRAL[node.extra], self.kind)}, ptr %running{i}")
        condition, body, end = self.label("columns"), self.label("column"), self.label("over")
        self.do("store i64 0, ptr %j")
        self.do(f"br label %{condition}")
        self.start(condition)
        self.j = self.emit("load i64, ptr %j")
        following = self.emit(f"add i64 {self.j}, {self.lanes}")
        more = f"icmp sle i64 {following}, %units" if self.ragged else f"icmp slt i64 {self.j}, %units"
        self.do(f"br i1 {self.emit(more)}, label %{body}, label %{end}")
        self.start(body)
        self._vector(number, targets, masked=False)
        self.do(f"store i64 {following}, ptr %j")
        self.do(f"br label %{condition}")
        self.start(end)
        if self.ragged:
            with self._only_if(f"icmp slt i64 {self.j}, %units"):
                self._vector(number, targets, masked=True)
        elif number == self.last:
            self._trim()

    @contextmanager
    def _only_if(self, comparison: str) -> Iterator[None]:
        """Code that runs only if a comparison holds."""
        inside, after = self.label("inside"), self.label("after")
        self.do(f"br i1 {self.emit(comparison)}, label %{inside}, label %{after}")
        self.start(inside)
        yield
        self.do(f"br label %{after}")
        self.start(after)

    def _trim(self) -> None:
        """Zeros in the padding of the results' last vector."""
        vector, whole = self.type(self.kind), self.type(INTEGERS[self.kind])
        with self._only_if(f"icmp sgt i64 {self.j}, %units"):
            self.j = self.emit(f"sub i64 {self.j}, {self.lanes}")
            self.offset = self.emit(f"add i64 {self.row_offset}, {self.j}")
            mask = self.emit(f"sext {self.type('i1')} {self._mask()} to {whole}")
            for output in self.outputs:
                if not output.add:
                    value = self._load(output.pointer, self.kind, "")
                    kept = self.emit(f"and {whole} {mask}, {self.emit(f'bitcast {vector} {value} to {whole}')}")
                    self._store(output.pointer, self.emit(f"bitcast {whole} {kept} to {vector}"), "")

    def _mask(self) -> str:
        """The lanes of real columns."""
        return self.first_lanes(self.emit(f"sub i64 %units, {self.j}"))

    def _vector(self, number: int, targets: list[Symbol], masked: bool) -> None:
        """The targets of a pass for one vector of columns."""
        at_hand = dict(self.names)
        self.offset = self.emit(f"add i64 {self.row_offset}, {self.j}")
        reducing = any(self.stage[id(node)] == number + 1 for node in self.reductions)
        mask = self._mask() if masked or (reducing and not self.ragged) else ""
        if self.kept and number > self.kept[0]:
            self.names[id(self.kept[1])] = self._load(self._scratch, self.kind, "")
        for node in ordered(targets, known=self.names):
            if node.level == ELEMENT:
                self._element(node, mask if masked else "")
        if self.kept and number == self.kept[0]:
            self._store(self._scratch, self.names[id(self.kept[1])], "")
        self._accumulate(number, mask)
        if number == self.last:
            for output in self.outputs:
                if not output.add:
                    self._store(output.pointer, self.operand(output.value, ELEMENT), mask if masked else "")
        self.names = at_hand

    @property
    def _scratch(self) -> str:
        return next(output.pointer for output in self.outputs if not output.add)

    def _accumulate(self, number: int, mask: str) -> None:
        vector = self.type(self.kind)
        for i, node in enumerate(self.reductions):
            if self.stage[id(node)] == number + 1:
                value = self.operand(node.args[0], ELEMENT)
                if mask:
                    neutral = self.literal(NEUTRAL[node.extra], self.kind)
                    value = self.emit(f"select {self.type('i1')} {mask}, {vector} {value}, {vector} {neutral}")
                running = self.emit(f"load {vector}, ptr %running{i}")
                self.do(f"store {vector} {self.combine(node.extra, running, value)}, ptr %running{i}")

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
        address = self.emit(f"getelementptr {kind}, ptr %{pointer}, i64 {self.offset}")
        return self.load(address, kind, mask)

    def _store(self, pointer: str, value: str, mask: str) -> None:
        address = self.emit(f"getelementptr {self.kind}, ptr %{pointer}, i64 {self.offset}")
        self.store(address, value, self.kind, mask)


class RunKernel(Columns):
    """A function over one run of `units` elements that may end anywhere, such as the parameters of a network."""

    ragged = True

    def text(self) -> str:
        """The LLVM text."""
        last = [p for p in self.pointers if p in ("scalars", "total")]
        arguments = [f"ptr %{p}" for p in self.pointers if p not in last] + ["i64 %units"]
        return self.function(arguments + [f"ptr %{p}" for p in last], self._body)

    def _body(self) -> None:
        self.row_offset = "0"
        for number in range(self.last + 1):
            targets = self.targets(number)
            for node in ordered(targets):
                if node.level == ROW:
                    self.compute(node)
            self._columns(number, targets)
            for i, node in enumerate(self.reductions):
                if self.stage[id(node)] == number + 1:
                    running = self.emit(f"load {self.type(self.kind)}, ptr %running{i}")
                    self.names[id(node)] = self.across(node.extra, running)
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
            self.do(f"store double {wide}, ptr {self.emit(f'getelementptr double, ptr %scalars, i64 {index}')}")
        return self.defined("double %rate, i64 %t, double %shrink, double %ridge, ptr %scalars")


def step_values(nodes: Iterable[Symbol], results: Iterable[Symbol]) -> list[Symbol]:
    """The numbers of one step that operations on arrays use or that are results, in a fixed order."""
    met = [x for node in nodes if node.level != STEP for x in node.args] + list(results)
    return list({id(x): x for x in met if x.level == STEP and x.op != "constant"}.values())
