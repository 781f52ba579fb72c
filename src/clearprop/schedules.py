"""Schedules: the learning rate as a function of the progress of training. Every optimizer takes every schedule.

A schedule depends on the progress only (steps, epochs and costs so far), so a resumed run continues with the same
learning rates.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from clearprop.checks import check_integer, check_number
from clearprop.errors import ArgumentError

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "ExponentialDecay",
    "InverseScaling",
    "OnPlateau",
    "OneCycle",
    "Progress",
    "Schedule",
    "Step",
    "WarmUp",
]


@dataclass(frozen=True)
class Progress:
    """The progress of training before a step; counts start at 0, and `costs` has one entry per finished epoch.

    >>> import clearprop as cp
    >>> progress = cp.schedules.Progress(step=25, steps_per_epoch=10, epochs=5)
    >>> progress.epoch, progress.done
    (2, 2.5)
    """

    step: int
    steps_per_epoch: int
    epochs: int
    costs: Sequence[float] = field(default=(), hash=False)

    @property
    def epoch(self) -> int:
        """The number of finished epochs."""
        return self.step // self.steps_per_epoch

    @property
    def done(self) -> float:
        """Epochs as a fraction, including the part of the current one."""
        return self.step / self.steps_per_epoch


@dataclass(frozen=True)
class Schedule(ABC):
    """The learning rate over time; `learning_rate`, above 0, scales it.

    >>> import clearprop as cp
    >>> class Linear(cp.schedules.Schedule):
    ...     def at(self, progress):
    ...         return self.learning_rate * (1 - progress.done / progress.epochs)
    >>> cp.Adam(Linear(0.1)).schedule.at(cp.schedules.Progress(step=25, steps_per_epoch=10, epochs=5))
    0.05
    """

    name: ClassVar[str] = ""
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        check_number(self.learning_rate, f"{type(self).__name__} learning_rate", above=0)

    @abstractmethod
    def at(self, progress: Progress) -> float:
        """The learning rate of the next step."""


class Constant(Schedule):
    """The same learning rate in every step.

    >>> import clearprop as cp
    >>> cp.schedules.Constant(0.1).at(cp.schedules.Progress(step=7, steps_per_epoch=10, epochs=5))
    0.1
    """

    name = "constant"

    def at(self, progress: Progress) -> float:
        return self.learning_rate


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """learning_rate / t^power in step t = 1, 2, ... (Robbins and Monro 1951 for powers above 1/2).

    >>> import clearprop as cp
    >>> cp.schedules.InverseScaling(0.1, power=0.5).at(cp.schedules.Progress(step=3, steps_per_epoch=10, epochs=5))
    0.05
    """

    name = "inverse_scaling"
    power: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.power, "InverseScaling power", least=0)

    def at(self, progress: Progress) -> float:
        return self.learning_rate / (progress.step + 1) ** self.power


@dataclass(frozen=True)
class Step(Schedule):
    """learning_rate * factor^k, where k grows by 1 every `every` epochs.

    >>> import clearprop as cp
    >>> cp.schedules.Step(0.1, every=2, factor=0.5).at(cp.schedules.Progress(step=25, steps_per_epoch=10, epochs=5))
    0.05
    """

    name = "step"
    every: int = 10
    factor: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer(self.every, "Step every")
        check_number(self.factor, "Step factor", above=0)

    def at(self, progress: Progress) -> float:
        return self.learning_rate * self.factor ** (progress.epoch // self.every)


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """learning_rate * factor^epoch.

    >>> import clearprop as cp
    >>> cp.schedules.ExponentialDecay(0.1, factor=0.5).at(cp.schedules.Progress(step=10, steps_per_epoch=10, epochs=5))
    0.05
    """

    name = "exponential_decay"
    factor: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.factor, "ExponentialDecay factor", above=0, most=1)

    def at(self, progress: Progress) -> float:
        return self.learning_rate * self.factor**progress.epoch


@dataclass(frozen=True)
class Cosine(Schedule):
    """From learning_rate down to `final` along half a cosine over the run (Loshchilov and Hutter 2017).

    >>> import clearprop as cp
    >>> cp.schedules.Cosine(0.1).at(cp.schedules.Progress(step=25, steps_per_epoch=10, epochs=5))
    0.05
    """

    name = "cosine"
    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.final, "Cosine final", least=0, most=self.learning_rate)

    def at(self, progress: Progress) -> float:
        share = min(1.0, progress.done / progress.epochs)
        return self.final + (self.learning_rate - self.final) * 0.5 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from learning_rate / start to learning_rate, then down to learning_rate / end (Smith 2018).

    Both parts follow half a cosine; `rise` is the fraction of the run in which the rate goes up. Where
    torch.optim.lr_scheduler.OneCycleLR differs: its last rate is learning_rate / (div_factor final_div_factor), so its
    defaults are end=250000 here; it reaches the highest and the last rate one step earlier; and it changes the momentum
    too unless cycle_momentum=False.

    >>> import clearprop as cp
    >>> cp.schedules.OneCycle(0.1, rise=0.5).at(cp.schedules.Progress(step=25, steps_per_epoch=10, epochs=5))
    0.1
    """

    name = "one_cycle"
    rise: float = 0.3
    start: float = 25.0
    end: float = 10000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.rise, "OneCycle rise", above=0, below=1)
        check_number(self.start, "OneCycle start", least=1)
        check_number(self.end, "OneCycle end", least=1)

    def at(self, progress: Progress) -> float:
        share = min(1.0, progress.done / progress.epochs)
        if share <= self.rise:
            low, part = self.learning_rate / self.start, 1 - share / self.rise
        else:
            low, part = self.learning_rate / self.end, (share - self.rise) / (1 - self.rise)
        return low + (self.learning_rate - low) * 0.5 * (1 + math.cos(math.pi * part))


