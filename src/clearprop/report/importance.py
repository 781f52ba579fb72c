"""Permutation importance: the growth of the loss when the values of a column are shuffled (Breiman 2001)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from clearprop.activations import Sigmoid, Softmax
from clearprop.core.objective import Objective
from clearprop.core.trace import predict
from clearprop.draw.column_charts import repeated_bars
from clearprop.draw.document import Section, Table
from clearprop.draw.figure import Figure
from clearprop.draw.svg import number, percent, shorten
from clearprop.losses import SquaredError, usual_loss
from clearprop.report.headline import beats_constant
from clearprop.report.section import Evaluated, quoted, section

ROWS = 2000
REPEATS = 5
_LEAST_ROWS = 200
_LEAST_COLUMNS = 20
_COLUMNS_DRAWN = 15
#: Limit on the operations of all forward sweeps: about a second on one core.
BUDGET = 1e10
#: A mean of REPEATS shuffles is beyond chance if it is these many standard errors above 0: t of 99% for 4 degrees.
_BEYOND = 3.75


@dataclass(frozen=True)
class Importance:
    """How much the loss grows when columns are shuffled: `growth` (names, repeats), in the order of `names`.

    `rows` is the number of rows, `error` their loss before shuffling. `names` are columns, or groups of neighbouring
    columns that are shuffled together.
    """

    names: tuple[str, ...]
    growth: np.ndarray
    error: float
    rows: int

    @property
    def mean(self) -> np.ndarray:
        """The mean growth of each name."""
        return self.growth.mean(axis=1)

    @property
    def order(self) -> np.ndarray:
        """Indices of the names, the most important first."""
        return np.argsort(-self.mean, kind="stable")

    @property
    def significant(self) -> np.ndarray:
        """Whether the growth of each name is beyond chance."""
        noise = self.growth.std(axis=1, ddof=1) / np.sqrt(self.growth.shape[1])
        return self.mean > _BEYOND * noise


@dataclass(frozen=True)
class Plan:
    """The rows to use, and the columns; `groups` of columns first if there are too many to try each (else empty)."""

    rows: np.ndarray
    columns: dict[str, slice]
    groups: dict[str, list[str]]
    singly: int  #: the number of columns that are tried one by one


def plan(evaluated: Evaluated, generator: np.random.Generator, budget: float = BUDGET) -> Plan:
    """At most ROWS random rows, fewer if there are many columns and parameters; then groups of neighbouring columns."""
    net, columns = evaluated.model.net, evaluated.columns
    cost = REPEATS * (net.parameter_count + 10 * net.inputs)  # of one row, with shuffling and checks
    samples = evaluated.objective.samples
    rows = int(min(ROWS, samples, max(_LEAST_ROWS, budget / (cost * len(columns)))))
    chosen = np.sort(generator.choice(samples, size=rows, replace=False))
    most = max(2 * _LEAST_COLUMNS, int(budget / (cost * rows)))
    if len(columns) <= most:
        return Plan(chosen, columns, {}, len(columns))
    names = [list(part) for part in np.array_split(np.array(list(columns), object), min(40, most // 2))]
    groups = {f"{group[0][:40]} … {group[-1][:40]}": group for group in names}
    return Plan(chosen, columns, groups, most // 2)


def importance(
    error: Callable[[np.ndarray], float],
    X: np.ndarray,
    columns: Mapping[str, slice],
    generator: np.random.Generator,
    repeats: int = REPEATS,
) -> Importance:
    """Shuffle the inputs of each column together, `repeats` times, and measure the growth of `error(X)`.

    >>> import numpy as np
    >>> X = np.arange(10.0).reshape(5, 2)
    >>> found = importance(
    ...     lambda Z: float(np.abs(Z[:, 0] - X[:, 0]).mean()),
    ...     X,
    ...     {"a": slice(0, 1), "b": slice(1, 2)},
    ...     np.random.default_rng(0),
    ... )
    >>> bool(found.mean[0] > 0), float(found.mean[1])
    (True, 0.0)
    """
    before = error(X)
    shuffled = X.copy()
    growth = np.zeros((len(columns), repeats))
    for i, inputs in enumerate(columns.values()):
        for k in range(repeats):
            shuffled[:, inputs] = X[generator.permutation(len(X)), inputs]
            growth[i, k] = error(shuffled) - before
        shuffled[:, inputs] = X[:, inputs]
    return Importance(tuple(columns), growth, before, len(X))


@dataclass(frozen=True)
class Measured:
    """The importance of the columns that were tried one by one, and before that of groups if there are many columns."""

    columns: Importance | None
    groups: Importance | None
    scale: Loss
    in_all: int


@dataclass(frozen=True)
class Loss:
    """The loss that grows: its function of X, its name, and how a growth is written."""

    of: Callable[[np.ndarray], float]
    name: str
    written: Callable[[float], str]


def measure(evaluated: Evaluated) -> Measured:
    """Try each column, or groups of columns and then each column of the most important groups.

    Nothing is measured if the loss is not finite.
    """
    measured = _measure(evaluated)
    tried = [found for found in (measured.groups, measured.columns) if found is not None]
    if all(np.isfinite(found.growth).all() for found in tried):
        return measured
    return replace(measured, columns=None, groups=None)


def _measure(evaluated: Evaluated) -> Measured:
    generator = np.random.default_rng(evaluated.seed)
    chosen = plan(evaluated, generator)
    loss = _loss(evaluated, chosen.rows)
    X, columns = evaluated.objective.X[chosen.rows], chosen.columns
    if not chosen.groups:
        return Measured(importance(loss.of, X, columns, generator), None, loss, len(columns))
    inputs = {name: slice(columns[group[0]].start, columns[group[-1]].stop) for name, group in chosen.groups.items()}
    groups = importance(loss.of, X, inputs, generator)
    singly: list[str] = []
    for i in groups.order:
        if groups.significant[i] and len(singly) < chosen.singly:
            singly += chosen.groups[groups.names[i]]
    found = importance(loss.of, X, {name: columns[name] for name in singly}, generator) if singly else None
    return Measured(found, groups, loss, len(columns))


def _loss(evaluated: Evaluated, rows: np.ndarray) -> Loss:
    """Log loss of classes, squared error of numbers relative to their variance, else the cost of training."""
    model, objective = evaluated.model, evaluated.objective
    targets = {name: y[rows] for name, y in objective.targets.items()}
    part = Objective(model.net, objective.losses, objective.X[rows], targets, None, objective.reduction)
    first = evaluated.predictions[0]
    layer, trained = model.net[first.output], objective.losses[first.output]
    if evaluated.several:
        return Loss(lambda X: replace(part, X=X).cost(model.params), "cost", number)
    if first.task != "regression" and isinstance(layer.f, (Softmax, Sigmoid)):
        part = replace(part, losses={first.output: usual_loss(layer.f)}, reduction="mean")
        return Loss(lambda X: replace(part, X=X).cost(model.params), "log loss", number)
    if isinstance(trained, SquaredError):
        y = targets[first.output]
        spread = np.where(y.var(axis=0) > 0, y.var(axis=0), 1.0)

        def squared(X: np.ndarray) -> float:
            return float(np.mean((predict(model.net, model.params, X) - y) ** 2 / spread))

        return Loss(squared, "squared error", lambda grown: f"{percent(grown)} of the variance of the target")
    return Loss(lambda X: replace(part, X=X).cost(model.params), trained.name.replace("_", " "), number)


def importance_section(evaluated: Evaluated, measured: Measured) -> Section:
    """How much the loss grows when each column is shuffled."""
    figures: list[Figure | Table] = []
    if measured.groups is not None:
        note = f"Each group of neighbouring columns is shuffled together, on {measured.groups.rows:,} rows."
        figures.append(_figure("Importance of groups of columns", measured.groups, measured.scale, note))
    if measured.columns is not None:
        note = (
            f"The bar is the mean of {REPEATS} shuffles, the dots are the shuffles, on {measured.columns.rows:,} rows."
        )
        if measured.groups is not None:
            note += " The columns of the most important groups."
        figures.append(_figure("Permutation importance", measured.columns, measured.scale, note))
        if measured.groups is None:
            figures.append(_table(measured.columns, measured.scale))
    better = [beats_constant(each) for each in evaluated.predictions]
    return section("Permutation importance", read_importance(measured, False not in better), figures)


def _figure(title: str, found: Importance, loss: Loss, note: str) -> Figure:
    order = found.order[:_COLUMNS_DRAWN]
    names = [found.names[i] for i in order]
    unit = f"increase of the {loss.name}"
    note += " Relative to the variance of the target." if loss.name == "squared error" else ""
    if len(found.names) > _COLUMNS_DRAWN:
        note += f" The first {_COLUMNS_DRAWN} of {len(found.names):,}."
    return Figure(title, (repeated_bars(title, names, found.growth[order], shorten(unit, 330)),), note, size="half")


def _table(found: Importance, loss: Loss) -> Table:
    """The increase of each column, with the smallest and the largest of the shuffles."""
    rows = [
        (found.names[i][:100], *(number(float(value)) for value in (found.mean[i], repeats.min(), repeats.max())))
        for i in found.order[:_COLUMNS_DRAWN]
        for repeats in (found.growth[i],)
    ]
    return Table(("column", "increase", "smallest", "largest"), tuple(rows), f"Increase of the {loss.name}", left=1)


def read_importance(measured: Measured, better: bool = True) -> str:
    """Which columns the predictions depend on; nothing is said about columns that were not tried."""
    found, groups = measured.columns, measured.groups
    if found is None and groups is None:
        return f"The {measured.scale.name} is not finite, so that no column can be compared."
    constant = "" if better else "The predictions are no better than a constant, so this says little about the data. "
    if found is None or not found.significant[found.order[0]]:
        what = "column" if groups is None else f"of {len(groups.names)} groups of columns"
        if found is not None and groups is not None:
            what = f"of the {len(found.names):,} columns tried one by one"
        return f"{constant}No single {what} makes a significant difference to the {measured.scale.name}.".replace(
            "single of", "one of"
        )
    first = int(found.order[0])
    grown = f"the {measured.scale.name} grows by {measured.scale.written(float(found.mean[first]))}"
    most = f"{constant}{quoted(found.names[first])} matters most: when it is shuffled, {grown}."
    if groups is not None:
        return (
            f"{most} {len(found.names):,} of {measured.in_all:,} columns were tried one by one, those of the most "
            "important groups."
        )
    idle = int(np.count_nonzero(~found.significant))
    if not idle:
        return most
    return f"{most} Shuffling {idle:,} of the {len(found.names):,} columns makes no significant difference."
