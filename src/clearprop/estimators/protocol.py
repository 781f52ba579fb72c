"""Parts of a training run in scikit-learn's form: order of rows, learning rate, stopping, callbacks, messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.utils._available_if import _AvailableIfDescriptor

from clearprop.engine.api import Patience
from clearprop.engine.shuffling import shuffled
from clearprop.errors import TrainingDiverged
from clearprop.estimators import parameters as settings
from clearprop.training.callbacks import EpochEnd
from clearprop.training.divergence import Divergence
from clearprop.training.history import History

#: Below this rate "adaptive" stops dividing it, and training ends.
SMALLEST_RATE = 1e-6


class FitDiverged(TrainingDiverged, ValueError):
    """A fit whose loss or parameters became NaN or infinite; a ValueError, as in scikit-learn."""


def fit_diverged(found: Divergence, hint: str) -> FitDiverged:
    """The exception for a divergence; its first sentence is the one that scikit-learn's users know."""
    return FitDiverged(
        "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
        f"preprocessed. It happened in {found.location}: {found.explanation} Scale the inputs, lower "
        "learning_rate_init, or set clip_norm=1.",
        **found.details,  # type: ignore[arg-type]
    )


@dataclass
class ShuffledRows:
    """Batches of rows that one generator shuffles again and again; without a generator they keep their order.

    scikit-learn shuffles the numbers from 0 to n - 1 and takes the rows at these positions. The swaps of a shuffle do
    not depend on what is swapped, so shuffling the row numbers themselves gives the same order.
    """

    rows: np.ndarray
    batch_size: int
    generator: np.random.RandomState | None
    shuffle: Callable[[np.ndarray, np.random.RandomState, int], np.ndarray] = shuffled
    epochs: int = 0  #: epochs whose orders were drawn

    def __post_init__(self) -> None:
        self.rows = self.rows.astype(np.int64)
        self.edges = np.append(np.arange(0, len(self.rows), self.batch_size), len(self.rows))
        self.edges.flags.writeable = False  # so that an engine needs to check them only once
        #: An epoch, and generator and rows before it; noted once, as it takes as long as to shuffle thousands of rows.
        self._noted: tuple[int, Any, np.ndarray] | None = None

    def orders(self, first: int, count: int) -> np.ndarray:
        """The rows in the order of `count` epochs from `first` on, (count, n); those before are drawn if need be."""
        if self.generator is None:
            return np.repeat(self.rows[None], count, axis=0)
        for _ in range(self.epochs, first):
            self.shuffle(self.rows, self.generator, 1)
        if count > 1 and self._noted is None:
            self._noted = first, self.generator.get_state(legacy=False), self.rows.copy()
        self._first, self.epochs = first, first + count
        return self.shuffle(self.rows, self.generator, count)

    def discard_after(self, count: int) -> None:
        """Take back the orders returned last, but for the first `count`: the generator stands after these."""
        if self.generator is not None and self._noted is not None:
            begun, state, rows = self._noted
            self.rows[...], self.epochs = rows, self._first + count
            self.generator.set_state(state)
            for _ in range(begun, self.epochs):
                self.shuffle(self.rows, self.generator, 1)


@dataclass
class SgdRate:
    """scikit-learn's rates for sgd: "constant", "invscaling" or "adaptive"; `t` rows were seen before this run."""

    kind: str
    rate: float
    initial: float
    power_t: float
    t: int
    rows: int
    steps: int
    is_known_ahead: bool = True

    def of_epochs(self, first: int, count: int) -> np.ndarray:
        """The rate of each step of `count` epochs from `first` on, (count * steps,)."""
        return np.repeat([self.at(epoch) for epoch in range(first, first + count)], self.steps)

    def at(self, epoch: int) -> float:
        """The rate of an epoch of this run."""
        if epoch == 0 or self.kind != "invscaling":
            return self.rate
        return self.initial / (self.t + epoch * self.rows + 1) ** self.power_t

    def reduce(self) -> bool:
        """Divide the rate by 5, if it is adaptive and not too small; whether it was done."""
        if self.kind != "adaptive" or self.rate <= SMALLEST_RATE:
            return False
        self.rate /= 5.0
        return True


