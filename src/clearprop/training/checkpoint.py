"""Checkpoints: the state of a run in a file, so that a run that was stopped or killed continues bit for bit.

The state is: parameters, the optimizer's slots, completed steps, sums of the present epoch, history, best parameters.
All else follows from that and from the settings: the order of an epoch from the seed and its number, dropout from the
seed, epoch, row and unit, the learning rate from the schedule and the history, and stopping from the history.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.checks import check_choice, check_integer, check_number
from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError, CheckpointError, ModelFileError
from clearprop.serialization.codec import pack_network, rebuild_network
from clearprop.serialization.sealed import (
    Kind,
    Sections,
    check_target,
    pack_sections,
    read_sections,
)
from clearprop.training.fingerprints import first_difference, in_words, patterns
from clearprop.training.history import History, pack_history, rebuild_history
from clearprop.training.rates import Rate

CHECKPOINT = Kind("checkpoint", CheckpointError)
_HEAD = {"network", "facts", "engine", "epochs", "steps", "epoch", "done", "rate", "seconds", "slots", "history", "by"}


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
        return read_snapshot(self.path, own)


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint holds: parameters, best parameters so far (a flat vector, or None), history and the rest.

    `epoch` is the one (from 0) that training is in, `done` its steps so far.
    """

    params: Parameters
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


def pack_snapshot(snapshot: Snapshot, network: dict[str, Any], patterns: Mapping[str, np.ndarray]) -> bytes:
    """The content of a file; `network` and `patterns` are the packed network."""
    recorded, arrays = pack_history(snapshot.history)
    arrays |= {"parameters": snapshot.params.flat, **patterns}
    arrays |= {f"slot {name}": slot for name, slot in snapshot.slots.items()}
    if snapshot.best is not None:
        arrays["best"] = snapshot.best
    if snapshot.done:
        arrays["sums"] = snapshot.sums
    head = {
        "network": network,
        "facts": snapshot.facts,
        "engine": snapshot.engine,
        "epochs": snapshot.epochs,
        "steps": snapshot.steps,
        "epoch": snapshot.epoch,
        "done": snapshot.done,
        "rate": snapshot.learning_rate,
        "seconds": snapshot.seconds,
        "slots": list(snapshot.slots),
        "history": recorded,
        "by": f"clearprop {metadata.version('clearprop')}",
    }
    return pack_sections(CHECKPOINT, head, arrays)


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
    found = _read(path)
    network, arrays = pack_network(params.net)
    was = {"network": found.head.get("network"), **_facts(found)}
    difference = first_difference(was, {"network": network, **facts | patterns(arrays)})
    if difference:
        raise CheckpointError(
            f"{path}: belongs to another run. {difference}. Resume with what it was begun with, or name another file."
        )
    return _checked(path, found, params.net, ())


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


def read_snapshot(path: str | os.PathLike[str], own: Iterable[Activation]) -> Snapshot:
    """A checkpoint from its file."""
    return _checked(path, _read(path), None, own)


def _read(path: str | os.PathLike[str]) -> Sections:
    return read_sections(read_bytes(path), str(path), CHECKPOINT)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file; CheckpointError where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as reason:
        raise CheckpointError(f"{path}: cannot be read: {reason.strerror}.") from reason


def _checked(path: str | os.PathLike[str], found: Sections, net: Network | None, own: Iterable[Activation]) -> Snapshot:
    """What the file holds, for this network or the one that it describes itself."""
    try:
        return _snapshot(found, net, own)
    except ModelFileError as reason:
        raise CheckpointError(f"{path}: {reason}") from reason


def _facts(found: Sections) -> dict[str, Any]:
    facts = found.head.get("facts")
    return (facts if isinstance(facts, dict) else {}) | patterns(found.arrays)


def _snapshot(found: Sections, net: Network | None, own: Iterable[Activation]) -> Snapshot:
    head, arrays = found.head, found.arrays
    if set(head) != _HEAD:
        raise ModelFileError(f"its description lacks or adds {sorted(set(head) ^ _HEAD)[0]!r}.")
    counts = {name: head[name] for name in ("epochs", "steps", "epoch", "done")}
    if not all(type(count) is int and 0 <= count < 2**62 for count in counts.values()):
        raise ModelFileError(f"expected whole numbers of epochs and steps, got {counts}.")
    if not all(type(head[name]) in (int, float) for name in ("rate", "seconds")):
        raise ModelFileError("expected a learning rate and seconds as numbers.")
    if not isinstance(head["slots"], list) or not isinstance(head["facts"], dict):
        raise ModelFileError("expected a list of slots and the facts of the run.")
    net = net or rebuild_network(head["network"], own, arrays)
    sizes = net.layout
    flat = vector(arrays, "parameters", sizes.size)
    history = rebuild_history(head["history"], arrays)
    if history.epochs != head["epoch"]:
        raise ModelFileError(f"expected a history of {head['epoch']} epochs, got {history.epochs}.")
    return Snapshot(
        params=Parameters(net, flat),
        best=vector(arrays, "best", sizes.size, flat.dtype) if "best" in arrays else None,
        history=history,
        epochs=head["epochs"],
        epoch=head["epoch"],
        done=head["done"],
        steps=head["steps"],
        learning_rate=head["rate"],
        seconds=head["seconds"],
        engine=str(head["engine"]),
        slots={name: vector(arrays, f"slot {name}", sizes.trainable, flat.dtype) for name in map(str, head["slots"])},
        sums=np.array(arrays.get("sums", np.zeros(0)), np.float64),
        facts=_facts(found),
    )


def vector(arrays: Mapping[str, np.ndarray], name: str, size: int, dtype: np.dtype | None = None) -> np.ndarray:
    """A copy of one of the arrays, which has to be a vector of so many numbers."""
    found = arrays.get(name)
    dtypes = (np.float32, np.float64) if dtype is None else (dtype,)
    if found is None or found.shape != (size,) or found.dtype not in dtypes:
        got = "none" if found is None else f"shape {found.shape} of {found.dtype}"
        raise ModelFileError(f"{name}: expected a vector of {size} numbers, got {got}.")
    return found.copy()
