"""LLVM text, an operation at a time: vectors of 64 bytes, and plain numbers for what depends on the step alone."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from clearprop.symbolic.graph import ELEMENT, ROW, STEP, Graph, Symbol
from clearprop.symbolic.primitives import FLOATS

BYTES = {"float": 4, "double": 8, "i32": 4, "i64": 8}
SHORT = {"float": "f32", "double": "f64", "i32": "i32", "i64": "i64"}
#: Bytes that one vector instruction of the text works on. LLVM splits it where the registers are narrower; the numbers
#: do not depend on that, and two chains of operations side by side keep the processor busy. A cache line has as
#: many, and memory is given out in such.
LINE = 64
#: What every kernel is called in its text.
KERNEL = "kernel"


class Emitter:
    """Emits the text of one LLVM function."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.kind = graph, graph.kind
        self.lanes = LINE // BYTES[graph.kind]
        self.lines: list[str] = []
        self.declared: dict[str, str] = {}
        self.names: dict[int, str] = {}  # of the nodes whose value is at hand, by id
        self.spreads: dict[int, str] = {}  # of the step's numbers, in every lane
        self.count = 0

    # ----------------------------------------------------------------------------------------------------- plain text
    def emit(self, instruction: str) -> str:
        """An instruction with a result, and the name of that result."""
        self.count += 1
        self.lines.append(f"  %v{self.count} = {instruction}")
        return f"%v{self.count}"

    def do(self, instruction: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {instruction}")

    def label(self, name: str) -> str:
        """A new label."""
        self.count += 1
        return f"{name}{self.count}"

    def start(self, label: str) -> None:
        """The block of this label begins here."""
        self.lines.append(f"{label}:")

    def declare(self, name: str, result: str, arguments: Iterable[str]) -> str:
        """An external function, by its name."""
        self.declared[name] = f"declare {result} @{name}({', '.join(arguments)})"
        return f"@{name}"

    def defined(self, arguments: str, slots: Iterable[str] = ()) -> str:
        """The text of the function whose lines have been emitted; `slots` make its memory."""
        head = f"define void @{KERNEL}({arguments}) {{"
        return "\n".join([*sorted(self.declared.values()), head, "entry:", *slots, *self.lines, "  ret void", "}", ""])

    @contextmanager
    def counting(self, counter: str, end: str, step: int) -> Iterator[str]:
        """A loop over 0, step, 2 step, ... below `end`, with its counter in memory; gives the name of its value."""
        condition, body, over = self.label(f"{counter}.more"), self.label(counter), self.label(f"{counter}.over")
        self.do(f"store i64 0, ptr %{counter}")
        self.do(f"br label %{condition}")
        self.start(condition)
        value = self.emit(f"load i64, ptr %{counter}")
        self.do(f"br i1 {self.emit(f'icmp slt i64 {value}, {end}')}, label %{body}, label %{over}")
        self.start(body)
        yield value
        self.do(f"store i64 {self.emit(f'add i64 {value}, {step}')}, ptr %{counter}")
        self.do(f"br label %{condition}")
        self.start(over)

    @property
    def lane_numbers(self) -> str:
        """0, 1, 2, ... in the lanes."""
        return f"<{', '.join(f'i32 {lane}' for lane in range(self.lanes))}>"

    def type(self, kind: str, level: int = ELEMENT) -> str:
        """The LLVM type of a value: a vector, except for what depends on the step alone."""
        return kind if level == STEP else f"<{self.lanes} x {kind}>"

    def literal(self, value: float, kind: str, level: int = ELEMENT) -> str:
        """A constant, in each lane."""
        text = f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}" if kind in FLOATS else str(int(value))
        text = ("true" if value else "false") if kind == "i1" else text
        return text if level == STEP else f"<{', '.join(f'{kind} {text}' for _ in range(self.lanes))}>"

    def spread(self, value: str, kind: str) -> str:
        """A number in every lane."""
        vector = self.type(kind)
        first = self.emit(f"insertelement {vector} poison, {kind} {value}, i32 0")
        return self.emit(f"shufflevector {vector} {first}, {vector} poison, <{self.lanes} x i32> zeroinitializer")

    def lane(self, value: str, kind: str, lane: int) -> str:
        """One lane of a vector."""
        return self.emit(f"extractelement {self.type(kind)} {value}, i32 {lane}")

    def gather(self, values: Sequence[str], kind: str) -> str:
        """A vector from a number for each lane."""
        vector = "poison"
        for lane, value in enumerate(values):
            vector = self.emit(f"insertelement {self.type(kind)} {vector}, {kind} {value}, i32 {lane}")
        return vector

    def first_lanes(self, count: str) -> str:
        """A mask of the first `count` lanes."""
        rest = self.spread(self.emit(f"trunc i64 {count} to i32"), "i32")
        return self.emit(f"icmp slt {self.type('i32')} {self.lane_numbers}, {rest}")

    def load(self, address: str, kind: str, mask: str = "") -> str:
        """A vector from memory; lanes that the mask leaves out are 0 and not read."""
        vector, size = self.type(kind), BYTES[kind]
        if not mask:
            return self.emit(f"load {vector}, ptr {address}, align {size}")
        function = self.declare(self._masked("load", kind), vector, ["ptr", "i32 immarg", self.type("i1"), vector])
        zero = f"{vector} zeroinitializer"
        return self.emit(f"call {vector} {function}(ptr {address}, i32 {size}, {self.type('i1')} {mask}, {zero})")

    def store(self, address: str, value: str, kind: str, mask: str = "") -> None:
        """A vector to memory; lanes that the mask leaves out are not written."""
        vector, size = self.type(kind), BYTES[kind]
        if not mask:
            self.do(f"store {vector} {value}, ptr {address}, align {size}")
            return
        function = self.declare(self._masked("store", kind), "void", [vector, "ptr", "i32 immarg", self.type("i1")])
        self.do(f"call void {function}({vector} {value}, ptr {address}, i32 {size}, {self.type('i1')} {mask})")

    def _masked(self, what: str, kind: str) -> str:
        return f"llvm.masked.{what}.v{self.lanes}{SHORT[kind]}.p0"

    # ----------------------------------------------------------------------------------------------------- operations
    def operand(self, node: Symbol, level: int) -> str:
        """The name of a node's value, spread over the lanes where a vector operation takes a step's or row's number."""
        if node.op == "constant":
            return self.literal(node.extra, node.kind, level)
        if node.level == STEP and level != STEP:
            return self.spreads[id(node)]
        return self.of_row(node) if node.level == ROW and level == ELEMENT else self.names[id(node)]

    def of_row(self, node: Symbol) -> str:
        """The name of a row's number in every lane."""
        return self.names[id(node)]

    def compute(self, node: Symbol) -> None:
        """Emit one operation whose operands are at hand."""
        if id(node) in self.names or node.op == "constant":
            return
        level, vector = node.level, self.type(node.kind, node.level)
        args = [self.operand(x, level) for x in node.args]
        types = [self.type(x.kind, level) for x in node.args]
        match node.op:
            case "same":
                name = args[0]
            case "select":
                name = self.emit(f"select {types[0]} {args[0]}, {types[1]} {args[1]}, {types[2]} {args[2]}")
            case "fcmp" | "icmp":
                name = self.emit(f"{node.op} {node.extra} {types[0]} {args[0]}, {args[1]}")
            case "sitofp" | "fpext" | "fptrunc" | "bitcast" | "trunc" | "sext":
                name = self.emit(f"{node.op} {types[0]} {args[0]} to {vector}")
            case "fneg":
                name = self.emit(f"fneg {vector} {args[0]}")
            case "intrinsic":
                name = self.emit(self._intrinsic(node, vector, args))
            case "library":
                name = self._library(node, level, args)
            case "rarely":
                name = self._rarely(node, level, args)
            case _:
                name = self.emit(f"{node.op} {vector} {args[0]}, {args[1]}")
        self.names[id(node)] = name

    def _intrinsic(self, node: Symbol, vector: str, args: list[str]) -> str:
        short = SHORT[node.kind]
        suffix = short if node.level == STEP else f"v{self.lanes}{short}"
        function = self.declare(f"llvm.{node.extra}.{suffix}", vector, [vector] * len(args))
        return f"call {vector} {function}({', '.join(f'{vector} {arg}' for arg in args)})"

    def _call(self, name: str, args: Sequence[str]) -> str:
        function = self.declare(name, "double", ["double"] * len(args))
        return self.emit(f"call double {function}({', '.join(f'double {arg}' for arg in args)})")

    def _library(self, node: Symbol, level: int, args: list[str]) -> str:
        """A C function in each lane."""
        if level == STEP:
            return self._call(node.extra, args)
        lanes = ([self.lane(arg, "double", lane) for arg in args] for lane in range(self.lanes))
        return self.gather([self._call(node.extra, lane) for lane in lanes], "double")

    def _rarely(self, node: Symbol, level: int, args: list[str]) -> str:
        """A branch that replaces the usual result by a C function's in the lanes where a condition holds."""
        condition, x, usual = args
        rare, done, before = self.label("rare"), self.label("done"), self.label("usual")
        vector, truth = self.type(node.kind, level), self.type("i1", level)
        any_lane = condition
        if level != STEP:
            reduce = self.declare(f"llvm.vector.reduce.or.v{self.lanes}i1", "i1", [truth])
            any_lane = self.emit(f"call i1 {reduce}({truth} {condition})")
        self.do(f"br label %{before}")
        self.start(before)
        self.do(f"br i1 {any_lane}, label %{rare}, label %{done}")
        self.start(rare)
        wide = self.emit(f"fpext {vector} {x} to {self.type('double', level)}") if node.kind == "float" else x
        slow = self._library(node, level, [wide])
        if node.kind == "float":
            slow = self.emit(f"fptrunc {self.type('double', level)} {slow} to {vector}")
        mended = self.emit(f"select {truth} {condition}, {vector} {slow}, {vector} {usual}")
        self.do(f"br label %{done}")
        self.start(done)
        return self.emit(f"phi {vector} [ {usual}, %{before} ], [ {mended}, %{rare} ]")

    def combine(self, operation: str, x: str, y: str) -> str:
        """x + y, or the larger or smaller of two vectors (NaN where either is)."""
        vector, truth = self.type(self.kind), self.type("i1")
        if operation == "sum":
            return self.emit(f"fadd {vector} {x}, {y}")
        better = self.emit(f"fcmp {'oge' if operation == 'max' else 'ole'} {vector} {x}, {y}")
        undefined = self.emit(f"fcmp uno {vector} {x}, {x}")
        choice = self.emit(f"or {truth} {better}, {undefined}")
        return self.emit(f"select {truth} {choice}, {vector} {x}, {vector} {y}")

    def exchange(self, x: str, y: str, step: int) -> tuple[str, str]:
        """Two vectors of which the lanes of y whose number has no bit `step` change places with those of x that have.

        So x keeps its lanes without that bit and y its lanes with it, and each goes where its number says.
        """
        vector = self.type(self.kind)
        lower = [lane if not lane & step else self.lanes + lane - step for lane in range(self.lanes)]
        upper = [lane + step if not lane & step else self.lanes + lane for lane in range(self.lanes)]
        first, second = (
            self.emit(f"shufflevector {vector} {x}, {vector} {y}, <{self.lanes} x i32> <{order}>")
            for order in (", ".join(f"i32 {lane}" for lane in order) for order in (lower, upper))
        )
        return first, second

    def of_each(self, operation: str, rows: list[str]) -> str:
        """The sum, max or min of each vector, that of the vector r in lane r: halves are folded, two vectors in one."""
        step = len(rows) // 2
        while step:
            rows = [
                self.combine(operation, *self.exchange(x, y, step))
                for x, y in zip(rows[:step], rows[step:], strict=True)
            ]
            step //= 2
        return rows[0]

    def transposed(self, rows: list[str]) -> list[str]:
        """As many vectors as there are lanes, with lane c of vector r in lane r of vector c."""
        step = self.lanes // 2
        while step:
            for r in range(self.lanes):
                if not r & step:
                    rows[r], rows[r + step] = self.exchange(rows[r], rows[r + step], step)
            step //= 2
        return rows

    def across(self, operation: str, x: str) -> str:
        """The sum, max or min of the lanes, in every lane."""
        step = self.lanes // 2
        while step:
            order = ", ".join(f"i32 {lane ^ step}" for lane in range(self.lanes))
            vector = self.type(self.kind)
            swapped = self.emit(f"shufflevector {vector} {x}, {vector} poison, <{self.lanes} x i32> <{order}>")
            x = self.combine(operation, x, swapped)
            step //= 2
        return x
