"""Single steps of gradient descent, for a training loop of your own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clearprop.checks import check_choice, check_number, check_seed
from clearprop.core.network import Network, check_params
from clearprop.core.objective import losses_by_output, prepare, warn_of_hindrances
from clearprop.core.parameters import Parameters
from clearprop.engine.api import Epochs, State, Training
from clearprop.engine.textbook import TextbookEngine
from clearprop.errors import ArgumentError, TrainingDiverged
from clearprop.losses import Loss
from clearprop.optimizers import LBFGS, Optimizer, as_optimizer
from clearprop.penalties import Limits, Penalty, as_penalties
from clearprop.schedules import Constant


class Stepper:
    """Takes one step of gradient descent at a time, for a training loop of your own.

    `step` changes `params` in place. `state` holds the number of steps and the slots of the optimizer; it can be saved,
    and assigned to continue. The other arguments are those of `cp.train`. For the same batches the parameters are bit
    for bit those of `cp.train(engine="textbook")`, except with dropout: its masks follow from the seed and the number
    of the step, not from the epoch and the row.

    >>> import numpy as np, clearprop as cp
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(seed=0)
    >>> stepper = cp.Stepper(net, params, loss="squared_error", optimizer=cp.SGD(0.5))
    >>> costs = [stepper.step(X, 3 * X + 1) for _ in range(100)]
    >>> params["output"].W["input"].round(3), params["output"].b.round(3), stepper.state.steps
    (array([[3.]]), array([1.]), 100)
    """

    def __init__(
        self,
        net: Network,
        params: Parameters,
        *,
        loss: Loss | str | Mapping[str, Loss | str],
        optimizer: Optimizer | str = "adam",
        seed: int = 0,
        reduction: str = "mean",
        penalty: Penalty | Sequence[Penalty] | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        max_norm: float | None = None,
    ) -> None:
        rule = as_optimizer(optimizer)
        if isinstance(rule, LBFGS):
            raise ArgumentError("optimizer: L-BFGS takes no single steps; use cp.train.")
        check_params(net, params)
        check_choice(reduction, "reduction", ("mean", "sum"))
        self.net, self.params, self.losses, self.optimizer = net, params, losses_by_output(net, loss), rule
        self.reduction, self.seed, self.penalties = reduction, check_seed(seed), as_penalties(penalty)
        self.limits = Limits(clip_norm, clip_value, max_norm)
        slots = {name: np.full_like(params.trainable, rule.first(name)) for name in rule.slots}
        self.state = State(0, slots)

    def step(self, X: Any, y: Any, sample_weight: Any = None, *, learning_rate: float | None = None) -> float:
        """Take one step on a batch, and return its cost J with penalties, as it was before the step.

        X (n samples, i inputs), y and sample_weight (n,) are as in `cp.backpropagate`. `learning_rate` is by default
        that of the optimizer; it is required if the optimizer has a schedule. Raises TrainingDiverged if the cost or an
        output is not finite; the parameters are unchanged then.
        """
        objective = prepare(self.net, self.params, X, y, self.losses, sample_weight, self.reduction)
        rate, rows, steps = self._rate(learning_rate), objective.samples, self.state.steps
        if steps == 0:
            warn_of_hindrances(objective)
        engine = TextbookEngine(
            Training(objective, self.optimizer, self.penalties, self.limits, self.seed, norms=False), self.params
        )
        engine.state = self.state
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # checked below
            result = engine.run(Epochs(steps, np.arange(rows)[None], np.array([0, rows]), np.array([rate])))
        if result.failed_step is not None:
            raise TrainingDiverged(
                f"step {steps + 1}: the cost or an output is NaN or infinite. The parameters are those before the "
                "step. Lower the learning rate, scale the inputs, or set clip_norm=1.",
                step=steps,
                last_finite=self.params.copy(),
            )
        self.state = engine.state
        return result.cost + result.penalty

    def _rate(self, learning_rate: float | None) -> float:
        if learning_rate is not None:
            return check_number(learning_rate, "learning_rate", above=0)
        schedule = self.optimizer.schedule
        if not isinstance(schedule, Constant):
            raise ArgumentError(
                f"learning_rate: the optimizer has the schedule {schedule}, and a single step has no epochs. Give the "
                "learning rate of the step, such as schedule.at(cp.schedules.Progress(step, steps_per_epoch, epochs))."
            )
        return schedule.learning_rate
