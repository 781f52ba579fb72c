"""The trace of one pass of backpropagation: every value that the two sweeps computed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clearprop.checks import check_dense_or_csr
from clearprop.core.backprop import Forward, forward
from clearprop.core.network import Network, check_params
from clearprop.core.objective import CHUNK, Objective, prepare
from clearprop.core.parameters import SHOWN, Parameters, format_rows
from clearprop.core.per_sample import PerSample
from clearprop.display import Displayed
from clearprop.errors import ArgumentError, DataError, NetworkError, suggest
from clearprop.fork_safety import cached_property
from clearprop.losses import Loss
from clearprop.terminal import terminal_width, wrap

if TYPE_CHECKING:
    from clearprop.explain.derivation import Derivation


@dataclass(frozen=True)
class LayerTrace:
    """The values of one layer, each (n samples, units): z, a, error = dJ/da and delta = dJ/dz.

    >>> import clearprop as cp
    >>> net = cp.Network.sequential(1, 1, output="tanh")
    >>> trace = cp.backpropagate(net, net.initialize(), [[0.0]], [[-2.0]], loss="squared_error")
    >>> output = trace["output"]
    >>> output.z, output.a, output.error, output.delta
    (array([[0.]]), array([[0.]]), array([[2.]]), array([[2.]]))
    """

    name: str
    z: np.ndarray
    a: np.ndarray
    error: np.ndarray
    delta: np.ndarray


@dataclass(frozen=True)
class Trace(Displayed):
    """Cost, sensitivities and gradients of one pass; `print(trace)` shows them as tables.

    `cost` is J, `losses` (n,) the loss of each sample before weights and reduction, `gradients` has the shape of the
    parameters (`gradients["hidden"].W["input"]`, `.b`, `.flat`), frozen ones included.

    >>> import clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[2.0]]}})
    >>> trace = cp.backpropagate(net, params, [[1.0], [2.0]], [[1.0], [1.0]], loss="squared_error")
    >>> trace.cost, trace.losses, trace.gradients["output"].W["input"], trace.gradients["output"].b
    (2.5, array([0.5, 4.5]), array([[3.5]]), array([2.]))
    """

    objective: Objective
    params: Parameters
    cost: float
    losses: np.ndarray
    layers: Mapping[str, LayerTrace]
    gradients: Parameters

    @property
    def X(self) -> np.ndarray:
        """The input (n, inputs)."""
        return self.objective.X

    @cached_property
    def per_sample(self) -> PerSample:
        """The gradients of single samples, with their norms, leverage and variance; see cp.analysis.PerSample."""
        return PerSample(self.objective, self.params, self.losses)

    def __getitem__(self, layer: str) -> LayerTrace:
        """The trace of the layer of that name."""
        if layer not in self.layers:
            raise NetworkError(f'trace: there is no layer "{layer}". {suggest(layer, self.layers)}')
        return self.layers[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def derivation(
        self,
        subject: str,
        *,
        sample: int | None = None,
        learning_rate: float | None = None,
        names: Mapping[str, Sequence[str]] | None = None,
        most: int = 6,
        digits: int = 6,
    ) -> Derivation:
        """The chain rule of one weight, bias, unit or input, written out in symbols and in numbers.

        `subject` is "hidden[3] <- input[2]" for a weight, "hidden[3].b" for a bias, "hidden[3]" for dJ/dz and
        "hidden[3].a" for dJ/da of a unit, "input[2]" for an input. `sample` selects one row (default: all rows);
        with a `learning_rate` the update is computed too; `names` are names of units by layer, such as
        {"input": ["age", "income"]}; sums of more than `most` terms show the largest and count the rest. Raises
        ArgumentError with the nearest names for a subject that does not exist.

        >>> import numpy as np, clearprop as cp
        >>> net = cp.Network.sequential(2, 2, 1, hidden="tanh")
        >>> trace = cp.backpropagate(
        ...     net, net.initialize(seed=0), np.ones((1, 2)), np.ones((1, 1)), loss="squared_error"
        ... )
        >>> derivation = trace.derivation("hidden[0] <- age", names={"input": ["age", "income"]})
        >>> bool(abs(derivation.value - trace.gradients["hidden"].W["input"][0, 0]) < 1e-15)
        True
        """
        from clearprop.explain.derivation import derive

        return derive(self, subject, sample=sample, learning_rate=learning_rate, names=names, most=most, digits=digits)

    def __repr__(self) -> str:
        n = self.objective.samples
        return (
            f"<Trace: cost J = {self.cost:.9g}, {n} sample{'s' * (n > 1)}, layers {', '.join(self.layers)}; "
            "print it to see the numbers>"
        )

    def __str__(self) -> str:
        """Tables of the first samples and units of each layer, and its gradients."""
        return "\n".join(_format_trace(self))


def check_trace(trace: Any) -> Trace:
    """`trace` itself; raises ArgumentError if it is not a Trace."""
    if not isinstance(trace, Trace):
        raise ArgumentError(f"trace: expected one of cp.backpropagate, got {type(trace).__name__}.")
    return trace


def backpropagate(
    net: Network,
    params: Parameters,
    X: Any,
    y: Any,
    loss: Loss | str | Mapping[str, Loss | str],
    sample_weight: Any = None,
    reduction: str = "mean",
) -> Trace:
    """One forward and one backward sweep over all rows, with all intermediate values.

    X (n samples, i inputs), an array or a sparse matrix of SciPy, y as the loss takes it ((n, o units), or class
    indices (n,) for cross-entropy; a dict by output layer where there are several), sample_weight (n,). Parameters stay
    as they are, dropout is off. Raises ShapeError, DataError or ArgumentError for invalid arguments, and
    DataError if the trace would not fit into memory.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[2.0]], "b": [1.0]}})
    >>> trace = cp.backpropagate(net, params, np.array([[3.0]]), np.array([[5.0]]), loss=cp.SquaredError())
    >>> print(trace)
    cost J = 2    (squared_error, mean over 1 sample)
    <BLANKLINE>
    output   1 unit, identity, from input
      sample unit            z            a    error dJ/da    delta dJ/dz
           0    0            7            7              2              2
      dJ/dW from input (1, 1)
          6
      dJ/db (1,)
          2
    """
    objective = prepare(net, params, X, y, loss, sample_weight, reduction)
    _check_memory(objective)
    gradients = Parameters(net, np.zeros_like(params.flat))
    cost, swept, back = objective.sweep(params, gradients, slice(None))
    losses, errors = _losses_and_errors(objective, swept)
    layers = {}
    for layer in net.layers:
        name = layer.name
        error = errors[name] + back.error.get(name, 0) if name in errors else back.error[name]
        layers[name] = LayerTrace(name, swept.z[name], swept.a[name], error, back.delta[name])
    return Trace(objective, params.copy(), cost, losses, layers, gradients)


def _check_memory(objective: Objective) -> None:
    """Raise a DataError where z, a, error and delta of every unit and row need more memory than the machine has."""
    units = sum(layer.units for layer in objective.net.layers)
    per_row = 4 * units * objective.X.dtype.itemsize
    need, have = per_row * objective.samples, _memory()
    if need > have:
        raise DataError(
            f"trace: z, a, error and delta of {objective.samples:,} rows x {units:,} units would take "
            f"{need / 2**30:,.1f} GiB, and this machine has {have / 2**30:,.1f} GiB. Select rows: "
            f"X[:{have // per_row // 4}] and y alike take a quarter of it; cp.cost needs no trace at all."
        )


def _memory() -> int:
    """Memory of this machine in bytes; 16 GiB if the system does not report it."""
    if hasattr(os, "sysconf") and {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(os.sysconf_names):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 16 * 2**30


def _losses_and_errors(objective: Objective, swept: Forward) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Loss of each sample, and the error signal dJ/da of each output layer, which the short forms do not compute."""
    weights = objective.weights(slice(None))
    total, errors = np.zeros(objective.samples, objective.X.dtype), {}
    for name, loss in objective.losses.items():
        y, f = objective.targets[name], objective.net[name].f
        total += loss.value_and_delta(f, swept.z[name], swept.a[name], y)[0]
        with np.errstate(divide="ignore"):  # a probability rounded to 0 has an infinite error signal
            errors[name] = loss.value_and_error(swept.a[name], y)[1] * weights[:, None]
    return total, errors


