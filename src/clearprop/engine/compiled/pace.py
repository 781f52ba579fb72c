"""How many threads a step is quickest with, found out while training: results do not depend on it, only time does."""

from __future__ import annotations

#: Floating-point operations of a step that keep one thread busy long enough to be worth waking another.
WORTH_A_THREAD = 800_000
#: Operations of a step from which more threads are always quicker, however far apart their cores are.
ALWAYS_WORTH = 20_000_000
#: Passes after which another number of threads is tried again, as what else runs on the machine changes.
AGAIN = 32


class Pace:
    """Chooses the number of threads of each pass, at most `most` (and just that where `fixed`), for steps of so many
    operations.

    Two cores hand each other some kilobytes in each step, which takes nanoseconds or a microsecond by how far apart
    they are; so where steps are short, halves of `most` are tried in turn, and the quickest is kept.

    >>> pace = Pace(most=2, operations=2_000_000)
    >>> for seconds in (20e-6, 13e-6):  # two threads, then one
    ...     pace.record(seconds)
    >>> pace.threads
    1
    """

    def __init__(self, most: int, operations: int, fixed: bool = False) -> None:
        self.threads = most if fixed else max(1, min(most, operations // WORTH_A_THREAD))
        self.choices = [self.threads]
        while operations < ALWAYS_WORTH and self.choices[-1] > 1 and not fixed:
            self.choices.append(self.choices[-1] // 2)
        self.seconds: dict[int, float] = {}
        self.passes = 0

    def record(self, seconds: float) -> None:
        """A step of this pass took so long; chooses the threads of the next pass."""
        if len(self.choices) == 1:
            return
        before = self.seconds.get(self.threads, seconds)
        self.seconds[self.threads] = (before + seconds) / 2
        self.passes += 1
        untried = [count for count in self.choices if count not in self.seconds]
        if untried:
            self.threads = untried[0]
        elif self.passes % AGAIN == 0:
            self.threads = self.choices[self.passes // AGAIN % len(self.choices)]
        else:
            self.threads = self.best

    @property
    def best(self) -> int:
        """The number of threads that has been quickest so far."""
        return min(self.seconds, key=self.seconds.__getitem__, default=self.threads)
