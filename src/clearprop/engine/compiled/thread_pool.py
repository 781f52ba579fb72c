"""Helper threads: they wait for work between epochs, so that an epoch does not have to start threads of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class _Helpers:
    """Threads of one process that take calls from a queue; whoever calls does not wait for them."""

    def __init__(self) -> None:
        self.process, self.calls, self.count = os.getpid(), SimpleQueue(), 0
        self.lock = threading.Lock()
        self.pending = 0

    def work(self) -> None:
        while True:
            function, arguments, kept = self.calls.get()
            function(*arguments)
            del function, arguments, kept
            with self.lock:
                self.pending -= 1

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], kept: Any) -> None:
        with self.lock:
            if self.count <= self.pending:
                try:
                    threading.Thread(target=self.work, name="clearprop-helper", daemon=True).start()
                except RuntimeError:  # the system allows no more threads
                    return
                self.count += 1
            self.pending += 1
            self.calls.put((function, arguments, kept))


_helpers = _Helpers()


def call_helper(function: Callable[..., Any], *arguments: Any, kept: Any) -> None:
    """Let a helper thread call a function soon; `kept` stays alive until it returns.

    Where the system allows no thread for it nothing happens, as whoever calls does not count on help.
    """
    global _helpers
    if _helpers.process != os.getpid():  # threads do not survive a fork
        _helpers = _Helpers()
    _helpers.call(function, arguments, kept)