def cost(
    net: Network,
    params: Parameters,
    X: Any,
    y: Any,
    loss: Loss | str | Mapping[str, Loss | str],
    sample_weight: Any = None,
    reduction: str = "mean",
) -> float:
    """The cost J, from a forward sweep; takes the arguments of `backpropagate`.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[2.0]], "b": [1.0]}})
    >>> cp.cost(net, params, np.array([[3.0]]), np.array([[5.0]]), loss=cp.SquaredError())
    2.0
    """
    return prepare(net, params, X, y, loss, sample_weight, reduction).cost(params)


def predict(net: Network, params: Parameters, X: Any) -> Any:
    """Activations of the output layer (n, o units), or a dict of them where the network has several outputs.

    Dropout is off. Raises ShapeError or DataError for an invalid X.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> cp.predict(net, net.initialize(given={"output": {"input": [[2.0]]}}), np.array([[3.0]]))
    array([[6.]])
    """
    check_params(net, params)
    X = check_dense_or_csr(X, net.inputs, params.dtype)
    outputs = tuple(net.outputs or ())
    parts: dict[str, list[np.ndarray]] = {name: [] for name in outputs}
    for start in range(0, X.shape[0], CHUNK):
        a = forward(net, params, X[start : start + CHUNK]).a
        for name in outputs:
            parts[name].append(a[name])
    result = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    return result[outputs[0]] if len(outputs) == 1 else result