@dataclass(frozen=True)
class OnPlateau(Schedule):
    """learning_rate * factor^k, where k grows by 1 when the cost has not improved for `patience` epochs.

    An improvement is a decrease by more than min_delta, relative to the best cost so far. The cost is the validation
    cost if there is validation data, else the training cost. torch.optim.lr_scheduler.ReduceLROnPlateau waits one epoch
    longer (its patience=9 is patience=10 here), and has the default factor=0.1.

    >>> import clearprop as cp
    >>> plateau = cp.schedules.OnPlateau(0.1, factor=0.5, patience=2)
    >>> plateau.at(cp.schedules.Progress(step=4, steps_per_epoch=1, epochs=9, costs=[3.0, 2.0, 2.0, 2.0]))
    0.05
    """

    name = "on_plateau"
    factor: float = 0.5
    patience: int = 10
    min_delta: float = 1e-4
    smallest: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.factor, "OnPlateau factor", above=0, below=1)
        check_integer(self.patience, "OnPlateau patience")
        check_number(self.min_delta, "OnPlateau min_delta", least=0)
        check_number(self.smallest, "OnPlateau smallest", least=0)

    def at(self, progress: Progress) -> float:
        best, waited, rate = math.inf, 0, self.learning_rate
        for cost in progress.costs:
            if cost < best - self.min_delta * abs(best) or best == math.inf:
                best, waited = cost, 0
            else:
                waited += 1
            if waited == self.patience:
                rate, waited = max(rate * self.factor, self.smallest), 0
        return rate


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Rises linearly over the first epochs, then follows another schedule or stays at the learning rate.

    >>> import clearprop as cp
    >>> cp.schedules.WarmUp(cp.schedules.Cosine(0.1), epochs=2).at(
    ...     cp.schedules.Progress(step=9, steps_per_epoch=10, epochs=1000)
    ... ).__round__(4)
    0.05
    """

    name = "warm_up"
    learning_rate: float | Schedule = 0.01  # type: ignore[assignment]
    epochs: float = 5

    def __post_init__(self) -> None:
        if not isinstance(self.learning_rate, Schedule):
            check_number(self.learning_rate, "WarmUp learning_rate", above=0)
        check_number(self.epochs, "WarmUp epochs", above=0)

    def at(self, progress: Progress) -> float:
        share = min(1.0, (progress.step + 1) / (self.epochs * progress.steps_per_epoch))
        return share * as_schedule(self.learning_rate).at(progress)


#: The schedules of the library by name, as in model files.
SCHEDULES: dict[str, type[Schedule]] = {
    schedule.name: schedule
    for schedule in (Constant, InverseScaling, Step, ExponentialDecay, Cosine, OneCycle, OnPlateau, WarmUp)
}


def as_schedule(learning_rate: float | Schedule) -> Schedule:
    """A number as a constant schedule; a schedule is returned unchanged.

    >>> as_schedule(0.1)
    Constant(learning_rate=0.1)
    """
    if isinstance(learning_rate, Schedule):
        return learning_rate
    if isinstance(learning_rate, type):
        raise ArgumentError(f"learning_rate: write {learning_rate.__name__}(learning_rate) with parentheses.")
    return Constant(check_number(learning_rate, "learning_rate", above=0))
