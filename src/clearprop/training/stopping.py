"""Stopping rules: convergence and early stopping."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from clearprop.checks import check_choice, check_flag, check_integer, check_number, check_text, one_or_several
from clearprop.engine.api import Patience
from clearprop.errors import ArgumentError
from clearprop.training.history import History
from clearprop.training.metrics import METRICS


@dataclass(frozen=True)
class StoppingRule(ABC):
    """A rule that is called with the history after each epoch, and returns the reason to stop, or None to continue.

    >>> import clearprop as cp
    >>> class Budget(cp.training.StoppingRule):
    ...     def reason(self, history):
    ...         return "a minute has passed" if sum(history["seconds"]) > 60 else None
    >>> Budget().reason(cp.History({"cost": [2.0, 1.0], "seconds": [40.0, 30.0]}))
    'a minute has passed'
    """

    @abstractmethod
    def reason(self, history: History) -> str | None:
        """The reason to stop training now, or None."""


@dataclass(frozen=True)
class Convergence(StoppingRule):
    """Stop when the gradient is small, or the cost has hardly changed for `patience` consecutive epochs.

    `gradient_norm` is the threshold for the Euclidean norm of the gradient in the last step of an epoch, `cost_change`
    that for the change of the cost between consecutive epochs, relative to the cost.

    >>> import clearprop as cp
    >>> history = cp.History({"cost": [1.0, 0.5, 0.5], "gradient norm": [1.0, 0.5, 0.5]})
    >>> cp.training.Convergence(cost_change=1e-6, patience=1).reason(history)
    'converged: the cost changed by less than 1e-06 of itself for 1 epoch'
    """

    gradient_norm: float | None = None
    cost_change: float | None = 1e-7
    patience: int = 3

    def __post_init__(self) -> None:
        for name in ("gradient_norm", "cost_change"):
            if getattr(self, name) is not None:
                check_number(getattr(self, name), f"Convergence {name}", above=0)
        if self.gradient_norm is None and self.cost_change is None:
            raise ArgumentError("Convergence: expected a gradient_norm, a cost_change or both, got neither.")
        check_integer(self.patience, "Convergence patience")

    def reason(self, history: History) -> str | None:
        if self.gradient_norm is not None and history["gradient norm"][-1] <= self.gradient_norm:
            return f"converged: the norm of the gradient is at most {self.gradient_norm:g}"
        last = history.cost[-self.patience - 1 :]
        if self.cost_change is not None and len(last) == self.patience + 1:
            changes = [abs(now - before) <= self.cost_change * abs(before) for before, now in pairwise(last)]
            if all(changes):
                epochs = f"{self.patience} epoch{'s' * (self.patience > 1)}"
                return f"converged: the cost changed by less than {self.cost_change:g} of itself for {epochs}"
        return None


@dataclass(frozen=True)
class EarlyStopping(StoppingRule):
    """Stop when `monitor` has not improved by more than min_delta for `patience` epochs (Prechelt 1998).

    `monitor` is a name in the history, such as "validation cost" (the default if there is one, else "cost") or
    "validation accuracy". `best` is "min" or "max"; it is known for costs and the library's metrics. With
    `restore_best` the parameters of the best epoch are restored at the end of training.

    >>> import clearprop as cp
    >>> history = cp.History({"cost": [3.0, 1.0, 2.0, 2.0]})
    >>> cp.EarlyStopping(patience=2).reason(history)
    'stopped early: cost has not improved for 2 epochs (best in epoch 2)'
    """

    monitor: str | None = None
    patience: int = 10
    min_delta: float = 0.0
    best: str | None = None
    restore_best: bool = True

    def __post_init__(self) -> None:
        check_integer(self.patience, "EarlyStopping patience")
        check_number(self.min_delta, "EarlyStopping min_delta", least=0)
        if self.monitor is not None:
            check_text(self.monitor, "EarlyStopping monitor")
        if self.best is not None:
            check_choice(self.best, "EarlyStopping best", ("min", "max"))
        check_flag(self.restore_best, "EarlyStopping restore_best")

    def column(self, history: History) -> str:
        """The name of the monitored column of the history."""
        return self.monitor or ("validation cost" if "validation cost" in history else "cost")

    def _sign(self, name: str) -> float:
        """1 if lower is better, -1 if higher is better."""
        metric = name.removeprefix("validation ")
        if self.best is None and metric != "cost" and metric not in METRICS:
            raise ArgumentError(f'EarlyStopping: expected best="min" or best="max" for "{name}", got None.')
        more_is_better = self.best == "max" if self.best else metric in METRICS and METRICS[metric][1]
        return -1.0 if more_is_better else 1.0

    def best_epoch(self, history: History) -> int:
        """The best epoch so far, counted from 0."""
        name = self.column(history)
        sign, patience = self._sign(name), Patience(math.inf, self.patience, self.min_delta, strict=True)
        return max(0, history.epochs - 1 - patience.after(sign * value for value in history[name]).count)

    def is_best(self, history: History) -> bool:
        """Whether the last epoch is the best so far."""
        return self.best_epoch(history) == history.epochs - 1

    def reason(self, history: History) -> str | None:
        best = self.best_epoch(history)
        if history.epochs - 1 - best < self.patience:
            return None
        epochs = f"{self.patience} epoch{'s' * (self.patience > 1)}"
        return f"stopped early: {self.column(history)} has not improved for {epochs} (best in epoch {best + 1})"


@dataclass(frozen=True)
class Rules:
    """Several rules; the reason to stop is that of the first rule that has one."""

    rules: tuple[StoppingRule, ...] = ()

    @property
    def patience(self) -> None:
        """None: the rules need the history after each epoch."""

    def reason(self, history: History) -> str | None:
        """The reason to stop now, or None."""
        return next(filter(None, (rule.reason(history) for rule in self.rules)), None)

    def resume(self, history: History) -> str | None:
        """The reason why a run with this history had stopped, or None."""
        return self.reason(history)


@dataclass
class LowestValue:
    """The best epoch has the lowest value of a column, or the highest if sign is -1; it must be below `best`."""

    column: str
    sign: float = 1.0
    best: float = math.inf
    epochs: int = 0
    epoch: int = -1

    def is_best(self, history: History) -> bool:
        """Whether the last epoch is the best so far."""
        return self.best_epoch(history) == history.epochs - 1

    def best_epoch(self, history: History) -> int:
        """The best epoch so far, -1 if there is none."""
        for epoch, value in enumerate(history[self.column][self.epochs :], self.epochs):
            if self.sign * value < self.best:
                self.best, self.epoch = self.sign * value, epoch
        self.epochs = history.epochs
        return self.epoch


def as_rules(rules: StoppingRule | Iterable[StoppingRule] | None) -> tuple[StoppingRule, ...]:
    """One or several stopping rules as a tuple."""
    listed = one_or_several(rules)
    for rule in listed:
        if not isinstance(rule, StoppingRule):
            raise ArgumentError(f"stopping: expected rules such as cp.EarlyStopping(), got {rule!r}.")
    if sum(isinstance(rule, EarlyStopping) and rule.restore_best for rule in listed) > 1:
        raise ArgumentError(
            "stopping: only one EarlyStopping can restore its best parameters; set restore_best=False on others."
        )
    return listed
