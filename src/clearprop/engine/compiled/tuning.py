"""Choose by timing, during training, how a step is divided among threads. Results do not depend on the choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

#: Floating-point operations of a step above which another thread saves time.
WORTH_A_THREAD = 250_000
#: Seconds, and steps, of a trial of a strategy; and the longest that steps run without a pause.
TRIAL, STEPS, SLICE = 0.002, 8, 0.1
#: A slower strategy is tried again when training has taken this many times the seconds that the trial may cost, as the
#: load of the machine changes.
RARELY = 100


class Strategy(NamedTuple):
    """How a step is divided: among how many threads, and whether wide layers by columns (see `column_parallel`)."""

    threads: int
    by_columns: bool


@dataclass
class Timing:
    """Seconds per operation of the last two trials of a strategy (the first also starts threads), and when it was."""

    last: float = inf
    before: float = inf
    at: float = 0.0

    @property
    def seconds(self) -> float:
        return min(self.last, self.before)


@dataclass
class _Timings:
    """Timings of steps of a kind by strategy, and the seconds of training so far."""

    of: dict[Strategy, Timing] = field(default_factory=dict)
    spent: float = 0.0


#: By kind of step: a run begins with the timings of earlier runs in this process.
_known: dict[tuple[int, int, int, bool], _Timings] = {}


class Tuner:
    """Chooses the strategy of each slice of steps, with at most `most` threads (and exactly so many if `fixed`).

    Two cores exchange some kilobytes in each step, which takes nanoseconds or many microseconds depending on how far
    apart they are, and a core may be shared with other work. So each strategy is timed twice, and the fastest is used.

    >>> tuner = Tuner(most=2, operations=10**18)
    >>> for seconds in (0.02, 0.003, 0.002, 0.002):  # two threads, then one
    ...     tuner.record(seconds)
    >>> tuner.strategy
    Strategy(threads=1, by_columns=False)
    """

    def __init__(self, most: int, operations: int, purpose: int = 0, fixed: bool = False) -> None:
        self.most = most if fixed else max(1, min(most, operations // WORTH_A_THREAD))
        self.operations, self.purpose, self.fixed = max(1, operations), purpose, fixed
        self._choose_from([Strategy(self.most, False)])

    def allow_columns(self) -> None:
        """Also try to divide by columns: the network has layers that allow it."""
        by_columns = Strategy(self.most, True)
        self._choose_from([by_columns] if self.fixed else [by_columns, Strategy(self.most, False)])

    def _choose_from(self, strategies: list[Strategy]) -> None:
        """These strategies, and fewer threads, with the timings of steps of about as many operations."""
        while strategies[-1].threads > 1 and not self.fixed:
            strategies = [*strategies, Strategy(strategies[-1].threads // 2, False)]
        self.strategies = strategies
        key = (self.purpose, self.most, self.operations.bit_length(), strategies[0].by_columns)
        self.timings = _Timings() if self.fixed else _known.setdefault(key, _Timings())
        self._choose()

    def _choose(self) -> None:
        """The fastest strategy, or one on trial: not timed twice yet, or not timed for long by what that may cost."""
        timings, self.on_trial = self.timings.of, len(self.strategies) > 1
        for strategy in self.strategies:
            if strategy not in timings or timings[strategy].before == inf:
                self.strategy = strategy
                return
        self.strategy = best = self.best
        for strategy in self.strategies:
            loss = TRIAL * max(0.5, timings[strategy].seconds / timings[best].seconds - 1)
            if strategy != best and self.timings.spent - timings[strategy].at > RARELY * loss:
                self.strategy = strategy
                return
        self.on_trial = False

    @property
    def best(self) -> Strategy:
        """The strategy that was fastest when last timed; a single one needs no trial."""
        return min(self.strategies, key=lambda strategy: self.timings.of.get(strategy, Timing()).seconds)

    def guess(self) -> float:
        """Expected seconds of a step, from the timings of such steps; else a high estimate from its operations."""
        timing = self.timings.of.get(self.strategy)
        return 2e-5 + 1e-9 * self.operations if timing is None else timing.seconds * self.operations

    def steps(self, seconds: float) -> int:
        """How many steps to run now if one takes so long."""
        if self.on_trial:
            return max(1, min(int(SLICE / seconds), max(STEPS, int(TRIAL / seconds))))
        return max(1, int(SLICE / seconds))

    def record(self, seconds: float, steps: int = 1) -> None:
        """Record that each of so many steps took so long; chooses the strategy of the next ones."""
        if len(self.strategies) == 1:
            return
        self.timings.spent += seconds * steps
        timing = self.timings.of.setdefault(self.strategy, Timing())
        timing.last, timing.before, timing.at = seconds / self.operations, timing.last, self.timings.spent
        self._choose()
