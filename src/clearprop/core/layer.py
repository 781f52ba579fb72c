"""Layer: units that share an activation, and the connections they take their weighted sum from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from clearprop.activations import ACTIVATIONS, Activation, as_activation
from clearprop.checks import check_flag, check_integer, check_number
from clearprop.core.connections import Connection, Dense
from clearprop.errors import NetworkError
from clearprop.initializers import Initializer, Zeros, as_initializer

#: The name of the network's input as a source.
INPUT = "input"


@dataclass(frozen=True, repr=False)
class Layer:
    """Units that share an activation: z = b + sum over sources of a_source W, a = f(z).

    `sources` names earlier layers, or "input" for the network's input; a name means a dense connection, and None the
    previous layer. `dropout` is the fraction of activations set to 0 in each training step; the others are multiplied
    by 1 / (1 - dropout) (Srivastava et al. 2014). `bias=False` omits b; `train_bias=False` freezes it.

    >>> import clearprop as cp
    >>> cp.Layer("hidden", 3, cp.tanh) == cp.Layer("hidden", 3, "tanh")
    True
    """

    name: str
    units: int
    activation: Activation | str = "identity"
    sources: Sequence[Connection | str] | Connection | str | None = None
    bias: bool = True
    train_bias: bool = True
    dropout: float = 0.0
    initializer: Initializer | str | None = None
    bias_initializer: Initializer | str = "zeros"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or self.name == INPUT:
            raise NetworkError(
                f'layer name: expected text that is not empty, and not "{INPUT}", which is the network\'s input; '
                f"got {self.name!r}."
            )
        where = f'layer "{self.name}"'
        put = object.__setattr__  # the fields of a frozen dataclass are normalised once, here
        put(self, "units", check_integer(self.units, f"{where} units"))
        put(self, "activation", as_activation(self.activation, f"{where} activation"))
        check_flag(self.bias, f"{where} bias")
        check_flag(self.train_bias, f"{where} train_bias")
        put(self, "dropout", check_number(self.dropout, f"{where} dropout", least=0, below=1))
        if self.initializer is not None:
            put(self, "initializer", as_initializer(self.initializer, f"{where} initializer"))
        put(self, "bias_initializer", as_initializer(self.bias_initializer, f"{where} bias_initializer"))
        if self.sources is not None:
            put(self, "sources", _as_connections(self.sources, where))

    def __repr__(self) -> str:
        return self._call(None)

    def _call(self, before: str | None) -> str:
        """The constructor call, without defaults and without `before` as the only source."""
        known = ACTIVATIONS.get(self.f.name) == self.f
        parts = [repr(self.name), str(self.units)]
        if not known or self.f.name != "identity":
            parts.append(repr(self.f.name) if known else repr(self.f))
        if self.sources is not None and (before is None or self.sources != (Dense(before),)):
            listed = [repr(c.source) if c == Dense(c.source) else repr(c) for c in self.connections]
            parts.append(f"sources=[{', '.join(listed)}]")
        for extra in fields(self)[4:]:
            value = getattr(self, extra.name)
            if value != (Zeros() if extra.name == "bias_initializer" else extra.default):
                parts.append(f"{extra.name}={value!r}")
        return f"Layer({', '.join(parts)})"

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The sources as connections (of a layer in a network)."""
        assert isinstance(self.sources, tuple), "a network fills in the sources"
        return self.sources  # type: ignore[return-value]

    @property
    def f(self) -> Activation:
        """The activation as an object."""
        assert isinstance(self.activation, Activation)
        return self.activation


def _as_connections(given: Any, where: str) -> tuple[Connection, ...]:
    several = isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping))
    listed: list[Any] = list(given) if several else [given]
    for source in listed:
        if not isinstance(source, (str, Connection)):
            raise NetworkError(
                f'{where}: expected sources as names or connections such as cp.Dense("input"), got {source!r}.'
            )
    if not listed:
        raise NetworkError(
            f'{where}: expected at least one source. Leave sources out to take the layer before, or name "{INPUT}".'
        )
    return tuple(Dense(source) if isinstance(source, str) else source for source in listed)
