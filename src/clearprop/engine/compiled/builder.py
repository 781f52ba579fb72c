"""The one builder of LLVM code: it writes the text of a function, one instruction at a time.

`Builder` has the idioms that all kernels share (loops, vectors in memory, broadcasts, fused multiply-adds, transposes);
`Emitter` adds the operations of a traced definition. It writes text because compiled code is stored under the hash of
its text, and because text is built much faster than an object for each instruction.

Values are the names of LLVM values (`%v7`) or literals. Whole numbers (i64) are `Index` objects instead, so that
addresses and loop bounds are written with Python's operators.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from clearprop.engine.compiled.ffi import SIGNATURES
from clearprop.engine.compiled.vectors import LINE
from clearprop.symbolic.graph import ELEMENT, ROW, STEP, Graph, Symbol
from clearprop.symbolic.primitives import FLOATS

#: LLVM's names of the two precisions, and of sizes and suffixes of types.
KINDS = {"float32": "float", "float64": "double"}
BYTES = {"float": 4, "double": 8, "i32": 4, "i64": 8}
SHORT = {"float": "f32", "double": "f64", "i32": "i32", "i64": "i64"}
#: The name of every kernel in its text.
KERNEL = "kernel"


class Index:
    """An i64 value; operators emit instructions, `str` gives its name."""

    __slots__ = ("builder", "name")

    def __init__(self, builder: Builder, name: str) -> None:
        self.builder, self.name = builder, name

    def __str__(self) -> str:
        return self.name

    def _apply(self, operation: str, other: Index | int) -> Index:
        return Index(self.builder, self.builder.emit(f"{operation} i64 {self}, {other}"))

    def __add__(self, other: Index | int) -> Index:
        return self if other == 0 else self._apply("add", other)

    def __sub__(self, other: Index | int) -> Index:
        return self._apply("sub", other)

    def __mul__(self, other: Index | int) -> Index:
        return self if other == 1 else self._apply("mul", other)

    def __floordiv__(self, other: Index | int) -> Index:
        return self._apply("sdiv", other)

    def compare(self, predicate: str, other: Index | int) -> str:
        """The i1 value of a comparison, such as "slt" for signed less-than."""
        return self.builder.emit(f"icmp {predicate} i64 {self}, {other}")

    def at_most(self, other: Index | int) -> Index:
        """The smaller of two numbers."""
        return self.builder.choose(self.compare("slt", other), self, other)


class Slot:
    """A variable of the function: memory that LLVM turns into a register."""

    __slots__ = ("builder", "name", "type")

    def __init__(self, builder: Builder, kind: str, name: str) -> None:
        self.builder, self.type, self.name = builder, kind, name

    def get(self) -> str:
        """The present value."""
        return self.builder.emit(f"load {self.type}, ptr {self.name}")

    def set(self, value: str | Index | int) -> None:
        """Replace the value."""
        self.builder.do(f"store {self.type} {value}, ptr {self.name}")


class Builder:
    """The text of one LLVM function whose vectors hold `kind` ("float" or "double") in `size` bytes.

    LLVM splits vectors where the registers are narrower. The numbers do not depend on that, and two chains of
    operations side by side keep the processor busy, so most kernels use vectors of a cache line on every machine.
    """

    def __init__(self, kind: str, size: int = LINE) -> None:
        self.kind, self.lanes = kind, size // BYTES[kind]
        self.vector = self.type(kind)
        self.lines: list[str] = []
        self.allocas: list[str] = []
        self.declared: dict[str, str] = {}
        self.exits: list[str] = []  # labels behind the loops that are open
        self.count = 0

    # ----------------------------------------------------------------------------------------------------------- text
    def emit(self, instruction: str) -> str:
        """Emit an instruction with a result; returns the name of the result."""
        self.count += 1
        self.lines.append(f"  %v{self.count} = {instruction}")
        return f"%v{self.count}"

    def do(self, instruction: str) -> None:
        """Emit an instruction without a result."""
        self.lines.append(f"  {instruction}")

    def label(self, name: str) -> str:
        """A new label."""
        self.count += 1
        return f"{name}{self.count}"

    def start(self, label: str) -> None:
        """Begin the block of this label."""
        self.lines.append(f"{label}:")

    def call(self, name: str, result: str, arguments: Sequence[tuple[str, object]]) -> str:
        """Declare and call a function with (type, value) pairs; returns its result ("" for void)."""
        self.declared[name] = f"declare {result} @{name}({', '.join(kind for kind, _ in arguments)})"
        values = ", ".join(f"{kind.removesuffix(' immarg')} {value}" for kind, value in arguments)
        instruction = f"call {result} @{name}({values})"
        return self.emit(instruction) if result != "void" else self.do(instruction) or ""

    def slot(self, kind: str) -> Slot:
        """A new variable of an LLVM type."""
        self.allocas.append(f"  %s{len(self.allocas)} = alloca {kind}")
        return Slot(self, kind, f"%s{len(self.allocas) - 1}")

    def defined(self, signature: str, head: Sequence[str] = ()) -> str:
        """The text of a function with a signature of `ffi.SIGNATURES`; `head` comes before the emitted lines."""
        arguments = ", ".join(f"{kind} %{name}" for kind, name in SIGNATURES[signature])
        top = f"define void @{KERNEL}({arguments}) {{"
        body = ["entry:", *self.allocas, *head, *self.lines, "  ret void", "}", ""]
        return "\n".join([*sorted(self.declared.values()), top, *body])

    # --------------------------------------------------------------------------------------------------- control flow
    @contextmanager
    def loop(self, start: Index | int, end: Index | int, step: Index | int = 1) -> Iterator[Index]:
        """A loop over start, start + step, ... below `end`."""
        body, over, counter = self.label("loop"), self.label("over"), self.slot("i64")
        counter.set(start)
        self.do(f"br i1 {self.emit(f'icmp slt i64 {start}, {end}')}, label %{body}, label %{over}")
        self.start(body)
        value = Index(self, counter.get())
        self.exits.append(over)
        yield value
        self.exits.pop()
        following = value + step
        counter.set(following)
        self.do(f"br i1 {following.compare('slt', end)}, label %{body}, label %{over}")
        self.start(over)

    @contextmanager
    def repeat(self) -> Iterator[None]:
        """A loop that ends by `leave_if`."""
        body, over = self.label("repeat"), self.label("over")
        self.do(f"br label %{body}")
        self.start(body)
        self.exits.append(over)
        yield
        self.exits.pop()
        self.do(f"br label %{body}")
        self.start(over)

    def leave_if(self, condition: str) -> None:
        """Leave the innermost loop where a condition holds."""
        stay = self.label("stay")
        self.do(f"br i1 {condition}, label %{self.exits[-1]}, label %{stay}")
        self.start(stay)

    @contextmanager
    def only_if(self, condition: str) -> Iterator[None]:
        """Run what is emitted inside only where a condition holds."""
        inside, after = self.label("inside"), self.label("after")
        self.do(f"br i1 {condition}, label %{inside}, label %{after}")
        self.start(inside)
        yield
        self.do(f"br label %{after}")
        self.start(after)

    def switch(self, value: Index, cases: Sequence[int]) -> Iterator[int]:
        """Emit a block for each value, in a for loop over the cases; any other value is impossible."""
        labels, wrong, after = [self.label("case") for _ in cases], self.label("impossible"), self.label("after")
        targets = " ".join(f"i64 {case}, label %{label}" for case, label in zip(cases, labels, strict=True))
        self.do(f"switch i64 {value}, label %{wrong} [ {targets} ]")
        for case, label in zip(cases, labels, strict=True):
            self.start(label)
            yield case
            self.do(f"br label %{after}")
        self.start(wrong)
        self.do("unreachable")
        self.start(after)

    def in_vectors(self, count: Index | int, body: Callable[[Index, str], None]) -> None:
        """Emit body(offset, mask) for the whole vectors of `count` elements, with no mask, and for the masked rest."""
        whole = self.index(count) // self.lanes * self.lanes
        with self.loop(0, whole, self.lanes) as offset:
            body(offset, "")
        rest = self.index(count) - whole
        with self.only_if(rest.compare("sgt", 0)):
            body(whole, self.first_lanes(rest))

    # -------------------------------------------------------------------------------------------------- whole numbers
    def index(self, value: Index | int | str) -> Index:
        """A whole number as an `Index`: a value or, by its name, an argument of the function."""
        return value if isinstance(value, Index) else Index(self, f"%{value}" if isinstance(value, str) else str(value))

    def choose(self, condition: str, x: Index | int, y: Index | int) -> Index:
        """The whole number x where a condition holds, else y."""
        return Index(self, self.emit(f"select i1 {condition}, i64 {x}, i64 {y}"))

    def choose_pointer(self, condition: str, x: str, y: str) -> str:
        """The pointer x where a condition holds, else y."""
        return self.emit(f"select i1 {condition}, ptr {x}, ptr {y}")

    # ------------------------------------------------------------------------------------------------------- memory
    def at(self, pointer: str, index: Index | int, kind: str = "") -> str:
        """The address of an element of an array."""
        return self.emit(f"getelementptr {kind or self.kind}, ptr {pointer}, i64 {index}")

    def number(self, pointer: str, index: Index | int, kind: str = "") -> str:
        """One element of an array."""
        kind = kind or self.kind
        return self.emit(f"load {kind}, ptr {self.at(pointer, index, kind)}")

    def whole(self, pointer: str, index: Index | int) -> Index:
        """One element of an array of i64."""
        return Index(self, self.number(pointer, index, "i64"))

    def load(self, address: str, kind: str = "", mask: str = "") -> str:
        """A vector from memory; lanes outside the mask are 0 and not read."""
        kind = kind or self.kind
        vector = self.type(kind)
        if not mask:
            return self.emit(f"load {vector}, ptr {address}, align {BYTES[kind]}")
        given = (("ptr", address), ("i32 immarg", BYTES[kind]), (self.type("i1"), mask), (vector, "zeroinitializer"))
        return self.call(f"llvm.masked.load.v{self.lanes}{SHORT[kind]}.p0", vector, given)

    def store(self, address: str, value: str, kind: str = "", mask: str = "") -> None:
        """A vector to memory; lanes outside the mask are not written."""
        kind = kind or self.kind
        vector = self.type(kind)
        if not mask:
            self.do(f"store {vector} {value}, ptr {address}, align {BYTES[kind]}")
            return
        given = ((vector, value), ("ptr", address), ("i32 immarg", BYTES[kind]), (self.type("i1"), mask))
        self.call(f"llvm.masked.store.v{self.lanes}{SHORT[kind]}.p0", "void", given)

    # -------------------------------------------------------------------------------------------------------- vectors
    def type(self, kind: str, level: int = ELEMENT) -> str:
        """The LLVM type of a value: a vector, except for what depends on the step alone."""
        return kind if level == STEP else f"<{self.lanes} x {kind}>"

    def literal(self, value: float, kind: str, level: int = ELEMENT) -> str:
        """A constant, in each lane."""
        text = f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}" if kind in FLOATS else str(int(value))
        text = ("true" if value else "false") if kind == "i1" else text
        return text if level == STEP else f"<{', '.join(f'{kind} {text}' for _ in range(self.lanes))}>"

    def spread(self, value: str | Index, kind: str = "") -> str:
        """A number in every lane."""
        kind = kind or self.kind
        first = self.emit(f"insertelement {self.type(kind)} poison, {kind} {value}, i32 0")
        return self.shuffle(first, "poison", [0] * self.lanes, kind)

    def shuffle(self, x: str, y: str, order: Sequence[int], kind: str = "") -> str:
        """The lanes of two vectors, those of x counted first, in an order."""
        vector, lanes = self.type(kind or self.kind), ", ".join(f"i32 {lane}" for lane in order)
        return self.emit(f"shufflevector {vector} {x}, {vector} {y}, <{self.lanes} x i32> <{lanes}>")

    def lane(self, value: str, kind: str, lane: int) -> str:
        """One lane of a vector."""
        return self.emit(f"extractelement {self.type(kind)} {value}, i32 {lane}")

    @property
    def lane_numbers(self) -> str:
        """0, 1, 2, ... in the lanes."""
        return f"<{', '.join(f'i32 {lane}' for lane in range(self.lanes))}>"

    def first_lanes(self, count: str | Index) -> str:
        """A mask of the first `count` lanes."""
        rest = self.spread(self.emit(f"trunc i64 {count} to i32"), "i32")
        return self.emit(f"icmp slt {self.type('i32')} {self.lane_numbers}, {rest}")

    def fma(self, x: str, y: str, z: str) -> str:
        """x y + z with one rounding."""
        return self.intrinsic("fma", self.kind, [x, y, z])

    def intrinsic(self, name: str, kind: str, args: Sequence[str], level: int = ELEMENT) -> str:
        """An LLVM intrinsic whose operands and result have one type."""
        vector, suffix = self.type(kind, level), SHORT[kind] if level == STEP else f"v{self.lanes}{SHORT[kind]}"
        return self.call(f"llvm.{name}.{suffix}", vector, [(vector, arg) for arg in args])

    def combine(self, operation: str, x: str, y: str) -> str:
        """x + y, or the larger or smaller of two vectors (NaN where either is)."""
        vector, truth = self.vector, self.type("i1")
        if operation == "sum":
            return self.emit(f"fadd {vector} {x}, {y}")
        better = self.emit(f"fcmp {'oge' if operation == 'max' else 'ole'} {vector} {x}, {y}")
        undefined = self.emit(f"fcmp uno {vector} {x}, {x}")
        choice = self.emit(f"or {truth} {better}, {undefined}")
        return self.emit(f"select {truth} {choice}, {vector} {x}, {vector} {y}")

    def exchange(self, x: str, y: str, step: int) -> tuple[str, str]:
        """Exchange the lanes of x whose number has the bit `step` with the lanes of y whose number has not."""
        lower = [lane if not lane & step else self.lanes + lane - step for lane in range(self.lanes)]
        upper = [lane + step if not lane & step else self.lanes + lane for lane in range(self.lanes)]
        return self.shuffle(x, y, lower), self.shuffle(x, y, upper)

    def of_each(self, operation: str, rows: list[str]) -> str:
        """The sum, max or min of each vector, that of vector r in lane r: pairs are combined by halves."""
        step = len(rows) // 2
        while step:
            pairs = zip(rows[:step], rows[step:], strict=True)
            rows = [self.combine(operation, *self.exchange(x, y, step)) for x, y in pairs]
            step //= 2
        return rows[0]

    def transposed(self, rows: Sequence[str]) -> list[str]:
        """As many vectors as there are lanes, with lane c of vector r in lane r of vector c."""
        columns, step = list(rows), self.lanes // 2
        while step:
            for r in range(self.lanes):
                if not r & step:
                    columns[r], columns[r + step] = self.exchange(columns[r], columns[r + step], step)
            step //= 2
        return columns

    def across(self, operation: str, x: str) -> str:
        """The sum, max or min of the lanes, in every lane."""
        step = self.lanes // 2
        while step:
            swapped = self.shuffle(x, "poison", [lane ^ step for lane in range(self.lanes)])
            x = self.combine(operation, x, swapped)
            step //= 2
        return x


class Emitter(Builder):
    """A builder that also emits the operations of a graph."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph.kind)
        self.graph = graph
        self.names: dict[int, str] = {}  # values of nodes, by id
        self.spreads: dict[int, str] = {}  # numbers of the step, in every lane

    def operand(self, node: Symbol, level: int) -> str:
        """The value of a node, broadcast where a vector operation takes a number of the step or of the row."""
        if node.op == "constant":
            return self.literal(node.extra, node.kind, level)
        if node.level == STEP and level != STEP:
            return self.spreads[id(node)]
        return self.of_row(node) if node.level == ROW and level == ELEMENT else self.names[id(node)]

    def of_row(self, node: Symbol) -> str:
        """A number of the row, in every lane."""
        return self.names[id(node)]

    def compute(self, node: Symbol) -> None:
        """Emit one operation whose operands have values."""
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
                name = self.intrinsic(node.extra, node.kind, args, level)
            case "library":
                name = self._library(node, level, args)
            case "rarely":
                name = self._rarely(node, level, args)
            case _:
                name = self.emit(f"{node.op} {vector} {args[0]}, {args[1]}")
        self.names[id(node)] = name

    def _library(self, node: Symbol, level: int, args: list[str]) -> str:
        """A C function in each lane."""
        if level == STEP:
            return self.call(node.extra, "double", [("double", arg) for arg in args])
        result, vector = "poison", self.type("double")
        for lane in range(self.lanes):
            given = [("double", self.lane(arg, "double", lane)) for arg in args]
            value = self.call(node.extra, "double", given)
            result = self.emit(f"insertelement {vector} {result}, double {value}, i32 {lane}")
        return result

    def _rarely(self, node: Symbol, level: int, args: list[str]) -> str:
        """A branch that replaces the usual result by that of a C function in the lanes where a condition holds."""
        condition, x, usual = args
        vector, truth, wide = self.type(node.kind, level), self.type("i1", level), self.type("double", level)
        any_lane = condition
        if level != STEP:
            any_lane = self.call(f"llvm.vector.reduce.or.v{self.lanes}i1", "i1", [(truth, condition)])
        result = self.slot(vector)
        result.set(usual)
        with self.only_if(any_lane):
            x = self.emit(f"fpext {vector} {x} to {wide}") if node.kind == "float" else x
            slow = self._library(node, level, [x])
            slow = self.emit(f"fptrunc {wide} {slow} to {vector}") if node.kind == "float" else slow
            result.set(self.emit(f"select {truth} {condition}, {vector} {slow}, {vector} {usual}"))
        return result.get()
