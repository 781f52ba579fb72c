"""The verdict of a gradient check, as data and as a table to read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from clearprop.explain.gradient_check.kinks import Kink
from clearprop.explain.gradient_check.mistakes import Mistake

_SHOWN = 8  # of blocks that agree, kinks and mistakes each


@dataclass(frozen=True)
class BlockCheck:
    """One W or b: its largest disagreement relative to the size of its gradient, and the place and values there.

    `backpropagated` is the gradient that was checked (from the backward sweep, or handed in), `difference` what the
    values of the cost say. `kinks` counts the entries where there is no derivative, which are left out. A block that
    was not handed in has `given` False and counts as wrong if it is trainable.
    """

    label: str
    error: float
    place: tuple[int, ...]
    backpropagated: float
    difference: float
    layer: str = ""
    kinks: int = 0
    given: bool = True
    checked: int = 0


@dataclass(frozen=True)
class GradientCheck:
    """The verdict on every W and b; `ok` if none disagrees by more than `tolerance`; printing it shows a table.

    `method` is "complex step" or "central differences"; `mistakes` name what would explain a wrong gradient, best
    first; `kinks` are entries at a point without a derivative, which count neither for nor against; `notes` are
    sentences on how the check was made.

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
        """The largest relative disagreement."""
        return max((block.error for block in self.blocks), default=0.0)

    @property
    def ok(self) -> bool:
        """Whether all agree."""
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
        """Verdict, table, what a wrong gradient looks like, kinks and notes."""
        return "\n".join(_lines(self))


def _lines(check: GradientCheck) -> Iterator[str]:
    entries = sum(block.checked for block in check.blocks)
    what = f": {entries:,} entries by {check.method}" if entries else ""
    yield f"{'all agree' if check.ok else 'NOT all agree'} to {check.tolerance:g}{what}"
    wide = max((len(block.label) for block in check.blocks), default=0)
    if check.blocks:
        yield f"  {'':{wide}s}  verdict  relative error  {'worst at':12s}  {'gradient':>14s}  {'numerically':>14s}"
    for block in check.blocks:
        yield f"  {block.label:{wide}s}  {_row(check, block)}"
    if not check.ok:
        yield "what it looks like:" if check.mistakes else "none of the mistakes that are known explains it"
        yield from (f"  {i}. {mistake}" for i, mistake in enumerate(check.mistakes, 1))
    for kink in check.kinks[:_SHOWN]:
        yield f"kink, not counted: {kink}"
    if len(check.kinks) > _SHOWN:
        yield f"... and {len(check.kinks) - _SHOWN} more entries at kinks"
    yield from check.notes


def _row(check: GradientCheck, block: BlockCheck) -> str:
    if not block.given:
        return "MISSING  nothing was given for it" if not check.passes(block) else "-        frozen, not given"
    verdict = "ok" if check.passes(block) else "BAD"
    if block.kinks and block.kinks == block.checked:
        return f"kink     no derivative at {'any of ' * (block.kinks > 1)}its entries"
    place = str(list(block.place))
    numbers = f"{block.backpropagated:14.9g}  {block.difference:14.9g}"
    return f"{verdict:7s}  {block.error:14.1e}  {place:12s}  {numbers}" + (
        f"  ({block.kinks} at a kink)" if block.kinks else ""
    )