_SAMPLES, _UNITS = 4, SHOWN  # number of samples and units printed


def _format_trace(trace: Trace) -> list[str]:
    objective = trace.objective
    losses = ", ".join(dict.fromkeys(loss.name for loss in objective.losses.values()))
    n = objective.samples
    lines = [wrap(f"cost J = {trace.cost:.9g}    ({losses}, {objective.reduction} over {n:,} sample{'s' * (n > 1)})")]
    for layer in objective.net.layers:
        sources = ", ".join(c.source for c in layer.connections)
        units = f"{layer.units:,} unit{'s' * (layer.units > 1)}"
        lines += ["", wrap(f"{layer.name}   {units}, {layer.f.name}, from {sources}")]
        lines += _format_units(trace[layer.name])
        for block in objective.net.layout.blocks:
            if block.layer == layer.name:
                label = "dJ/db" if block.source is None else f"dJ/dW from {block.source}"
                frozen = "" if block.trainable else ", frozen"
                lines.append(wrap(f"  {label} {block.shape}{frozen}"))
                lines += format_rows(trace.gradients.view(block))
    return lines


def _format_units(layer: LayerTrace) -> list[str]:
    """z, a, error and delta, a line per sample and unit; with fewer digits in a terminal of less than 70 columns."""
    names, wide, digits = ("z", "a", "error dJ/da", "delta dJ/dz"), (12, 12, 14, 14), 6
    if terminal_width() < 70:
        names, wide, digits = ("z", "a", "dJ/da", "dJ/dz"), (10, 10, 10, 10), 4
    lines = [f"  sample unit {' '.join(f'{name:>{w}s}' for name, w in zip(names, wide, strict=True))}"]
    samples, units = layer.z.shape
    for n in range(min(samples, _SAMPLES)):
        for j in range(min(units, _UNITS)):
            values = (layer.z[n, j], layer.a[n, j], layer.error[n, j], layer.delta[n, j])
            numbers = " ".join(f"{value + 0.0:{w}.{digits}g}" for value, w in zip(values, wide, strict=True))
            lines.append(f"  {n:6d} {j:4d} {numbers}")
    left = [f"{samples - _SAMPLES:,} more samples"] * (samples > _SAMPLES) + [f"{units - _UNITS:,} more units"] * (
        units > _UNITS
    )
    return [*lines, f"  ... {' and '.join(left)}"] if left else lines