@dataclass
class NoImprovement:
    """Stops after too many epochs in which the loss did not fall, or the score did not rise, by `tol`.

    An adaptive rate is divided first.
    """

    patience: Patience
    column: str = "cost"
    sign: float = 1.0
    rate: SgdRate | None = None
    report: Callable[[str], None] = lambda message: None
    seen: int = 0  #: epochs of the history that were counted

    def reason(self, history: History) -> str | None:
        """Why to stop after the epochs since the last call; only the last of them can exhaust the patience."""
        return self._count(history.columns.get(self.column, [])[self.seen :])

    def resume(self, history: History) -> str | None:
        """Count the epochs of a run that is resumed; why it had stopped, or None."""
        report, self.report = self.report, lambda message: None
        reasons = [self._count([value]) for value in history.columns.get(self.column, [])]
        self.report = report
        return reasons[-1] if reasons else None

    def _count(self, values: list[float]) -> str | None:
        self.seen += len(values)
        self.patience = self.patience.after(values if self.sign == 1.0 else [self.sign * v for v in values])
        if not (values and self.patience.is_exhausted):
            return None
        unchanged = f"No improvement by tol={self.patience.tol:g}"
        if self.rate is not None and self.rate.reduce():
            self.patience = replace(self.patience, count=0)
            self.report(f"{unchanged}: learning rate {self.rate.rate:g} from here on.")
            return None
        self.report(f"{unchanged} for {self.patience.most} epochs: stopped.")
        return f"no improvement by tol={self.patience.tol:g} for {self.patience.most} epochs"


@dataclass
class OptimizerState:
    """What partial_fit continues from: the rate and what it follows, the optimizer's slots, counts and a seed."""

    learning_rate: float
    follows: tuple[Any, ...] | None = None
    slots: dict[str, np.ndarray] = field(default_factory=dict)
    steps: int = 0
    epochs: int = 0
    seed: int = 0


class Hooks:
    """scikit-learn's callbacks, if any are set: a task for the fit, and one for each epoch or each member."""

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, model: Callable[[], dict[str, Any]]) -> None:
        self.estimator, self.model = estimator, model
        several = estimator.n_networks > 1
        tasks = int(estimator.n_networks if several else estimator.max_iter)
        self.root = estimator._init_callback_context(max_subtasks=tasks, sequential_subtasks=not several)
        self.active = bool(getattr(estimator, "_skl_callbacks", None))
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.data = {"X": X, "y": y, "metadata": metadata}
        self.root.call_on_fit_task_begin(estimator=estimator, **self.data)

    def begin_epoch(self) -> None:
        """Begin the task of an epoch."""
        self.task = self.root.subcontext(task_name="epoch")
        self.task.call_on_fit_task_begin(estimator=self.estimator, reconstruction_attributes=self.model, **self.data)

    def end_epoch(self, end: EpochEnd) -> bool:
        """End the task of an epoch; True when a callback asks to stop."""
        return self.task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=self.model, **self.data
        )

    @contextmanager
    def member(self, number: int, member: Any) -> Iterator[None]:
        """Inside, a network of an ensemble is trained, which is a task of its own."""
        task = self.root.subcontext(task_name="network", task_id=number)
        with task.propagate_callback_context(member):
            yield

    def end(self) -> None:
        """End the task of the fit."""
        self.root.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=self.model, **self.data)


class PartialFitUnavailable(AttributeError, ValueError):
    """partial_fit is not available with these parameters; also a ValueError, as in scikit-learn."""


class _Available(_AvailableIfDescriptor):
    """A method that is available if a check of the estimator raises nothing; otherwise the check's error is raised."""

    def _check(self, obj: Any, owner: Any) -> None:
        self.check(obj)


def _check_partial_fit(estimator: Any) -> bool:
    if not settings.is_stochastic(estimator):
        raise PartialFitUnavailable("partial_fit trains on batches, so it is not available with solver='lbfgs'.")
    return True


def available_partial_fit(method: Any) -> Any:
    """Decorate partial_fit: available with stochastic solvers."""
    return _Available(method, _check_partial_fit, method.__name__)


def print_epochs(history: History, new: int) -> None:
    """Print the last epochs in scikit-learn's form."""
    scores = history.columns.get("validation score")
    score = f", validation score = {scores[-1]:.6f}" if scores else ""
    for epoch in range(history.epochs - new, history.epochs):
        print(f"Iteration {epoch + 1}, loss = {history.cost[epoch]:.8f}{score}")
