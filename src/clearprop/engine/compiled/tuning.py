"""How many threads a step is quickest with, found out while training: results do not depend on it, only time does."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

#: Floating-point operations of a step that keep one thread busy long enough to be worth waking another.
WORTH_A_THREAD = 250_000
#: Seconds, and steps, that tell how quick a way is; and the longest that steps run at a stretch.
TRIAL, STEPS, SLICE = 0.002, 8, 0.1
#: Training goes on for this many times the seconds that a trial of a slower way has cost before that is tried again,
#: as what else runs on the machine changes.
RARELY = 100


class Way(NamedTuple):
    """How a step is shared out: to how many threads, and whether wide layers go by columns (see `layered`)."""

    threads: int
    by_layer: bool


@dataclass
class _Tried:
    """Seconds per operation of a way the last two times, as the first one also wakes threads; and when that was."""

    last: float = inf
    before: float = inf
    at: float = 0.0

    @property
    def seconds(self) -> float:
        return min(self.last, self.before)


@dataclass
class _Found:
    """What was found out about steps of a kind: each way, and the seconds of training so far."""

    ways: dict[Way, _Tried] = field(default_factory=dict)
    spent: float = 0.0


#: By what steps are like: a run begins with what runs before it in this process found out.
_known: dict[tuple[int, int, int, bool], _Found] = {}


class Pace:
    """Chooses the way of each slice of steps, with at most `most` threads (and just as many where `fixed`).

    Two cores hand each other some kilobytes in each step, which takes nanoseconds or many microseconds by how far apart
    they are, and a core may be shared with other work; so each way is tried twice, and the quickest is kept.

    >>> pace = Pace(most=2, operations=10**18)
    >>> for seconds in (0.02, 0.003, 0.002, 0.002):  # two threads, then one
    ...     pace.record(seconds)
    >>> pace.way
    Way(threads=1, by_layer=False)
    """

    def __init__(self, most: int, operations: int, purpose: int = 0, fixed: bool = False) -> None:
        self.most = most if fixed else max(1, min(most, operations // WORTH_A_THREAD))
        self.operations, self.purpose, self.fixed = max(1, operations), purpose, fixed
        self._choose_from([Way(self.most, False)])

    def allow_columns(self) -> None:
        """The network has layers that can be shared out by columns."""
        by_columns = Way(self.most, True)
        self._choose_from([by_columns] if self.fixed else [by_columns, Way(self.most, False)])

    def _choose_from(self, ways: list[Way]) -> None:
        """These ways, and fewer threads; what is known of them from steps of about as many operations."""
        while ways[-1].threads > 1 and not self.fixed:
            ways = [*ways, Way(ways[-1].threads // 2, False)]
        self.ways = ways
        key = (self.purpose, self.most, self.operations.bit_length(), ways[0].by_layer)
        self.found = _Found() if self.fixed else _known.setdefault(key, _Found())
        self._choose()

    def _choose(self) -> None:
        """The best way, or another on trial: one that was not tried twice, or not for long by what that may cost."""
        ways, self.on_trial = self.found.ways, len(self.ways) > 1
        for way in self.ways:
            if way not in ways or ways[way].before == inf:
                self.way = way
                return
        self.way = best = self.best
        for way in self.ways:
            loss = TRIAL * max(0.5, ways[way].seconds / ways[best].seconds - 1)
            if way != best and self.found.spent - ways[way].at > RARELY * loss:
                self.way = way
                return
        self.on_trial = False

    @property
    def best(self) -> Way:
        """The way that was quickest when last tried; the only one needs no trial."""
        return min(self.ways, key=lambda way: self.found.ways.get(way, _Tried()).seconds)

    def guess(self) -> float:
        """Seconds of a step that comes, by what is known of steps like it; else cautiously by its operations."""
        tried = self.found.ways.get(self.way)
        return 2e-5 + 1e-9 * self.operations if tried is None else tried.seconds * self.operations

    def steps(self, seconds: float) -> int:
        """How many steps to run now where one takes so long."""
        if self.on_trial:
            return max(1, min(int(SLICE / seconds), max(STEPS, int(TRIAL / seconds))))
        return max(1, int(SLICE / seconds))

    def record(self, seconds: float, steps: int = 1) -> None:
        """Each of so many steps took so long; chooses the way of the next ones."""
        if len(self.ways) == 1:
            return
        self.found.spent += seconds * steps
        tried = self.found.ways.setdefault(self.way, _Tried())
        tried.last, tried.before, tried.at = seconds / self.operations, tried.last, self.found.spent
        self._choose()
