"""A recorder: copies the parameters at some epochs of a training run."""

from __future__ import annotations

from collections.abc import ItemsView

from clearprop.checks import check_integer
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace, backpropagate
from clearprop.errors import ArgumentError
from clearprop.training.callbacks import EpochEnd


class Recorder:
    """A callback of `cp.train` that copies the parameters before the first epoch and after every `every` epochs.

    >>> import clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[1.0]]}})
    >>> recorder = views.Recorder(params, every=2)
    >>> history = cp.train(
    ...     net,
    ...     params,
    ...     [[1.0]],
    ...     [[0.0]],
    ...     loss="squared_error",
    ...     optimizer=cp.GradientDescent(0.25),
    ...     epochs=4,
    ...     callbacks=recorder,
    ... )
    >>> [(epoch, then.flat.tolist()) for epoch, then in recorder.items()]
    [(0, [1.0, 0.0]), (2, [0.625, -0.375]), (4, [0.53125, -0.46875])]
    """

    def __init__(self, params: Parameters, every: int = 1) -> None:
        self.every = check_integer(every, "every")
        if not isinstance(params, Parameters):
            raise ArgumentError(f"Recorder: expected the parameters that are trained, got {type(params).__name__}.")
        self.recorded: dict[int, Parameters] = {0: params.copy()}  #: parameters by the number of epochs done

    def __call__(self, end: EpochEnd) -> None:
        """Record the parameters if `every` divides the number of epochs so far."""
        if (end.epoch + 1) % self.every == 0:
            self.recorded[end.epoch + 1] = end.params.copy()

    def items(self) -> ItemsView[int, Parameters]:
        """Pairs of the number of epochs done and the parameters at that time."""
        return self.recorded.items()

    def __len__(self) -> int:
        return len(self.recorded)

    def traces(self, like: Trace, most: int = 9) -> dict[int, Trace]:
        """The traces of the data of `like` at the recorded epochs, at most `most`, at equal distances."""
        epochs = list(self.recorded)
        count = min(check_integer(most, "most", least=2), len(epochs))
        chosen = sorted({epochs[round(i * (len(epochs) - 1) / max(1, count - 1))] for i in range(count)})
        return {epoch: retrace(like, self.recorded[epoch]) for epoch in chosen}


def spread_out(recorded: list[tuple[int, Parameters]], most: int) -> list[tuple[int, Parameters]]:
    """At most so many of the recorded epochs, evenly spread, with the first and the last."""
    if len(recorded) <= most:
        return recorded
    return [recorded[round(i * (len(recorded) - 1) / (most - 1))] for i in range(most)]


def retrace(like: Trace, params: Parameters) -> Trace:
    """The trace of the same data, losses and weights with other parameters."""
    o = like.objective
    return backpropagate(o.net, params, o.X, dict(o.targets), dict(o.losses), o.sample_weight, o.reduction)
