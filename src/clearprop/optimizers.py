"""Optimizers: each computes a change of the parameters from the gradient. All engines use these definitions.

An optimizer has named slots: arrays of the shape of the parameters, such as a velocity. Its `update` is elementwise. It
takes the parameter w, its gradient g and its slots, with the learning rate of this step and the number of the step,
t = 1, 2, ..., and returns the change of w and the new slots. The learning rate may be a number or a schedule from
`clearprop.schedules`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from clearprop.checks import check_flag, check_integer, check_number
from clearprop.errors import ArgumentError, unknown
from clearprop.mathematics import Array, maximum, minimum, sign, sqrt, where
from clearprop.schedules import Schedule, as_schedule

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamEpsilonHat",
    "AdamW",
    "GradientDescent",
    "Momentum",
    "Nadam",
    "Nesterov",
    "Optimizer",
    "RMSprop",
    "Rprop",
]


@dataclass(frozen=True)
class Optimizer(ABC):
    """Base class of the optimizers. The first argument is the learning rate, above 0, or a schedule.

    >>> import numpy as np, clearprop as cp
    >>> class SignDescent(cp.optimizers.Optimizer):  # without slots: every weight moves by the learning rate
    ...     def update(self, learning_rate, t, w, g):
    ...         return (-learning_rate * np.sign(g),)
    >>> SignDescent(0.1).update(0.1, 1, w=3.0, g=-2.0)
    (np.float64(0.1),)
    """

    name: ClassVar[str] = ""
    slots: ClassVar[tuple[str, ...]] = ()
    learning_rate: float | Schedule = 0.01

    def __post_init__(self) -> None:
        where_ = f"{type(self).__name__} learning_rate"
        if not isinstance(self.learning_rate, Schedule):
            check_number(self.learning_rate, where_, above=0)
        for field, value in vars(self).items():
            if field == "momentum":
                check_number(value, f"{type(self).__name__} {field}", least=0, most=1)
            elif field in ("decay_rate", "beta_1", "beta_2"):
                check_number(value, f"{type(self).__name__} {field}", least=0, below=1)
            elif field == "epsilon":
                check_number(value, f"{type(self).__name__} {field}", above=0)
            elif field == "weight_decay":
                check_number(value, f"{type(self).__name__} {field}", least=0)

    @property
    def schedule(self) -> Schedule:
        """The learning rate as a schedule."""
        return as_schedule(self.learning_rate)

    @property
    def weight_decay(self) -> float:
        """Each step subtracts learning_rate * weight_decay * w from the weights, besides the update."""
        return 0.0

    def first(self, slot: str) -> float:
        """The initial value of a slot."""
        return 0.0

    @abstractmethod
    def update(self, learning_rate: float, t: int, w: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        """The change of w, then the new value of each slot."""


@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """w <- w - learning_rate g: plain gradient descent.

    >>> import clearprop as cp
    >>> cp.GradientDescent(0.1).update(0.1, 1, w=3.0, g=2.0)
    (-0.2,)
    """

    name = "gradient_descent"

    def update(self, learning_rate: float, t: int, w: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        return (-learning_rate * g,)


@dataclass(frozen=True)
class Momentum(Optimizer):
    """v <- momentum v - learning_rate g, w <- w + v (Rumelhart, Hinton and Williams 1986).

    With a schedule the steps differ from those of torch.optim.SGD, which multiplies the whole velocity by the current
    learning rate; see `SGD`.

    >>> import clearprop as cp
    >>> cp.Momentum(0.1, 0.9).update(0.1, 1, 3.0, 2.0, 1.0)
    (0.7, 0.7)
    """

    name = "momentum"
    slots = ("velocity",)
    momentum: float = 0.9

    def update(self, learning_rate: float, t: int, w: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        (velocity,) = slots
        velocity = self.momentum * velocity - learning_rate * g
        return velocity, velocity


@dataclass(frozen=True)
class Nesterov(Optimizer):
    """v <- momentum v - learning_rate g, w <- w + momentum v - learning_rate g (Nesterov 1983, Sutskever 2013).

    With a schedule the steps differ from those of torch.optim.SGD(nesterov=True); see `SGD`.

    >>> import clearprop as cp
    >>> [round(float(x), 3) for x in cp.Nesterov(0.1, 0.9).update(0.1, 1, 3.0, 2.0, 1.0)]
    [0.43, 0.7]
    """

    name = "nesterov"
    slots = ("velocity",)
    momentum: float = 0.9

    def update(self, learning_rate: float, t: int, w: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        (velocity,) = slots
        velocity = self.momentum * velocity - learning_rate * g
        return self.momentum * velocity - learning_rate * g, velocity


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with optional momentum, which may be Nesterov's.

    The update is that of `GradientDescent`, with momentum that of `Momentum`, with nesterov=True that of `Nesterov`.
    With a constant learning rate the steps equal those of torch.optim.SGD. With momentum and a schedule they differ:
    here each gradient enters the velocity with the learning rate of its own step, v <- momentum v - learning_rate g and
    w <- w + v, as in the papers and in scikit-learn. PyTorch multiplies the velocity by the current learning rate,
    v <- momentum v + g and w <- w - learning_rate v.

    >>> import clearprop as cp
    >>> cp.SGD(0.1).update(0.1, 1, 3.0, 2.0)
    (-0.2,)
    >>> cp.SGD(0.1, momentum=0.9).update(0.1, 1, 3.0, 2.0, 1.0)
    (0.7, 0.7)
    """

    name = "sgd"
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self.nesterov, "SGD nesterov")
        if self.nesterov and not self.momentum:
            raise ArgumentError("SGD nesterov: expected a momentum above 0 with nesterov=True, got momentum=0.")

    @property
    def _rule(self) -> Optimizer:
        if not self.momentum:
            return GradientDescent(self.learning_rate)
        return (Nesterov if self.nesterov else Momentum)(self.learning_rate, self.momentum)

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        """The velocity, if there is momentum."""
        return self._rule.slots

    def update(self, learning_rate: float, t: int, w: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        return self._rule.update(learning_rate, t, w, g, *slots)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """s <- s + g^2, w <- w - learning_rate g / (sqrt(s) + epsilon) (Duchi, Hazan and Singer 2011).

    >>> import clearprop as cp
    >>> [round(float(x), 3) for x in cp.Adagrad(0.1).update(0.1, 1, 3.0, 2.0, 0.0)]
    [-0.1, 4.0]
    """

    name = "adagrad"
    slots = ("square",)
    epsilon: float = 1e-10

    def update(self, learning_rate: float, t: int, w: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        (square,) = slots
        square = square + g * g
        return -learning_rate * g / (sqrt(square) + self.epsilon), square


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """s <- decay_rate s + (1 - decay_rate) g^2, w <- w - learning_rate g / (sqrt(s) + epsilon).

    From Tieleman and Hinton 2012.

    >>> import clearprop as cp
    >>> [round(float(x), 3) for x in cp.RMSprop(0.1, decay_rate=0.75).update(0.1, 1, 3.0, 2.0, 0.0)]
    [-0.2, 1.0]
    """

    name = "rmsprop"
    slots = ("square",)
    decay_rate: float = 0.9
    epsilon: float = 1e-8

    def update(self, learning_rate: float, t: int, w: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        (square,) = slots
        square = self.decay_rate * square + (1 - self.decay_rate) * g * g
        return -learning_rate * g / (sqrt(square) + self.epsilon), square


@dataclass(frozen=True)
class Adam(Optimizer):
    """w <- w - learning_rate mhat / (sqrt(shat) + epsilon), with bias-corrected running means of g and g^2.

    m <- beta_1 m + (1 - beta_1) g and s <- beta_2 s + (1 - beta_2) g^2, mhat = m / (1 - beta_1^t) and
    shat = s / (1 - beta_2^t) (Kingma and Ba 2015, algorithm 1).

    >>> import clearprop as cp
    >>> change, mean, square = cp.Adam(0.1).update(0.1, 1, 3.0, 2.0, 0.0, 0.0)
    >>> round(float(change), 6), round(mean, 6), round(square, 6)
    (-0.1, 0.2, 0.004)
    """

    name = "adam"
    slots = ("mean", "square")
    learning_rate: float | Schedule = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def update(self, learning_rate: float, t: int, w: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        mean, square = slots
        mean = self.beta_1 * mean + (1 - self.beta_1) * g
        square = self.beta_2 * square + (1 - self.beta_2) * g * g
        unbiased = mean / (1 - self.beta_1**t)
        return -learning_rate * unbiased / (sqrt(square / (1 - self.beta_2**t)) + self.epsilon), mean, square


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Each step also subtracts learning_rate * weight_decay * w from the weights; biases do not decay.

    >>> import clearprop as cp
    >>> cp.AdamW(0.001, weight_decay=0.05).weight_decay
    0.05
    """

    name = "adamw"
    weight_decay: float = 0.01  # type: ignore[assignment]


class AdamEpsilonHat(Adam):
    """Adam in the more efficient form given by its authors, which scikit-learn and TensorFlow use.

    w <- w - rate_t m / (sqrt(s) + epsilon), rate_t = learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t): epsilon is
    added before the bias of s is corrected, so it has more effect in the first steps (Kingma and Ba 2015, end of
    section 2).

    >>> import clearprop as cp
    >>> round(float(cp.optimizers.AdamEpsilonHat(0.1, epsilon=0.1).update(0.1, 1, 3.0, 2.0, 0.0, 0.0)[0]), 6)
    -0.038743
    """

    name = "adam_epsilon_hat"

    def update(self, learning_rate: float, t: int, w: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        mean, square = slots
        mean = self.beta_1 * mean + (1 - self.beta_1) * g
        square = self.beta_2 * square + (1 - self.beta_2) * g * g
        rate_t = learning_rate * (1 - self.beta_2**t) ** 0.5 / (1 - self.beta_1**t)
        return -rate_t * mean / (sqrt(square) + self.epsilon), mean, square


@dataclass(frozen=True)
class Nadam(Adam):
    """Adam with Nesterov momentum: mhat = beta_1 m / (1 - beta_1^(t+1)) + (1 - beta_1) g / (1 - beta_1^t) (Dozat 2016).

    beta_1 is constant. In torch.optim.NAdam it grows with the steps, mu_t = beta_1 (1 - 0.96^(0.004 t) / 2) in place of
    beta_1 in the formula of mhat, so its steps differ.

    >>> import clearprop as cp
    >>> round(float(cp.Nadam(0.1).update(0.1, 1, 3.0, 2.0, 0.0, 0.0)[0]), 4)
    -0.1474
    """

    name = "nadam"

    def update(self, learning_rate: float, t: int, w: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        mean, square = slots
        mean = self.beta_1 * mean + (1 - self.beta_1) * g
        square = self.beta_2 * square + (1 - self.beta_2) * g * g
        ahead = self.beta_1 * mean / (1 - self.beta_1 ** (t + 1)) + (1 - self.beta_1) * g / (1 - self.beta_1**t)
        return -learning_rate * ahead / (sqrt(square / (1 - self.beta_2**t)) + self.epsilon), mean, square


@dataclass(frozen=True)
class Rprop(Optimizer):
    """Uses the sign of g only: the step of each parameter grows while the sign stays and shrinks when it changes.

    step <- min(step * grow, largest) where g keeps its sign, max(step * shrink, smallest) where it changes (and g then
    counts as 0 once), w <- w - learning_rate step sign(g), with a first step of 1. For full-batch gradients (Riedmiller
    and Braun 1993, in the variant iRprop- of Igel and Huesken 2003).

    >>> import clearprop as cp
    >>> change, previous, step = cp.Rprop(0.1).update(0.1, 1, 3.0, 2.0, 0.0, 1.0)
    >>> float(change), float(previous), float(step)
    (-0.1, 2.0, 1.0)
    """

    name = "rprop"
    slots = ("previous", "step")
    grow: float = 1.2
    shrink: float = 0.5
    smallest: float = 1e-4
    largest: float = 5000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.grow, "Rprop grow", above=1)
        check_number(self.shrink, "Rprop shrink", above=0, below=1)
        check_number(self.smallest, "Rprop smallest", above=0)
        check_number(self.largest, "Rprop largest", above=self.smallest)

    def first(self, slot: str) -> float:
        return 1.0 if slot == "step" else 0.0

    def update(self, learning_rate: float, t: int, w: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        previous, step = slots
        # sign by sign, because the product of two small gradients is 0
        turn = sign(g) * sign(previous)
        factor = where(turn > 0, self.grow, where(turn < 0, self.shrink, 1.0))
        step = minimum(maximum(step * factor, self.smallest), self.largest)
        g = where(turn < 0, 0, g)
        return -learning_rate * step * sign(g), g, step


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS on the full batch, by SciPy; each epoch is one iteration (Liu and Nocedal 1989).

    `memory` is the number of gradient differences that are stored, `line_steps` the maximum number of evaluations in a
    line search. Training ends when no entry of the gradient is above `gradient_tolerance`, when an iteration decreases
    the cost by less than the fraction `cost_tolerance`, or after `evaluations` of the cost (None for no limit).

    >>> import clearprop as cp
    >>> cp.LBFGS(memory=20).memory
    20
    """

    name: ClassVar[str] = "lbfgs"
    memory: int = 10
    line_steps: int = 20
    gradient_tolerance: float = 1e-12
    cost_tolerance: float = 1e-15
    evaluations: int | None = None

    def __post_init__(self) -> None:
        check_integer(self.memory, "LBFGS memory")
        check_integer(self.line_steps, "LBFGS line_steps")
        check_number(self.gradient_tolerance, "LBFGS gradient_tolerance", least=0)
        check_number(self.cost_tolerance, "LBFGS cost_tolerance", least=0)
        if self.evaluations is not None:
            check_integer(self.evaluations, "LBFGS evaluations")


#: The optimizers of the library by name.
OPTIMIZERS: dict[str, type[Optimizer] | type[LBFGS]] = {
    optimizer.name: optimizer
    for optimizer in (
        SGD,
        GradientDescent,
        Momentum,
        Nesterov,
        Adagrad,
        RMSprop,
        Adam,
        AdamW,
        AdamEpsilonHat,
        Nadam,
        Rprop,
        LBFGS,
    )
}


def as_optimizer(value: str | Optimizer | LBFGS) -> Optimizer | LBFGS:
    """The optimizer of that name with its defaults; an optimizer is returned unchanged.

    >>> as_optimizer("adam").beta_1
    0.9
    """
    if isinstance(value, (Optimizer, LBFGS)):
        return value
    if isinstance(value, str) and value in OPTIMIZERS:
        return OPTIMIZERS[value]()
    raise ArgumentError(f"optimizer: {unknown('optimizer', value, OPTIMIZERS, Optimizer, 'learning_rate')}")
