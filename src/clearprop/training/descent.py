"""The epochs of a run by gradient descent on an engine: one after the other, or several as one call."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from clearprop.engine.api import Engine, EpochResult, Epochs, Patience, State, Training
from clearprop.errors import TrainingDiverged
from clearprop.training.checkpoint import Snapshot
from clearprop.training.divergence import find_divergence, is_finite
from clearprop.training.run import Run
from clearprop.training.saver import Saver

#: Floating-point operations of a call of the engine with several epochs, at most: some hundredths of a second.
OPERATIONS = 1_000_000_000
#: What a step takes at least, as such operations.
LEAST_PER_STEP = 300_000


class Order(Protocol):
    """The order of the rows in each epoch of a run, counted from 0, and its batches."""

    @property
    def edges(self) -> np.ndarray:
        """Where each batch begins in an epoch, and the end, (steps + 1,); read-only, so that it is checked once."""
        ...

    def orders(self, first: int, count: int) -> np.ndarray:
        """The rows in the order of `count` epochs from `first` on, (count, n)."""
        ...

    def discard_after(self, count: int) -> None:
        """Take back the orders returned last, but for the first `count`, which were used."""
        ...


class Rates(Protocol):
    """The learning rates of the epochs of a run, counted from 0."""

    @property
    def is_known_ahead(self) -> bool:
        """Whether the rates of later epochs are known before the present one ends."""
        ...

    def of_epochs(self, first: int, count: int) -> np.ndarray:
        """The learning rate of each step of `count` epochs from `first` on, (count * steps,)."""
        ...


class _Call(NamedTuple):
    """A call of the engine: parameters and (for several epochs) state before it, and its epochs."""

    params: np.ndarray
    state: State | None
    epochs: Epochs


class Descent:
    """Runs the epochs of a run. `first_epoch` counts those of earlier runs, for dropout."""

    def __init__(
        self, run: Run, training: Training, engine: Engine, order: Order, rates: Rates, first_epoch: int = 0
    ) -> None:
        self.run, self.training, self.engine = run, training, engine
        self.order, self.rates, self.first_epoch = order, rates, first_epoch
        self.saver: Saver | None = None
        self._first = 0  # epochs of the run before the present call
        self._seconds = 0.0  # that the present epoch has taken before the run was resumed
        self._last: _Call | None = None
        self._buffers = [run.params.flat.copy(), run.params.flat.copy()]
        operations = 6 * int(order.edges[-1]) * run.params.flat.size + LEAST_PER_STEP * (len(order.edges) - 1)
        self._most = max(1, OPERATIONS // operations)
        run.evaluate_with(engine.evaluation)

    @property
    def current_epoch(self) -> int:
        """The number of the epoch under way, counted from 1, or of the one that ended last."""
        return max(self._first + 1, self.run.history.epochs)

    def resume(self, snapshot: Snapshot) -> str | None:
        """Continue from a checkpoint whose history the run has; the reason why it had stopped, if it had."""
        run = self.run
        assert self.saver is not None
        self.saver.restore(snapshot)
        run.params.flat[...] = snapshot.params.flat
        self._seconds = snapshot.seconds
        return run.stopping.resume(run.history) if run.history.epochs else None

    def train(self, reason: str | None = None) -> str | None:
        """Run the epochs until there is a reason to stop, or all are done; the reason.

        Whatever is raised, the parameters are those of the last completed step, or the best if they are restored.
        """
        run = self.run
        try:
            while not reason and run.history.epochs < run.epochs:
                reason = self._advance()
            run.finish(reason)
        except TrainingDiverged:
            raise
        except BaseException as error:
            with run.interrupts.deferred():
                self.engine.write_back()
                run.history.even_out()
                if self.saver is not None:
                    self.saver.after_interruption(error, len(self.order.edges) - 1)
                run.interrupted(error, self.engine.state)
            raise
        return reason

    def _advance(self) -> str | None:
        """Run the epochs of one call; the reason to stop after them, if there is one."""
        run = self.run
        if run.before_epoch is not None:
            run.before_epoch()
        self._first = first = run.history.epochs
        safe, most = self._limits()
        call = self._prepare(first, min(run.epochs - first, most))
        patience = run.stopping.patience if len(call.epochs) > safe else None
        began = time.perf_counter() - self._seconds
        if self.saver is not None:
            self.saver.begin_epoch(began, call.epochs.rates)
        with run.interrupts.deferred(deliver=False):  # a signal in the last step waits for the record
            result = self._run(call.epochs, self._pause if len(call.epochs) == 1 else None, patience)
            if len(result.losses) < len(call.epochs):
                self.order.discard_after(len(result.losses))
                call = _Call(call.params, call.state, call.epochs.part(0, len(result.losses)))
            if not is_finite(result, run.params):
                self._raise_divergence(call, result, first)
        self._last, self._seconds = call, 0.0
        reason = run.end_epoch(result, float(call.epochs.rates[-1]), time.perf_counter() - began)
        if self.saver is not None:
            self.saver.after_epoch(last=bool(reason) or run.history.epochs == run.epochs)
        run.interrupts.check()
        return reason

    def _run(
        self, epochs: Epochs, pause: Callable[[], None] | None = None, patience: Patience | None = None
    ) -> EpochResult:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # `is_finite` looks for them
            return self.engine.run(epochs, pause, patience)

    def _limits(self) -> tuple[int, int]:
        """How many epochs can run without ending training, and how many as one call at most."""
        run, patience = self.run, self.run.stopping.patience
        if run.observes_each_epoch or patience is None or not self.rates.is_known_ahead:
            return 1, 1
        safe = int(min(self._most, max(0, patience.most - patience.count) + 1))
        return safe, min(self._most, max(safe, run.history.epochs))

    def _prepare(self, first: int, count: int) -> _Call:
        """The next call, with what is needed to search it for a divergence."""
        epochs = Epochs(
            self.first_epoch + first,
            self.order.orders(first, count),
            self.order.edges,
            self.rates.of_epochs(first, count),
            verify=first + count == self.run.epochs,
        )
        buffer = self._buffers[self._last is not None and self._last.params is self._buffers[0]]
        np.copyto(buffer, self.run.params.flat)
        return _Call(buffer, self.engine.state if count > 1 else None, epochs)

    def _pause(self) -> None:
        self.run.interrupts.check()
        if self.saver is not None:
            self.saver.within_epoch()

    def _raise_divergence(self, call: _Call, result: EpochResult, first: int) -> None:
        """Raise for the epoch of a call in which numbers stop being finite; the epochs before it are recorded."""
        params, after = self.run.params, self.run.params.flat.copy()
        before, earlier = call.params.copy(), self._before_last_epoch(call)
        params.flat[...], epochs, index = after, call.epochs.part(0, 1), 0
        if len(call.epochs) > 1:
            self._restore(call)
            result = self._run(epochs)
        while is_finite(result, params):
            self.run.record(result)
            first, earlier, before, index = first + 1, before, params.flat.copy(), index + 1
            epochs = call.epochs.part(index, index + 1)
            result = self._run(epochs)
        found = find_divergence(self.training, params, before, earlier, result, first, epochs)
        raise self.run.divergence_error(found, "Lower the learning rate, scale the inputs, or set clip_norm=1.")

    def _before_last_epoch(self, call: _Call) -> np.ndarray:
        """The parameters before the last completed epoch, if there is one, else those before this call."""
        last = self._last or call
        if last is not call and len(last.epochs) > 1:
            self._restore(last)
            self._run(last.epochs.part(0, len(last.epochs) - 1))
            return self.run.params.flat.copy()
        return last.params.copy()

    def _restore(self, call: _Call) -> None:
        """Put parameters and engine where they were before a call of several epochs."""
        assert call.state is not None
        self.run.params.flat[...], self.engine.state = call.params, call.state
