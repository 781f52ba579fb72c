"""Helper threads that wait for work between epochs, so that an epoch does not have to start threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class _Helpers:
    """Threads of one process that take calls from a queue; the caller does not wait for them."""

    def __init__(self) -> None:
        self.process, self.calls, self.count = os.getpid(), SimpleQueue(), 0
        self.lock = threading.Lock()
        self.pending = 0

    def work(self) -> None:
        while True:
            function, arguments, keep_alive = self.calls.get()
            function(*arguments)
            del function, arguments, keep_alive
            with self.lock:
                self.pending -= 1

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], keep_alive: Any) -> None:
        with self.lock:
            if self.count <= self.pending:
                try:
                    threading.Thread(target=self.work, name="clearprop-helper", daemon=True).start()
                except RuntimeError:  # the system allows no more threads
                    return
                self.count += 1
            self.pending += 1
            self.calls.put((function, arguments, keep_alive))


_helpers = _Helpers()


def call_helper(function: Callable[..., Any], *arguments: Any, keep_alive: Any) -> None:
    """Let a helper thread call a function soon; `keep_alive` is referenced until it returns.

    If the system allows no more threads, nothing happens: the caller must also work without the helper.
    """
    global _helpers
    if _helpers.process != os.getpid():  # threads do not survive a fork
        _helpers = _Helpers()
    _helpers.call(function, arguments, keep_alive)
