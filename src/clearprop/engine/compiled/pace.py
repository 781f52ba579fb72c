"""How many threads a step is quickest with, found out while training: results do not depend on it, only time does."""

from __future__ import annotations

from typing import NamedTuple

#: Floating-point operations of a step that keep one thread busy long enough to be worth waking another.
WORTH_A_THREAD = 250_000
#: Passes after which another way is tried again, as what else runs on the machine changes; and how many times rarer one
#: is tried that was slower by half.
AGAIN, RARER = 32, 8


class Way(NamedTuple):
    """How a step is shared out: to how many threads, and whether wide layers go by columns (see `layered`)."""

    threads: int
    by_layer: bool


#: Seconds per operation of each way, by what steps are like: a short run begins with what runs before it found out.
_known: dict[tuple[int, int, bool], dict[Way, float]] = {}


class Pace:
    """Chooses the way of each pass, with at most `most` threads (and just as many where `fixed`).

    Two cores hand each other some kilobytes in each step, which takes nanoseconds or many microseconds by how far apart
    they are, and a core may be shared with other work; so each way is tried, and the quickest is kept.

    >>> pace = Pace(most=2, operations=10**18)
    >>> for seconds in (2.0, 1.3):  # two threads, then one
    ...     pace.record(seconds)
    >>> pace.way
    Way(threads=1, by_layer=False)
    """

    def __init__(self, most: int, operations: int, fixed: bool = False) -> None:
        self.most = most if fixed else max(1, min(most, operations // WORTH_A_THREAD))
        self.operations, self.fixed, self.passes = max(1, operations), fixed, 0
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
        size = self.operations.bit_length()
        self.seconds = {} if self.fixed else _known.setdefault((self.most, size, ways[0].by_layer), {})
        self.way = self._next()

    def _next(self) -> Way:
        """One that was not tried yet, else the best."""
        return next((way for way in self.ways if way not in self.seconds), self.best)

    def record(self, seconds: float) -> None:
        """A step of this pass took so long; chooses the way of the next pass."""
        if len(self.ways) == 1:
            return
        took = seconds / self.operations
        self.seconds[self.way] = (self.seconds.get(self.way, took) + took) / 2
        self.passes += 1
        self.way = self._next()
        if self.passes % AGAIN == 0:
            other = self.ways[self.passes // AGAIN % len(self.ways)]
            close = self.seconds.get(other, 0) < 1.5 * self.seconds[self.best]
            if close or self.passes % (AGAIN * RARER) == 0:
                self.way = other

    @property
    def best(self) -> Way:
        """The way that has been quickest so far."""
        return min(self.seconds, key=self.seconds.__getitem__, default=self.ways[0])
