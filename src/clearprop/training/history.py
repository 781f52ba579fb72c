"""The history of a training run: a number per epoch for each thing recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clearprop.errors import ArgumentError, suggest


@dataclass
class History:
    """What each epoch recorded: `history["cost"]`, `history["validation cost"]`, metrics by name, "rate", "seconds".

    The training cost of an epoch is what its steps saw, before each step's change (with penalties); the validation
    cost is that of the parameters after the epoch. `delta_norms["hidden"]` and `gradient_norms["hidden"]` are Euclidean
    norms of delta and of the gradient in the last step of each epoch. `stopped` says in words why training ended, and
    `best_epoch` (from 0) which epoch's parameters were kept, None for the last.

    >>> import clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[0.0]]}})
    >>> descent = cp.GradientDescent(0.25)
    >>> history = cp.train(net, params, [[1.0]], [[1.0]], loss="squared_error", optimizer=descent, epochs=3)
    >>> history.cost, history["rate"], history.gradient_norms["output"][0].__round__(4), history.stopped
    ([0.5, 0.125, 0.03125], [0.25, 0.25, 0.25], 1.4142, 'finished 3 epochs')
    """

    columns: dict[str, list[float]] = field(default_factory=dict)
    delta_norms: dict[str, list[float]] = field(default_factory=dict)
    gradient_norms: dict[str, list[float]] = field(default_factory=dict)
    stopped: str = ""
    best_epoch: int | None = None

    @property
    def epochs(self) -> int:
        """Number of epochs finished."""
        return len(self.columns.get("cost", ()))

    @property
    def cost(self) -> list[float]:
        """The training cost of each epoch; empty before the first."""
        return self.columns.get("cost", [])

    def __getitem__(self, name: str) -> list[float]:
        """The numbers recorded under a name, one per epoch."""
        if name not in self.columns:
            raise ArgumentError(f'history: nothing is recorded as "{name}". {suggest(name, self.columns)}')
        return self.columns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def record(
        self, numbers: Mapping[str, float], delta_norms: Mapping[str, float], gradient_norms: Mapping[str, float]
    ) -> None:
        """Add one epoch."""
        for columns, new in (
            (self.columns, numbers),
            (self.delta_norms, delta_norms),
            (self.gradient_norms, gradient_norms),
        ):
            for name, number in new.items():
                columns.setdefault(name, []).append(float(number))

    def __str__(self) -> str:
        """A line per epoch, at most 12 of them spread over the run, and why it stopped."""
        wide = {name: max(12, len(name)) for name in self.columns}
        lines = [f"{'epoch':>6s}  " + "  ".join(f"{name:>{wide[name]}s}" for name in self.columns)]
        shown = (
            sorted({round(i * (self.epochs - 1) / 11) for i in range(12)}) if self.epochs > 12 else range(self.epochs)
        )
        for epoch in shown:
            numbers = "  ".join(f"{values[epoch]:{wide[name]}.6g}" for name, values in self.columns.items())
            lines.append(f"{epoch + 1:6d}  {numbers}")
        return "\n".join([*lines, self.stopped] if self.stopped else lines)
