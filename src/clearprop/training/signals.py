"""Ctrl-C and SIGTERM during training: they wait until a step is finished, and then take their way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name))


class Interrupts:
    """While this is entered, signals that arrive in a `held()` block wait for the next `check()` or unheld moment.

    Then the handler that was there before is called: Python's own raises KeyboardInterrupt for Ctrl-C. SIGTERM, which
    would end the process on the spot, raises SystemExit(143) instead, so that what was learnt can be saved; a handler
    of the user's own, or a signal that is ignored, stays as it is. Signals reach the main thread alone, and elsewhere
    this does nothing but raise KeyboardInterrupt in a `check()` once `stop` is set, if there is one.

    >>> with Interrupts() as interrupts:
    ...     try:
    ...         with interrupts.held():
    ...             signal.raise_signal(signal.SIGINT)
    ...             print("the step is finished")
    ...     except KeyboardInterrupt:
    ...         print("then it is interrupted")
    the step is finished
    then it is interrupted
    """

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = stop
        self._held, self._pending, self._previous = 0, [], {}
        self._handler = self._arrive  # one object, so that it can be recognised

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
            if signal.getsignal(number) is self._handler:  # else a callback has put its own there
                signal.signal(number, previous)
        self.stop = None
        if error is None:
            self.check()

    def held(self, deliver: bool = True) -> _Held:
        """A block that no signal leaves half done; with `deliver` those that came meanwhile are let go at its end."""
        return _Held(self, deliver)

    def check(self) -> None:
        """Let the signals that have arrived take their way, which may raise."""
        while self._pending:
            self._deliver(*self._pending.pop(0))
        if self.stop is not None and self.stop.is_set():
            raise KeyboardInterrupt

    def _arrive(self, number: int, frame: FrameType | None) -> None:
        if self._held:
            self._pending.append((number, frame))
        else:
            self._deliver(number, frame)

    def _deliver(self, number: int, frame: FrameType | None) -> None:
        previous: Callable[[int, FrameType | None], Any] | Any = self._previous[number]
        if callable(previous):
            previous(number, frame)
        else:
            raise SystemExit(128 + number)


class _Held:
    """What `held()` enters and leaves: a class, as a generator would cost each step thrice as much."""

    __slots__ = ("deliver", "interrupts")

    def __init__(self, interrupts: Interrupts, deliver: bool) -> None:
        self.interrupts, self.deliver = interrupts, deliver

    def __enter__(self) -> None:
        self.interrupts._held += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.interrupts._held -= 1
        if self.deliver and error is None and not self.interrupts._held:
            self.interrupts.check()
