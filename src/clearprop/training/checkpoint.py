"""Checkpoints: the state of a run in a file, so that a run that was interrupted or killed continues bit for bit.

The state consists of parameters, the optimizer's slots, completed steps, sums of the present epoch, history and best
parameters. Everything else is computed from the state and the settings: the order of an epoch from the seed and the
number of the epoch, dropout from the seed, epoch, row and unit, the learning rate from the schedule and the history,
and stopping from the history.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.checks import check_choice, check_integer, check_number
from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError, CheckpointError
from clearprop.serialization.atomic import check_target
from clearprop.serialization.codec import definitions, encode
from clearprop.serialization.sealed import Kind
from clearprop.serialization.typed_files import decode_sections, open_file, read_content, read_file
from clearprop.training.fingerprints import description, first_difference, patterns
from clearprop.training.history import History
from clearprop.training.rates import Rate

CHECKPOINT = Kind("checkpoint", CheckpointError)


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often a run is saved: after `every` epochs, or when `seconds` have passed since the last time.

    The default is every 10 seconds. A run is also saved at the beginning, at the end and when training is interrupted.
    If the file cannot be written, `on_failure="warn"` continues with a RuntimeWarning, and the earlier checkpoint
    remains; "raise" raises FileWriteError.

    >>> import pathlib, tempfile, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> task = {"X": [[1.0]], "y": [[1.0]], "loss": "squared_error", "optimizer": cp.Momentum(0.1)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = cp.Checkpoint(f"{folder}/run.ckpt", every=1)
    ...     params = net.initialize(seed=0)
    ...     halfway = cp.train(net, params, **task, epochs=2, checkpoint=saved).epochs
    ...     resumed = cp.train(net, params, **task, epochs=4, checkpoint=saved, resume=True).epochs
    >>> halfway, resumed
    (2, 4)
    """

    path: str | os.PathLike[str]
    every: int | None = None
    seconds: float | None = None
    on_failure: str = "warn"

    def __post_init__(self) -> None:
        if not isinstance(self.path, (str, os.PathLike)) or not os.fspath(self.path):
            raise ArgumentError(f"checkpoint: expected the path of a file, got {self.path!r}.")
        if self.every is not None:
            check_integer(self.every, "checkpoint every")
        if self.seconds is not None:
            check_number(self.seconds, "checkpoint seconds", above=0)
        elif self.every is None:
            object.__setattr__(self, "seconds", 10.0)
        check_choice(self.on_failure, "checkpoint on_failure", ("warn", "raise"))

    def read(self, own: Iterable[Activation] = ()) -> Snapshot:
        """The last saved state of the run, which may still be training; `own` are your own activations.

        Raises CheckpointError if the file is missing, truncated, damaged or not a checkpoint.
        """
        return read_file(read_content(self.path, CHECKPOINT), str(self.path), CHECKPOINT, Snapshot, own)


@dataclass(frozen=True)
class Snapshot:
    """The contents of a checkpoint: parameters, best parameters so far (a flat vector, or None), history and others.

    `epoch` is the present epoch, counted from 0; `done` is the count of its completed steps.
    """

    network: Network
    parameters: np.ndarray
    best: np.ndarray | None
    history: History
    epochs: int
    epoch: int
    done: int
    steps: int
    learning_rate: float
    seconds: float
    engine: str
    slots: dict[str, np.ndarray]
    sums: np.ndarray
    facts: dict[str, Any]
    written_by: str = f"clearprop {metadata.version('clearprop')}"

    def __post_init__(self) -> None:
        layout, dtype = self.network.layout, self.parameters.dtype
        if dtype not in (np.float32, np.float64):
            raise CheckpointError(f"parameters: expected float32 or float64, got {dtype}.")
        vectors = {"parameters": (self.parameters, layout.size)}
        vectors |= {f"slots.{name}": (slot, layout.trainable) for name, slot in self.slots.items()}
        if self.best is not None:
            vectors["best"] = (self.best, layout.size)
        for name, (vector, size) in vectors.items():
            if vector.shape != (size,) or vector.dtype != dtype:
                got = f"shape {vector.shape} of {vector.dtype}"
                raise CheckpointError(f"{name}: expected a vector of {size} numbers of {dtype}, got {got}.")
        for name in ("epochs", "epoch", "done", "steps"):
            check_integer(getattr(self, name), name, least=0)
        if self.sums.ndim != 1 or self.sums.dtype != np.float64:
            raise CheckpointError(f"sums: expected a vector of float64 numbers, got {self.sums.dtype}.")
        if self.history.epochs != self.epoch:
            raise CheckpointError(f"history: expected {self.epoch} epochs, got {self.history.epochs}.")

    @property
    def params(self) -> Parameters:
        """The parameters by layer, as views of the flat vector."""
        return Parameters(self.network, self.parameters)


