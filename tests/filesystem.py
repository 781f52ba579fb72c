"""A file system that records what a save asks of it, fails or kills at a chosen call, or forgets what no sync kept."""

from __future__ import annotations

import itertools
import os
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CALLS = ("open", "write", "fsync", "fchmod", "close", "replace", "unlink", "stat")


class Recorder:
    """Replaces `os` in clearprop.serialization.atomic: records each call, and lets `before` or `after` interfere."""

    def __init__(
        self, before: Callable[[int, str], None] | None = None, after: Callable[[int, str], None] | None = None
    ) -> None:
        self.before, self.after = before, after
        self.log: list[tuple[str, tuple[Any, ...], Any]] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def call(*arguments: Any, **options: Any) -> Any:
            place = len(self.log)
            noted = tuple(bytes(a) if isinstance(a, memoryview) else a for a in arguments)
            self.log.append((name, noted, None))
            if self.before:
                self.before(place, name)
            result = real(*arguments, **options)
            self.log[place] = (name, noted, result)
            if self.after:
                self.after(place, name)
            return result

        return call


def failing_at(chosen: int, error: int, onwards: bool = False) -> Callable[[int, str], None]:
    """Let the call of that number fail (and all after it)."""

    def fail(place: int, name: str) -> None:
        if place == chosen or (onwards and place > chosen):
            raise OSError(error, os.strerror(error))

    return fail


def killing_at(chosen: int) -> Callable[[int, str], None]:
    """Kill this process at the call of that number."""

    def kill(place: int, name: str) -> None:
        if place == chosen:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


def in_child(function: Callable[[], None]) -> int:
    """Run a function in a child process; its exit status, 0 if all went well, -9 if it was killed."""
    with warnings.catch_warnings():  # of threads in the parent, which the child never needs
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# --- a power cut -----------------------------------------------------------------------------------------------------


@dataclass
class Inode:
    """A file's bytes as the program sees them, and those known to be on the disk."""

    content: bytes = b""
    durable: bytes = b""

    def outcomes(self) -> Iterator[bytes]:
        """What may be found after a power cut: what was synced, any part of the rest, or zeros in its place."""
        yield self.durable
        if self.content != self.durable:
            yield self.content
            for cut in (0, len(self.content) // 2, max(0, len(self.content) - 1)):
                yield self.content[:cut]
                yield self.content[:cut] + bytes(len(self.content) - cut)


@dataclass
class Disk:
    """Names and files during a save; changes of names that were not synced may each be lost, in any combination."""

    names: dict[str, Inode]
    pending: list[tuple[str, str, Inode | None]] = field(default_factory=list)
    handles: dict[int, Inode | None] = field(default_factory=dict)

    def apply(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        if name == "open" and arguments[1] & os.O_CREAT:
            self.handles[result] = Inode()
            self.pending.append(("set", arguments[0], self.handles[result]))
        elif name == "open" and arguments[1] & (os.O_WRONLY | os.O_RDWR):
            inode = self.visible()[arguments[0]]
            inode.content = b"" if arguments[1] & os.O_TRUNC else inode.content
            self.handles[result] = inode
        elif name == "open":
            self.handles[result] = None  # the folder
        elif name == "write":
            self.handles[arguments[0]].content += arguments[1][:result]
        elif name == "fsync" and self.handles[arguments[0]] is None:
            self.names, self.pending = self.visible(), []
        elif name == "fsync":
            inode = self.handles[arguments[0]]
            inode.durable = inode.content
        elif name == "replace":
            source, target = arguments
            self.pending.append(("set", target, self.visible()[source]))
            self.pending.append(("remove", source, None))
        elif name == "unlink":
            self.pending.append(("remove", arguments[0], None))

    def visible(self) -> dict[str, Inode]:
        """Names as the program sees them."""
        return self._with(self.pending)

    def _with(self, changes: Any) -> dict[str, Inode]:
        names = dict(self.names)
        for what, name, inode in changes:
            if what == "set":
                names[name] = inode
            else:
                names.pop(name, None)
        return names

    def outcomes(self, target: str) -> Iterator[bytes | None]:
        """Everything that may be found under a name after a power cut now; None for no file."""
        for count in range(len(self.pending) + 1):
            for kept in itertools.combinations(self.pending, count):
                inode = self._with(kept).get(target)
                yield from [None] if inode is None else inode.outcomes()


def power_cuts(log: list[tuple[str, tuple[Any, ...], Any]], target: Path, old: bytes | None) -> list[set[bytes | None]]:
    """What may be found under the target after a power cut before the first recorded call, after it, and so on."""
    disk = Disk({} if old is None else {str(target): Inode(old, old)})
    found = [set(disk.outcomes(str(target)))]
    for name, arguments, result in log:
        disk.apply(name, arguments, result)
        found.append(set(disk.outcomes(str(target))))
    return found
