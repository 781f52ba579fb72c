"""The result of a gradient check, as data and as a printed table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from clearprop.display import Displayed
from clearprop.explain.gradient_check.mistakes import Mistake
from clearprop.terminal import format_table, wrap

_SHOWN = 8  # kinks at most


@dataclass(frozen=True)
class Kink:
    """An entry at which the cost has no derivative: its index, the gradient, and the cause.

    Each row at a kink may take any slope between those on its two sides: all gradients from `low` to `high` are right.
    """

    label: str
    index: tuple[int, ...]
    gradient: float
    low: float
    high: float
    cause: str

    def __str__(self) -> str:
        return (
            f"{self.label} {list(self.index)}: any slope from {self.low:.6g} to {self.high:.6g}, "
            f"gradient {self.gradient:.6g}; {self.cause}"
        )


@dataclass(frozen=True)
class BlockCheck:
    """The result for one W or b: its largest relative error, and the index and values of that entry.

    `backpropagated` is the gradient that is checked (of the backward sweep, or the user's), `difference` the numerical
    derivative of the cost. `kinks` counts the entries without a derivative, which are excluded. A block that is missing
    in the user's gradient has `provided` False, and counts as wrong if it is trainable.
    """

    label: str
    error: float
    index: tuple[int, ...]
    backpropagated: float
    difference: float
    layer: str = ""
    kinks: int = 0
    provided: bool = True
    checked: int = 0


@dataclass(frozen=True)
class GradientCheck(Displayed):
    """The result of a gradient check; `ok` if no W or b differs by more than `tolerance`; `print` shows a table.

    `method` is "complex step" or "central differences"; `mistakes` explain a wrong gradient, the simplest first;
    `kinks` are entries without a derivative, which are not counted; `notes` describe how the check was done.

    >>> import clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[2.0]]}})
    >>> wrong = {"output": {"input": [[-3.0]], "b": [1.0]}}
    >>> check = cp.check_gradients(net, params, [[3.0]], [[5.0]], loss="squared_error", gradient=wrong)
    >>> check.ok, check.layers
    (False, {'output': False})
    >>> [(block.label, block.backpropagated, block.difference) for block in check.blocks if not check.passes(block)]
    [("output.W['input']", -3.0, 3.0)]
    """

    blocks: tuple[BlockCheck, ...]
    tolerance: float
    method: str = "central differences"
    mistakes: tuple[Mistake, ...] = ()
    kinks: tuple[Kink, ...] = ()
    notes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def worst(self) -> float:
        """The largest relative error."""
        return max((block.error for block in self.blocks), default=0.0)

    @property
    def ok(self) -> bool:
        """Whether all blocks agree."""
        return self.worst <= self.tolerance

    @property
    def layers(self) -> dict[str, bool]:
        """Whether all blocks of each layer agree."""
        verdict: dict[str, bool] = {}
        for block in self.blocks:
            verdict[block.layer] = verdict.get(block.layer, True) and self.passes(block)
        return verdict

    def passes(self, block: BlockCheck) -> bool:
        """Whether one block agrees."""
        return block.error <= self.tolerance

    def __str__(self) -> str:
        """The result, a table, possible mistakes, kinks and notes."""
        return wrap("\n".join(_lines(self)), indent=4)


def _lines(check: GradientCheck) -> Iterator[str]:
    entries = sum(block.checked for block in check.blocks)
    what = f": {entries:,} entries by {check.method}" if entries else ""
    yield f"{'all agree' if check.ok else 'NOT all agree'} to {check.tolerance:g}{what}"
    yield from _table(check)
    if not check.ok:
        yield "possible mistakes:" if check.mistakes else "no known mistake explains the gradient"
        yield from (f"  {i}. {mistake}" for i, mistake in enumerate(check.mistakes, 1))
    for kink in check.kinks[:_SHOWN]:
        yield f"kink, not counted: {kink}"
    if len(check.kinks) > _SHOWN:
        yield f"... and {len(check.kinks) - _SHOWN} more entries at kinks"
    yield from check.notes


def _table(check: GradientCheck) -> Iterator[str]:
    """A row for each block with numbers, and below the table a line for each block without."""
    rows: list[tuple[str | float, ...]] = []
    without: list[str] = []
    for block in check.blocks:
        verdict = "ok" if check.passes(block) else "BAD"
        if not block.provided:
            words = "frozen, not in the gradient" if check.passes(block) else "MISSING, not in the gradient"
            without.append(f"{block.label}: {words}")
        elif block.kinks and block.kinks == block.checked:
            without.append(f"{block.label}: no derivative at {'any of ' * (block.kinks > 1)}its entries (kink)")
        else:
            error, index = f"{block.error:.1e}", str(list(block.index))
            kinks = f"{block.kinks:,}" if block.kinks else ""
            rows.append((block.label, verdict, error, index, block.backpropagated, block.difference, kinks))
    names = ("", "verdict", "relative error", "worst at", "gradient", "numerically", "at kinks")
    if rows:
        last = len(names) if any(row[-1] for row in rows) else -1
        table = format_table(names[:last], [row[:last] for row in rows], digits=(9, 6, 4), left=(0, 1, 3), indent="  ")
        yield from table.split("\n")
    yield from (f"  {line}" for line in without)
