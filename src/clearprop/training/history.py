"""The history of a training run: columns of numbers, one number per epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np

from clearprop.display import Displayed
from clearprop.errors import ArgumentError, suggest
from clearprop.serialization.codec import AnyFloat
from clearprop.terminal import format_table, wrap

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Default = TypeVar("Default")

_PARTS = ("columns", "delta_norms", "gradient_norms")


@dataclass(frozen=True)
class Facts:
    """What the costs of a history are of, as far as it is known.

    `rows` is the number of training rows, 0 if unknown. `shuffled` is whether they came in a new order in each epoch,
    `penalized` whether the cost includes penalties, and `optimizer` the name of the optimizer. `summed` has, with the
    reduction "sum", the sum of the weights of the rows in "cost" and in "validation cost". `held_out` has the targets
    of the validation rows by output layer, and their weights.
    """

    rows: int = 0
    shuffled: bool = True
    penalized: bool = False
    optimizer: str = ""
    summed: Mapping[str, float] = field(default_factory=dict)
    held_out: tuple[Mapping[str, np.ndarray], np.ndarray | None] | None = None


@dataclass(repr=False)
class History(Mapping[str, list[float]], Displayed):
    """The values recorded in each epoch, as a mapping of columns: `history["cost"]`, `history["validation cost"]`.

    The other columns are the metrics by name, "learning rate", "gradient norm" and "seconds". `dict(history)`,
    `history.to_pandas()` and `history.to_polars()` convert it.

    The training cost of an epoch is the average over its steps, each before its update, with penalties; the validation
    cost is that of the parameters after the epoch. `delta_norms["hidden"]` and `gradient_norms["hidden"]` are Euclidean
    norms of delta and of the gradient in the last step of each epoch. `stopped` is the reason why training ended, and
    `best_epoch` (from 0) the epoch whose parameters were restored, None for the last. `unfinished` is empty unless
    training was interrupted within an epoch and left the parameters there: then it has "epoch" (from 0), the "steps"
    done in it, and with validation data the "validation cost" of those parameters. After a divergence, it has the
    "epoch" and "diverged" (1).

    `facts` tells how the costs came about; files do not have it.

    >>> import clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[0.0]]}})
    >>> descent = cp.GradientDescent(0.25)
    >>> history = cp.train(net, params, [[1.0]], [[1.0]], loss="squared_error", optimizer=descent, epochs=3)
    >>> history.cost, history["learning rate"], history.gradient_norms["output"][0].__round__(4), history.stopped
    ([0.5, 0.125, 0.03125], [0.25, 0.25, 0.25], 1.4142, 'finished 3 epochs')
    >>> list(history)
    ['cost', 'learning rate', 'gradient norm', 'seconds']
    """

    columns: dict[str, list[float]] = field(default_factory=dict)
    delta_norms: dict[str, list[float]] = field(default_factory=dict)
    gradient_norms: dict[str, list[float]] = field(default_factory=dict)
    stopped: str = ""
    best_epoch: int | None = None
    unfinished: dict[str, AnyFloat] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.facts = Facts()
        lengths = {len(row) for part in _PARTS for row in getattr(self, part).values()}
        if len(lengths) > 1:
            raise ArgumentError(f"History: expected columns of one length, got lengths {sorted(lengths)}.")
        if self.best_epoch is not None and not 0 <= self.best_epoch < self.epochs:
            raise ArgumentError(f"History best_epoch: expected one of {self.epochs} epochs, got {self.best_epoch}.")

    def __repr__(self) -> str:
        if not self.epochs:
            return "<History: no epoch yet>"
        cost = f"cost {self.cost[0]:.6g} in the first, {self.cost[-1]:.6g} in the last"
        return f"<History of {self.epochs:,} epochs: {cost}; print it to see more>"

    @property
    def epochs(self) -> int:
        """The number of finished epochs."""
        return len(self.columns.get("cost", ()))

    @property
    def cost(self) -> list[float]:
        """The training cost of each epoch; empty before the first."""
        return self.columns.get("cost", [])

    def __getitem__(self, name: str) -> list[float]:
        """A column, with one number per epoch."""
        if name not in self.columns:
            raise ArgumentError(f'history: nothing is recorded as "{name}". {suggest(name, self.columns)}')
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        """The number of columns."""
        return len(self.columns)

    @overload
    def get(self, key: str, /) -> list[float] | None: ...
    @overload
    def get(self, key: str, /, default: list[float] | Default) -> list[float] | Default: ...
    def get(self, key: str, /, default: Any = None) -> Any:
        """A column, or `default` if it was not recorded."""
        return self.columns.get(key, default)

    def to_pandas(self) -> pd.DataFrame:
        """A pandas data frame with a row per epoch; the index counts epochs from 1."""
        import pandas as pd

        return pd.DataFrame(self.columns, index=pd.RangeIndex(1, self.epochs + 1, name="epoch"))

    def to_polars(self) -> pl.DataFrame:
        """A Polars data frame with a row per epoch; the first column, "epoch", counts from 1."""
        import polars as pl

        return pl.DataFrame({"epoch": range(1, self.epochs + 1), **self.columns})

    def record(
        self, numbers: Mapping[str, float], delta_norms: Mapping[str, float], gradient_norms: Mapping[str, float]
    ) -> None:
        """Add one epoch."""
        new = (self.columns, numbers), (self.delta_norms, delta_norms), (self.gradient_norms, gradient_norms)
        rows = [(columns.setdefault(name, []), float(number)) for columns, row in new for name, number in row.items()]
        for column, number in rows:
            column.append(number)

    def even_out(self) -> None:
        """Drop an epoch that was recorded incompletely."""
        columns = [row for part in _PARTS for row in getattr(self, part).values()]
        shortest = min(map(len, columns), default=0)
        for row in columns:
            del row[shortest:]

    def __str__(self) -> str:
        """A line per epoch, at most 12 of them spread over the run, and why it stopped."""
        shown = (
            sorted({round(i * (self.epochs - 1) / 11) for i in range(12)}) if self.epochs > 12 else range(self.epochs)
        )
        rows = [[f"{epoch + 1:6,d}", *(values[epoch] for values in self.columns.values())] for epoch in shown]
        table = format_table(["epoch", *self.columns], rows, least=12)
        return f"{table}\n{wrap(self.stopped)}" if self.stopped else table
