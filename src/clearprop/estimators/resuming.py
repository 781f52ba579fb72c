"""Checkpoints of a fit: all that an estimator has learnt and noted after an epoch, so that another can go on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from clearprop.engine.api import State
from clearprop.errors import ArgumentError, CheckpointError, ModelFileError
from clearprop.estimators.parameters import is_stochastic
from clearprop.schedules import Constant
from clearprop.serialization.codec import pack_network
from clearprop.serialization.sealed import Kind, Sections, check_target, pack_sections, read_sections, remove_leftovers
from clearprop.training.checkpoint import Checkpoint, Writer, as_checkpoint, read_bytes, vector
from clearprop.training.fingerprints import describe_data, first_difference, in_words, patterns

FIT = Kind("fit checkpoint", CheckpointError)
#: What an estimator notes while it is fitted: numbers, and curves with one number for each epoch.
NUMBERS = ("n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_", "_no_improvement_count")
CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
#: Parameters that may differ between the estimator that was stopped and the one that goes on.
_FREE = ("checkpoint", "warm_start", "verbose", "max_iter", "n_jobs", "engine")
_STATE = ("rate", "steps", "epochs", "seed", "ended", "generator", "lowest")


def checkpoint_of(estimator: Any) -> Checkpoint | None:
    """The checkpoint that the estimator's parameter describes; ArgumentError where a fit cannot have one."""
    saved = as_checkpoint(estimator.checkpoint, None, False)
    if saved is None:
        return None
    if not is_stochastic(estimator):
        raise ArgumentError("checkpoint: L-BFGS runs inside SciPy, which keeps its state to itself; leave it out.")
    if estimator.n_networks > 1:
        raise ArgumentError("checkpoint: holds the fit of one network; leave it out, or set n_networks=1.")
    if not isinstance(estimator.random_state, (int, np.integer)):
        raise ArgumentError(
            "checkpoint: expected a whole number as random_state, so that a fit can begin alike a second time, "
            f"got {estimator.random_state!r}."
        )
    check_target(saved.path)
    return saved


