"""Connections: how the activations of one layer enter a later one, forward and backward.

A connection from source k (u_k units) into layer j (u_j units) contributes a_k W_kj to the weighted sum z_j. Backward
it sends delta_j W_kj^T to the error signal at a_k, and its gradient is dJ/dW_kj = a_k^T delta_j. Each kind of
connection gives these three operations; all arrays have one row per sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse

from clearprop.checks import check_flag
from clearprop.errors import NetworkError
from clearprop.fork_safety import cached_property
from clearprop.initializers import Initializer, as_initializer
from clearprop.mathematics import Array


@dataclass(frozen=True)
class Connection(ABC):
    """Base class: a connection from `source` into a layer. See Dense, Direct and Wired.

    >>> import numpy as np, clearprop as cp
    >>> a, W, delta = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([[10.0]])
    >>> c = cp.Dense("input")
    >>> c.forward(a, W), c.backward(delta, W), c.gradient(a, delta)
    (array([[11.]]), array([[30., 40.]]), array([[10.],
           [20.]]))
    """

    kind: ClassVar[str] = ""
    source: str

    def __post_init__(self) -> None:
        if not isinstance(self.source, str) or not self.source:
            raise NetworkError(
                f"{type(self).__name__} source: expected the name of a layer or of the input, got {self.source!r}."
            )

    @property
    def trainable(self) -> bool:
        """Whether gradient descent changes its parameters."""
        return False

    @property
    def initializer(self) -> Initializer | None:
        """How initial weights are drawn; None for the initializer of the layer."""
        return None

    @abstractmethod
    def parameter_shape(self, source_units: int, units: int) -> tuple[int, ...] | None:
        """Shape of its parameters W, or None if it has none."""

    @abstractmethod
    def fan_in(self, source_units: int) -> float:
        """Number of source activations that reach one unit of the layer (an average where units differ)."""

    @abstractmethod
    def matrix(self, W: Array, units: int) -> Array:
        """The full matrix (source units, layer units) that W stands for."""

    def forward(self, a: Array, W: Array) -> Array:
        """A W: the term of this connection in the weighted sum, (n, u_j)."""
        return a @ W

    def backward(self, delta: Array, W: Array) -> Array:
        """Delta W^T: the term of this connection in the error signal at the source, (n, u_k)."""
        return delta @ W.T

    def gradient(self, a: Array, delta: Array) -> Array:
        """dJ/dW = a^T delta, of the shape of W."""
        return a.T @ delta

    def check(self, layer: str, source_units: int, units: int) -> None:
        """Raise a NetworkError if the connection does not fit these layer sizes."""
        del layer, source_units, units


@dataclass(frozen=True)
class Dense(Connection):
    """Connects every unit of the source with every unit of the layer, W (source units, layer units).

    With `trainable=False` the weights are frozen: gradient descent does not change them.

    >>> import clearprop as cp
    >>> frozen = cp.Dense("input", trainable=False)
    >>> net = cp.Network(2, [cp.Layer("output", 1, sources=[frozen])])
    >>> net.trainable_count, net.parameter_count
    (1, 3)
    """

    kind = "dense"
    trainable: bool = True  # type: ignore[assignment]
    initializer: Initializer | str | None = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self.trainable, "Dense trainable")
        if self.initializer is not None:
            object.__setattr__(
                self, "initializer", as_initializer(self.initializer, f'connection from "{self.source}"')
            )

    def parameter_shape(self, source_units: int, units: int) -> tuple[int, ...]:
        return (source_units, units)

    def fan_in(self, source_units: int) -> float:
        return source_units

    def matrix(self, W: Array, units: int) -> Array:
        return W


@dataclass(frozen=True)
class Direct(Connection):
    """Adds the activations of the source unchanged (W is the identity matrix, no parameters): a residual connection.

    >>> import clearprop as cp
    >>> net = cp.Network(3, [cp.Layer("f", 3, "tanh"), cp.Layer("sum", 3, sources=["f", cp.Direct("input")])])
    >>> list(net.initialize(seed=0)["sum"].W)
    ['f']
    """

    kind = "identity"

    def parameter_shape(self, source_units: int, units: int) -> None:
        return None

    def fan_in(self, source_units: int) -> float:
        return 0

    def matrix(self, W: Array, units: int) -> Array:
        return np.eye(units)

    def forward(self, a: Array, W: Array) -> Array:
        """The activations themselves."""
        return a.toarray() if issparse(a) else a

    def backward(self, delta: Array, W: Array) -> Array:
        """The delta itself."""
        return delta

    def check(self, layer: str, source_units: int, units: int) -> None:
        if source_units != units:
            raise NetworkError(
                f'layer "{layer}": an identity connection needs as many units as its source "{self.source}" has '
                f"({source_units}), the layer has {units}. Use a dense connection, or give both the same size."
            )


@dataclass(frozen=True)
class Wired(Connection):
    """Weights placed by an integer pattern of the shape of W: 0 means no connection, equal entries share one weight.

    The parameters are a vector w with one entry per number in the pattern 1, 2, ..., k; W = (0, w)[pattern], and
    dJ/dw_k is the sum of dJ/dW over the entries where the pattern is k.

    >>> import clearprop as cp
    >>> slide = cp.Wired("input", [[1, 0], [2, 1], [0, 2]])  # a window of two weights moved over three inputs
    >>> net = cp.Network(3, [cp.Layer("output", 2, sources=[slide], bias=False)])
    >>> net.parameter_count
    2
    """

    kind = "wired"
    pattern: Sequence[Sequence[int]] = ()
    trainable: bool = True  # type: ignore[assignment]
    initializer: Initializer | str | None = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self.trainable, "Wired trainable")
        where = f'connection from "{self.source}"'
        object.__setattr__(self, "pattern", _as_pattern(self.pattern, where))
        if self.initializer is not None:
            object.__setattr__(self, "initializer", as_initializer(self.initializer, where))

    @cached_property
    def numbers(self) -> np.ndarray:
        """The pattern as an integer array (source units, layer units)."""
        return np.array(self.pattern, dtype=np.intp)

    @cached_property
    def shared(self) -> int:
        """Number of distinct weights in the pattern."""
        return int(self.numbers.max())

    def parameter_shape(self, source_units: int, units: int) -> tuple[int, ...]:
        return (self.shared,)

    def fan_in(self, source_units: int) -> float:
        return np.count_nonzero(self.numbers) / self.numbers.shape[1]

    def matrix(self, W: Array, units: int) -> Array:
        return np.concatenate([np.zeros(1, W.dtype), W])[self.numbers]

    def forward(self, a: Array, W: Array) -> Array:
        return a @ self.matrix(W, 0)

    def backward(self, delta: Array, W: Array) -> Array:
        return delta @ self.matrix(W, 0).T

    def gradient(self, a: Array, delta: Array) -> Array:
        """dJ/dw_k = sum of (a^T delta) over the entries where the pattern is k, (k,)."""
        full = a.T @ delta
        sums = np.bincount(self.numbers.ravel(), weights=full.ravel(), minlength=self.shared + 1)
        return sums[1:].astype(full.dtype, copy=False)

    def check(self, layer: str, source_units: int, units: int) -> None:
        if self.numbers.shape != (source_units, units):
            raise NetworkError(
                f'layer "{layer}": the pattern of the connection from "{self.source}" has shape {self.numbers.shape}, '
                f"expected ({source_units}, {units}): a row per unit of the source, a column per unit of the layer."
            )


def _as_pattern(given: Any, where: str) -> tuple[tuple[int, ...], ...]:
    """The pattern as nested tuples (hashable), checked to be a matrix of the integers 0, 1, ..., k."""
    try:
        array = np.asarray(given)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "iub":
        raise NetworkError(
            f"{where}: expected a pattern of whole numbers with one row per source unit and one column per unit, "
            f"got {'shape ' + str(array.shape) + ' of ' + str(array.dtype)}."
        )
    present = np.unique(array)
    if present[0] < 0:
        raise NetworkError(f"{where}: a pattern holds 0 (no connection) and 1, 2, ..., got {present[0]}.")
    positive = present[present > 0]
    if len(positive) == 0:
        raise NetworkError(f"{where}: the pattern is all 0, so nothing is connected. Leave the source out instead.")
    if not np.array_equal(positive, np.arange(1, len(positive) + 1)):
        missing = int(np.argmax(positive != np.arange(1, len(positive) + 1))) + 1
        raise NetworkError(
            f"{where}: the weights of a pattern are numbered 1 to {int(positive[-1])} without gaps, "
            f"but {missing} does not occur. Renumber with np.unique(pattern, return_inverse=True)."
        )
    return tuple(tuple(int(k) for k in row) for row in array)


CONNECTIONS: dict[str, type[Connection]] = {kind.kind: kind for kind in (Dense, Direct, Wired)}
