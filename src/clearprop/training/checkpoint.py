"""Checkpoints: the state of a run in a file, so that a run that was stopped or killed continues bit for bit.

The state is: parameters, the optimizer's slots, completed steps, sums of the present epoch, history, best parameters.
All else follows from that and from the settings: the order of an epoch from the seed and its number, dropout from the
seed, epoch, row and unit, the learning rate from the schedule and the history, and stopping from the history.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
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
from clearprop.serialization.typed_files import decode_sections, open_file, read_file
from clearprop.training.fingerprints import first_difference, in_words, patterns
from clearprop.training.history import History
from clearprop.training.rates import Rate

CHECKPOINT = Kind("checkpoint", CheckpointError)


@dataclass(frozen=True)
class Checkpoint:
    """Where and how often a run is saved: after `every` epochs, or when `seconds` have passed since the last time.

    Without either it is saved every 10 seconds; always at the beginning, at the end and when training is interrupted.
    Where the file cannot be written, `on_failure="warn"` goes on with a RuntimeWarning, the earlier checkpoint being
    still there, and "raise" stops with FileWriteError.

    >>> import pathlib, tempfile, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> task = {"X": [[1.0]], "y": [[1.0]], "loss": "squared_error", "optimizer": cp.Momentum(0.1)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = cp.Checkpoint(f"{folder}/run.ckpt", every=1)
    ...     params = net.initialize(seed=0)
    ...     halfway = cp.train(net, params, **task, epochs=2, checkpoint=saved).epochs
    ...     whole = cp.train(net, params, **task, epochs=4, checkpoint=saved, resume=True).epochs
    >>> halfway, whole
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
        """The run as it was saved last, also while it goes on; `own` are your own activations.

        Raises CheckpointError when the file is missing, cut off, damaged or something else.
        """
        return read_file(_content(self.path), str(self.path), CHECKPOINT, Snapshot, own)


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint holds: parameters, best parameters so far (a flat vector, or None), history and the rest.

    `epoch` is the one (from 0) that training is in, `done` its steps so far.
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
        """The parameters by layer, as views of the vector."""
        return Parameters(self.network, self.parameters)


def as_checkpoint(given: Any, every: int | None, resume: bool | str) -> Checkpoint | None:
    """The checkpoint that the arguments of `cp.train` describe."""
    if not (isinstance(resume, (bool, np.bool_)) or (isinstance(resume, str) and resume == "auto")):
        raise ArgumentError(f'resume: expected True, False or "auto", got {resume!r}.')
    if given is None:
        if every is not None or resume:
            raise ArgumentError(f"{'resume' if resume else 'every'}: belongs to a checkpoint; name its file too.")
        return None
    if isinstance(given, Checkpoint):
        if every is not None:
            raise ArgumentError("every: is part of the cp.Checkpoint already; leave it out, or give the path alone.")
        return given
    return Checkpoint(given, every)


def open_checkpoint(
    checkpoint: Checkpoint, resume: bool | str, params: Parameters, facts: dict[str, Any]
) -> Snapshot | None:
    """The run to go on with, or None where one is to begin; raises before anything is trained or written over."""
    path = checkpoint.path
    check_target(path)
    if not os.path.exists(path):
        if resume is True:
            raise CheckpointError(f'{path}: does not exist. Begin without resume, or with resume="auto".')
        return None
    if not resume and os.path.isfile(path):
        raise ArgumentError(
            f"checkpoint: {path} exists. Go on with that run by resume=True (--resume); to begin anew, name another "
            "file, or delete it."
        )
    if not resume:
        return None
    sections = open_file(_content(path), str(path), CHECKPOINT)
    arrays: dict[str, np.ndarray] = {}
    now = {"network": encode(params.net, arrays, "network"), "facts": facts} | patterns(arrays)
    was = {name: sections.head.get(name) for name in ("network", "facts")} | patterns(sections.arrays)
    difference = first_difference(was, now)
    if difference:
        raise CheckpointError(
            f"{path}: belongs to another run. {difference.removeprefix('facts, ')}. "
            "Resume with what it was begun with, or name another file."
        )
    snapshot = decode_sections(sections, str(path), CHECKPOINT, Snapshot, definitions(params.net))
    return replace(snapshot, network=params.net)


def check_steps(snapshot: Snapshot, steps_per_epoch: int, path: str | os.PathLike[str]) -> None:
    """Raise CheckpointError if the counts of steps and epochs contradict each other."""
    if snapshot.done >= steps_per_epoch or snapshot.steps != snapshot.epoch * steps_per_epoch + snapshot.done:
        raise CheckpointError(
            f"{path}: {snapshot.steps} steps, {snapshot.done} of them in epoch {snapshot.epoch + 1}, do not go "
            f"together with {steps_per_epoch} steps an epoch."
        )


def check_epochs(snapshot: Snapshot, rate: Rate, epochs: int, path: str | os.PathLike[str]) -> None:
    """Raise CheckpointError if the learning rates so far would have been others with this number of epochs."""
    check_steps(snapshot, rate.steps_per_epoch, path)
    begun = snapshot.epoch + (snapshot.done > 0)
    if epochs < begun:
        raise CheckpointError(f"{path}: has begun {begun} epochs already, more than epochs={epochs}.")
    if epochs == snapshot.epochs:
        return
    recorded, costs = snapshot.history["learning rate"] if snapshot.epoch else [], rate.costs()
    looked_at = np.unique(np.linspace(0, snapshot.epoch - 1, min(snapshot.epoch, 50)).astype(int))
    same = [
        recorded[e] == replace(rate, costs=lambda e=e: costs[:e])((e + 1) * rate.steps_per_epoch - 1) for e in looked_at
    ]
    if not all(same) or (snapshot.done and snapshot.learning_rate != rate(snapshot.steps - 1)):
        raise CheckpointError(
            f"{path}: was begun with epochs={snapshot.epochs}, and the learning rate of its steps depends on that: "
            f"{in_words(rate.schedule)}. Resume with epochs={snapshot.epochs}."
        )


def _content(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as reason:
        raise CheckpointError(f"{path}: cannot be read: {reason.strerror}.") from reason