class FitSaver:
    """Saves a fit between epochs when it is time to, and puts a descent where it was saved."""

    def __init__(self, saved: Checkpoint, descent: Any, *, first: bool) -> None:
        self.descent, self.path = descent, saved.path
        self.writer = Writer(saved, descent.estimator.n_iter_)
        self.network, self.patterns = pack_network(descent.params.net)
        self.facts = self._facts()
        self.ended = False
        remove_leftovers(saved.path)
        if os.path.isfile(saved.path) and first:
            if not descent.estimator.warm_start:
                raise ArgumentError(
                    f"checkpoint: {saved.path} exists. Go on with that fit by warm_start=True; to begin anew, name "
                    "another file, or delete it."
                )
            self._restore()

    def after_epochs(self, *, ended: bool = False, last: bool = False) -> None:
        """Save if it is time to, and after the last epoch."""
        self.ended = ended
        if ended or last or self.writer.is_due(self.descent.estimator.n_iter_):
            self.writer.save(self.descent.estimator.n_iter_, self._content)

    def _facts(self) -> dict[str, Any]:
        descent, est = self.descent, self.descent.estimator
        held = descent.watch.held_out
        parameters = {name: in_words(value) for name, value in est.get_params(deep=False).items() if name not in _FREE}
        if not isinstance(descent.schedule, Constant):  # others may look at how many epochs there are to be
            parameters["max_iter"] = str(est.max_iter)
        return {
            "data": describe_data(descent.training.objective, None if held is None else held.objective),
            "parameters": {**parameters, "precision": str(descent.params.dtype), "engine": descent.engine.name},
        }

    def _content(self) -> bytes:
        descent, est = self.descent, self.descent.estimator
        state, generator = descent.state, descent.rows.generator
        drawn = None if generator is None else generator.get_state()
        engine = descent.engine.state
        slots = engine.slots
        arrays = {"parameters": descent.params.flat, "order": descent.rows.chosen, **self.patterns}
        arrays |= {f"slot {name}": slot for name, slot in slots.items()}
        arrays |= {name: np.array(row, np.float64) for name in CURVES if (row := getattr(est, name, None)) is not None}
        for name, kept in (("best", descent.watch.best), ("lowest", descent.watch.lowest[1])):
            if kept is not None:
                arrays[name] = kept
        if drawn is not None:
            arrays["generator"] = drawn[1]
        head = {
            "network": self.network,
            "facts": self.facts,
            "numbers": {name: getattr(est, name, None) for name in NUMBERS},
            "slots": list(slots),
            "state": {
                "rate": state.learning_rate,
                "steps": engine.steps,
                "epochs": state.epochs,
                "seed": state.seed,
                "ended": self.ended,
                "generator": None if drawn is None else list(drawn[2:]),
                "lowest": descent.watch.lowest[0],
            },
        }
        return pack_sections(FIT, head, arrays)

    def _restore(self) -> None:
        found = read_sections(read_bytes(self.path), str(self.path), FIT)
        was = {name: found.head.get(name) for name in ("network", "facts")} | patterns(found.arrays)
        difference = first_difference(was, {"network": self.network, "facts": self.facts} | patterns(self.patterns))
        if difference:
            raise CheckpointError(
                f"{self.path}: belongs to another fit. {difference.removeprefix('facts, ')}. Go on with what it was "
                "begun with, or name another file."
            )
        try:
            self._put(found)
        except ModelFileError as reason:
            raise CheckpointError(f"{self.path}: {reason}") from reason

    def _put(self, found: Sections) -> None:
        descent, est, arrays, state = self.descent, self.descent.estimator, found.arrays, found.head.get("state")
        numbers = found.head.get("numbers")
        if not isinstance(state, dict) or set(state) != set(_STATE) or not isinstance(numbers, dict):
            raise ModelFileError("expected the state of a fit.")
        if set(numbers) != set(NUMBERS) or not all(_is_number(numbers[name]) for name in NUMBERS):
            raise ModelFileError(f"expected numbers for {', '.join(NUMBERS)}.")
        if not all(_is_number(state[name]) for name in ("rate", "steps", "epochs", "seed", "lowest")):
            raise ModelFileError("expected numbers for the state of the fit.")
        size, dtype = descent.params.flat.size, descent.params.dtype
        flat = vector(arrays, "parameters", size, dtype)
        best, lowest = (vector(arrays, name, size, dtype) if name in arrays else None for name in ("best", "lowest"))
        slots = descent.engine.state.slots
        slots = {name: vector(arrays, f"slot {name}", slot.size, dtype) for name, slot in slots.items()}
        order = _order(arrays, descent.rows.chosen)
        curves = {name: arrays[name].tolist() if name in arrays else None for name in CURVES}
        if not all(arrays[name].shape == (numbers["n_iter_"],) for name in CURVES if name in arrays):
            raise ModelFileError(f"expected curves of {numbers['n_iter_']} epochs.")
        if descent.rows.generator is not None:
            _set_generator(descent.rows.generator, arrays, state["generator"])
        for name, row in {**numbers, **curves}.items():
            if row is not None or hasattr(est, name):
                setattr(est, name, row)
        descent.params.flat[...] = flat
        descent.watch.best, descent.watch.lowest = best, (state["lowest"], lowest)
        descent.rows.chosen[...] = order
        descent.engine.state = State(state["steps"], slots)
        kept = descent.state
        kept.learning_rate, kept.epochs, kept.seed, self.ended = (
            state[name] for name in ("rate", "epochs", "seed", "ended")
        )


def _is_number(value: Any) -> bool:
    return value is None or type(value) in (int, float)


def _order(arrays: Mapping[str, np.ndarray], chosen: np.ndarray) -> np.ndarray:
    order = arrays.get("order")
    if order is None or order.shape != chosen.shape or not np.array_equal(np.sort(order), np.sort(chosen)):
        raise ModelFileError("expected the training rows in some order.")
    return order


def _set_generator(generator: np.random.RandomState, arrays: Mapping[str, np.ndarray], rest: Any) -> None:
    key = arrays.get("generator")
    if key is None or key.shape != (624,):
        raise ModelFileError("expected the state of a random generator.")
    try:
        generator.set_state(("MT19937", key, *rest))
    except (ValueError, TypeError):
        raise ModelFileError("expected the state of a random generator.") from None