def as_checkpoint(checkpoint: Any, every: int | None, resume: bool | str) -> Checkpoint | None:
    """The checkpoint that the arguments of `cp.train` describe."""
    if not (isinstance(resume, (bool, np.bool_)) or (isinstance(resume, str) and resume == "auto")):
        raise ArgumentError(f'resume: expected True, False or "auto", got {resume!r}.')
    if checkpoint is None:
        if every is not None or resume:
            raise ArgumentError(f"{'resume' if resume else 'every'}: requires checkpoint=; pass the path of a file.")
        return None
    if isinstance(checkpoint, Checkpoint):
        if every is not None:
            raise ArgumentError("every: set it in cp.Checkpoint, or pass the path of the file as checkpoint.")
        return checkpoint
    return Checkpoint(checkpoint, every)


def open_checkpoint(
    checkpoint: Checkpoint, resume: bool | str, params: Parameters, facts: dict[str, Any]
) -> Snapshot | None:
    """The run to continue, or None for a new one; raises before anything is trained or overwritten."""
    path = checkpoint.path
    check_target(path)
    if not os.path.exists(path):
        if resume is True:
            raise CheckpointError(f'{path}: does not exist. Start without resume, or with resume="auto".')
        return None
    if not resume and os.path.isfile(path):
        raise ArgumentError(
            f"checkpoint: {path} exists. Continue that run with resume=True (--resume); to start a new run, use "
            "another file, or delete it."
        )
    if not resume:
        return None
    sections = open_file(read_content(path, CHECKPOINT), str(path), CHECKPOINT)
    arrays: dict[str, np.ndarray] = {}
    now = {"network": encode(params.net, arrays, "network"), "facts": facts} | patterns(arrays)
    was = {name: sections.head.get(name) for name in ("network", "facts")} | patterns(sections.arrays)
    difference = first_difference(was, now)
    if difference:
        raise CheckpointError(
            f"{path}: belongs to another run. {difference.removeprefix('facts, ')}. "
            "Resume with the original settings and data, or use another file."
        )
    snapshot = decode_sections(sections, str(path), CHECKPOINT, Snapshot, definitions(params.net))
    return replace(snapshot, network=params.net)


def check_steps(snapshot: Snapshot, steps_per_epoch: int, path: str | os.PathLike[str]) -> None:
    """Raise CheckpointError if the counts of steps and epochs are inconsistent."""
    if snapshot.done >= steps_per_epoch or snapshot.steps != snapshot.epoch * steps_per_epoch + snapshot.done:
        raise CheckpointError(
            f"{path}: {snapshot.steps} steps, {snapshot.done} of them in epoch {snapshot.epoch + 1}, are inconsistent "
            f"with {steps_per_epoch} steps per epoch."
        )


def check_epochs(snapshot: Snapshot, rate: Rate, epochs: int, path: str | os.PathLike[str]) -> None:
    """Raise CheckpointError if the learning rates so far would have been different with this number of epochs."""
    check_steps(snapshot, rate.steps_per_epoch, path)
    started = snapshot.epoch + (snapshot.done > 0)
    if epochs < started:
        raise CheckpointError(f"{path}: the run has already started {started} epochs, more than epochs={epochs}.")
    if epochs == snapshot.epochs:
        return
    recorded, costs = snapshot.history["learning rate"] if snapshot.epoch else [], rate.costs()
    sample = np.unique(np.linspace(0, snapshot.epoch - 1, min(snapshot.epoch, 50)).astype(int))
    same = [
        recorded[e] == replace(rate, costs=lambda e=e: costs[:e])((e + 1) * rate.steps_per_epoch - 1) for e in sample
    ]
    if not all(same) or (snapshot.done and snapshot.learning_rate != rate(snapshot.steps - 1)):
        raise CheckpointError(
            f"{path}: was started with epochs={snapshot.epochs}, and its learning rate depends on that: "
            f"{description(rate.schedule)}. Resume with epochs={snapshot.epochs}."
        )
