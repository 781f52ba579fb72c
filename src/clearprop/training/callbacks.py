"""Callbacks, which are called after each epoch, and the progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from clearprop.checks import one_or_several
from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError
from clearprop.training.history import History


@dataclass(frozen=True)
class EpochEnd:
    """The argument of a callback: the finished epoch (counted from 0), the network, its parameters and the history.

    >>> import clearprop as cp
    >>> def low_enough(end):
    ...     if end.history.cost[-1] < 0.1:
    ...         return f"cost below 0.1 in epoch {end.epoch + 1}"
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[0.0]]}})
    >>> descent = cp.GradientDescent(0.25)
    >>> cp.train(net, params, [[1.0]], [[1.0]], loss="squared_error", optimizer=descent, callbacks=low_enough).stopped
    'cost below 0.1 in epoch 3'
    """

    epoch: int
    epochs: int
    net: Network
    params: Parameters
    history: History


#: A function called after each epoch. It stops training by returning True or a reason as text.
Callback = Callable[[EpochEnd], "bool | str | None"]


def as_callbacks(callbacks: Callback | Iterable[Callback] | None) -> tuple[Callback, ...]:
    """One or several callbacks as a tuple."""
    listed = one_or_several(callbacks)
    for callback in listed:
        if not callable(callback):
            raise ArgumentError(f"callbacks: expected functions that take a cp.training.EpochEnd, got {callback!r}.")
    return listed


class ProgressBar:
    """A progress bar on standard error, shown if that is a terminal or if `show` is True."""

    def __init__(self, epochs: int, show: bool | None = None) -> None:
        console = Console(stderr=True)
        visible = console.is_terminal if show is None else show
        wide = console.width >= 120
        #: the width that the other columns leave for the numbers
        self._room = console.width - len(f"training epoch {epochs}/{epochs} 0:00:00 ") - (40 + 9 if wide else 10 + 1)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(40 if wide else 10),
            TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[numbers]}"),
            *([TimeElapsedColumn()] if wide else []),
            TimeRemainingColumn(),
            console=console,
            disable=not visible,
            transient=console.is_terminal,  # outside a terminal, as in a log, the finished bar remains
        )
        self._task: TaskID = self._progress.add_task("training", total=epochs, numbers="")

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def update(self, history: History, new: int = 1) -> None:
        """Show the last epoch; `new` is the count of epochs since the last call."""
        if not self._progress.disable:
            first = ("cost", "validation cost")
            last = [n for n in history.columns if n not in (*first, "learning rate", "seconds", "gradient norm")]
            numbers = ""
            for name in (*first, *last):  # as many as fit
                if name in history.columns:
                    longer = f"{numbers}  {name} {history[name][-1]:.4g}".lstrip()
                    if numbers and len(longer) > self._room:
                        break
                    numbers = longer
            self._progress.update(self._task, completed=history.epochs, numbers=numbers)
