"""Ctrl-C and SIGTERM during training are deferred until a step is finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name))


class Interrupts:
    """A context manager that handles signals which arrive in a `deferred()` block at its end or the next `check()`.

    Then the earlier handler is called: Python's own raises KeyboardInterrupt for Ctrl-C. SIGTERM, which would end the
    process immediately, raises SystemExit(143) instead, so that the parameters can be saved. The user's own handlers
    are called as well, and ignored signals stay ignored. Python handles signals in the main thread only; in other
    threads `check()` raises KeyboardInterrupt once the event `stop` is set, and nothing else happens.

    >>> with Interrupts() as interrupts:
    ...     try:
    ...         with interrupts.deferred():
    ...             signal.raise_signal(signal.SIGINT)
    ...             print("the step is finished")
    ...     except KeyboardInterrupt:
    ...         print("then it is interrupted")
    the step is finished
    then it is interrupted
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop
        self._depth, self._pending, self._previous = 0, [], {}
        self._handler = self._arrive  # one object, to compare with later

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                previous = signal.getsignal(number)
                if callable(previous) or (number == signal.SIGTERM and previous == signal.SIG_DFL):
                    self._previous[number] = previous
                    signal.signal(number, self._handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            if signal.getsignal(number) is self._handler:  # otherwise a callback has installed its own
                signal.signal(number, previous)
        self.stop = None
        if error is None:
            self.check()

    def deferred(self, deliver: bool = True) -> _Deferral:
        """A block that no signal interrupts; with `deliver` deferred signals are handled at its end."""
        return _Deferral(self, deliver)

    def check(self) -> None:
        """Handle the deferred signals, which may raise."""
        while self._pending:
            self._deliver(*self._pending.pop(0))
        if self.stop is not None and self.stop.is_set():
            raise KeyboardInterrupt

    def _arrive(self, number: int, frame: FrameType | None) -> None:
        if self._depth:
            self._pending.append((number, frame))
        else:
            self._deliver(number, frame)

    def _deliver(self, number: int, frame: FrameType | None) -> None:
        previous: Callable[[int, FrameType | None], Any] | Any = self._previous[number]
        if callable(previous):
            previous(number, frame)
        else:
            raise SystemExit(128 + number)


class _Deferral:
    """The context manager of `deferred()`; a generator would take three times as long in each step."""

    __slots__ = ("deliver", "interrupts")

    def __init__(self, interrupts: Interrupts, deliver: bool) -> None:
        self.interrupts, self.deliver = interrupts, deliver

    def __enter__(self) -> None:
        self.interrupts._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.interrupts._depth -= 1
        if self.deliver and error is None and not self.interrupts._depth:
            self.interrupts.check()
