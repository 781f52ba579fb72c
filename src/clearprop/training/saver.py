"""Saves a run to its checkpoint when it is due, and restores an engine from it."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np

from clearprop.engine.api import Engine, State
from clearprop.errors import CheckpointError, FileWriteError
from clearprop.serialization.atomic import remove_leftovers, write_atomically
from clearprop.serialization.typed_files import pack_file
from clearprop.training.checkpoint import CHECKPOINT, Checkpoint, Snapshot
from clearprop.training.run import Run


class Saver:
    """Saves a run and its engine; a failure warns or raises, as the user chose.

    A run that records epochs by rows is saved between epochs only.
    """

    def __init__(self, checkpoint: Checkpoint, run: Run, engine: Engine, facts: dict[str, Any]) -> None:
        self.checkpoint, self.run, self.engine, self.facts = checkpoint, run, engine, facts
        self.epoch_began, self.rates = time.perf_counter(), np.zeros(0)
        self.saved_at, self.saved_epochs, self.closed = time.monotonic(), run.history.epochs, False
        remove_leftovers(checkpoint.path)

    def begin_epoch(self, began: float, rates: np.ndarray) -> None:
        """Note when an epoch (or the first of several) has begun, and its learning rates."""
        self.epoch_began, self.rates = began, rates

    def within_epoch(self) -> None:
        """Save if it is due, between two steps."""
        if not self.run.by_rows and self._is_due():
            self.save()

    def after_epoch(self, last: bool) -> None:
        """Save if it is due, between two epochs, and after the last one."""
        every, new = self.checkpoint.every, self.run.history.epochs - self.saved_epochs
        if last or self._is_due() or (every is not None and new >= every):
            self.save()
        self.closed = last

    def after_interruption(self, error: BaseException, steps: int) -> None:
        """Save a consistent state; a failure becomes a note of the exception that is being raised."""
        state, finished = self.engine.state, self.run.history.epochs
        within = state.epoch == finished and 0 < state.completed_steps < steps and not self.run.by_rows
        between = state.epoch == finished - 1 or (state.epoch == finished and state.completed_steps == 0)
        if self.closed or not (within or between):
            return
        try:
            self._write()
            error.add_note(f"{self.checkpoint.path} holds the run so far; continue it with resume=True.")
        except FileWriteError as reason:
            error.add_note(f"checkpoint {reason}")

    def save(self) -> None:
        """Save now."""
        try:
            self._write()
        except FileWriteError as reason:
            if self.checkpoint.on_failure == "raise":
                raise
            warnings.warn(f"checkpoint {reason} Training continues.", RuntimeWarning, stacklevel=2)

    def _is_due(self) -> bool:
        seconds = self.checkpoint.seconds
        return seconds is not None and time.monotonic() - self.saved_at >= seconds

    def _write(self) -> None:
        self.saved_at, self.saved_epochs = time.monotonic(), self.run.history.epochs
        write_atomically(self.checkpoint.path, self._content())

    def _content(self) -> bytes:
        run, engine = self.run, self.engine
        engine.write_back()
        state = engine.state
        within = state.epoch == run.history.epochs and state.completed_steps > 0
        snapshot = Snapshot(
            network=run.params.net,
            parameters=run.params.flat,
            best=run.best,
            history=run.history,
            epochs=run.epochs,
            epoch=run.history.epochs,
            done=state.completed_steps if within else 0,
            steps=state.steps,
            learning_rate=float(self.rates[state.completed_steps - 1]) if within else 0.0,
            seconds=time.perf_counter() - self.epoch_began if within else 0.0,
            engine=engine.name,
            slots=state.slots,
            sums=state.sums if within else np.zeros(0),
            facts=self.facts,
        )
        return pack_file(CHECKPOINT, snapshot)

    def restore(self, snapshot: Snapshot) -> None:
        """Restore the engine."""
        engine, path = self.engine, self.checkpoint.path
        if snapshot.engine != engine.name:
            raise CheckpointError(
                f"{path}: was written by the {snapshot.engine} engine; the {engine.name} engine rounds differently. "
                f'Resume with engine="{snapshot.engine}".'
            )
        slots, state = snapshot.slots, engine.state
        sizes = {name: slot.shape for name, slot in state.slots.items()}
        if {name: slot.shape for name, slot in slots.items()} != sizes:
            raise CheckpointError(f"{path}: expected the optimizer's slots {sizes}, got {list(slots)}.")
        if snapshot.done and snapshot.sums.shape != state.sums.shape:
            raise CheckpointError(f"{path}: its sums over the current epoch are not those of this engine.")
        sums = snapshot.sums.copy() if snapshot.done else state.sums
        engine.state = State(snapshot.steps, slots, snapshot.epoch if snapshot.done else -1, snapshot.done, sums)
