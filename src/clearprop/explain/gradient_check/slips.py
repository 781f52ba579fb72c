"""The slips of a backward sweep, as wrong values beside the right one at each step.

`Sweep` gives for each step (delta of an output, delta of a hidden layer, error signal through a connection, dJ/dW and
dJ/db) the right value and those of known slips, at the numbers of one forward sweep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from clearprop.activations import Activation, Elementwise, Identity
from clearprop.core.backprop import Forward
from clearprop.core.connections import Connection
from clearprop.core.layout import Block
from clearprop.core.network import INPUT, Layer
from clearprop.core.per_sample import connection_of
from clearprop.explain.gradient_check.problem import Problem
from clearprop.losses import AbsoluteError, BinaryCrossEntropy, CrossEntropy, PointwiseLoss, SquaredError

Array = np.ndarray
_ROWS = 64  #: up to this many rows, each is tried as the one that is left out, or the only one


@dataclass(frozen=True)
class Slip:
    """A slip: its name, a description with {} for the layers or connections, and one of these."""

    name: str
    words: str
    where: str = ""

    def only(self, use: str) -> Slip:
        """The same slip in one use of a delta only."""
        return replace(self, words=f"{self.words} ({use})")


@dataclass(frozen=True)
class Variant:
    """A value at a step of the sweep, and the slips that lead to it; none for the right value."""

    slips: tuple[Slip, ...]
    value: Array
    origin: Array | None = None  #: of a delta: the error signal, or the weights of the rows, that it comes from


def distinct(right: Array, wrong: Iterable[tuple[Slip, Array]]) -> list[Variant]:
    """The right value, then each wrong one that is finite, not 0 everywhere, and differs from those before."""
    variants, known = [Variant((), right)], {_fingerprint(right)}
    for slip, value in wrong:
        usable = (
            value.shape == right.shape and np.isfinite(value).all() and (value.any() or slip.name == "missing path")
        )
        if usable and (key := _fingerprint(value)) not in known:
            known.add(key)
            variants.append(Variant((slip,), value))
    return variants


def _fingerprint(x: Array) -> str:
    return f"{x.ravel() @ _directions(x.size):.9e}"


@lru_cache(maxsize=8)
def _directions(size: int) -> Array:
    return np.cos(np.arange(size) + 0.5)


#: Formulas that are used as f'(z) by mistake.
_FORMULAS = {
    "1 - a": lambda z, a: 1 - a,
    "1 - a^2, that of tanh": lambda z, a: 1 - a * a,
    "a (1 - a), that of sigmoid": lambda z, a: a * (1 - a),
    "1 where z > 0, that of relu": lambda z, a: 1.0 * (z > 0),
    "a itself": lambda z, a: a,
    "z itself": lambda z, a: z,
    "1 + a^2": lambda z, a: 1 + a * a,
    "1 + a": lambda z, a: 1 + a,
    "a^2": lambda z, a: a * a,
    "a (1 + a)": lambda z, a: a * (1 + a),
    "(1 - a)^2": lambda z, a: (1 - a) ** 2,
    "(1 - a^2)^2": lambda z, a: (1 - a * a) ** 2,
    "1 where z < 0, the other side": lambda z, a: 1.0 * (z < 0),
    "1 where z > 0, else 0.01, that of leaky_relu": lambda z, a: np.where(z > 0, 1.0, 0.01),
    "exp(-z)": lambda z, a: np.exp(-z),
    "2 a": lambda z, a: 2 * a,
}


@dataclass(frozen=True)
class Sweep:
    """The right and wrong values of each step of the backward sweep, for one forward sweep."""

    problem: Problem
    seen: Forward
    masks: Mapping[str, Array]
    _known: dict[str, list[Variant]] = field(default_factory=dict, repr=False)

    # --- delta

    def pulled(self, layer: Layer, error: Array, wrong: bool = True) -> list[Variant]:
        """Delta from the error signal of a layer; only the right one on request."""
        f = layer.f
        if not wrong:
            right = f.pullback(
                self.seen.z[layer.name], self.seen.f[layer.name], error * self.masks.get(layer.name, 1.0)
            )
            return [Variant((), right)]
        if not isinstance(f, Elementwise):
            z, a = self.seen.z[layer.name], self.seen.f[layer.name]
            masked = error * self.masks.get(layer.name, 1.0)
            return distinct(f.pullback(z, a, masked), self._wrong_jacobians(layer, masked, z, a))
        variants = [Variant(slope.slips, error * slope.value) for slope in self._slopes(layer)]
        if not isinstance(f, Identity):
            words = "at {}, the activation function is applied to the error signal, which should be multiplied by f'(z)"
            value = f.function(error * self.masks.get(layer.name, 1.0))
            variants.append(Variant((Slip("activation of the error", words, layer.name),), value))
        return variants

    def _wrong_jacobians(self, layer: Layer, error: Array, z: Array, a: Array) -> Iterator[tuple[Slip, Array]]:
        name = layer.f.name
        used = "only its diagonal a_i (1 - a_i) is" if name == "softmax" else "only its diagonal is"
        for how, value in ((used, error * diagonal(layer.f, z, a)), ("it is not", error)):
            words = f"at {{}}, delta is the error signal times the Jacobian of {name}, and {how} used"
            yield Slip(f"{name} Jacobian forgotten", words, layer.name), value

    def _slopes(self, layer: Layer) -> list[Variant]:
        """f'(z) of an elementwise layer times the dropout mask, and what stands for it by mistake."""
        if layer.name not in self._known:
            z, f = self.seen.z[layer.name], self.seen.f[layer.name]
            mask = self.masks.get(layer.name, np.ones_like(z))
            with np.errstate(all="ignore"):
                right = diagonal(layer.f, z, f)
                wrong = [(slip, slope * mask) for slip, slope in self._wrong_slopes(layer, right, z, f)]
                if layer.name in self.masks:
                    words = "at {}, the dropout mask is left out on the way back"
                    wrong.append((Slip("dropout mask left out", words, layer.name), right))
                self._known[layer.name] = distinct(right * mask, wrong)
        return self._known[layer.name]

    def _wrong_slopes(self, layer: Layer, right: Array, z: Array, f: Array) -> Iterator[tuple[Slip, Array]]:
        name, act = layer.name, layer.f
        assert isinstance(act, Elementwise)
        if not isinstance(act, Identity):
            yield Slip("missing derivative", "at {}, delta is dJ/da, it should be dJ/da * f'(z)", name), np.ones_like(z)
            words = "at {}, the derivative is evaluated at a instead of z: f'(a) instead of f'(z)"
            yield Slip("derivative at a instead of z", words, name), diagonal(act, f, act.function(f))
            words = "at {}, delta is multiplied by f'(z) twice"
            yield Slip("derivative twice", words, name), right * right
            words = "at {}, z stands in the formula of f' where it needs a = f(z)"
            yield Slip("z instead of a", words, name), diagonal(act, z, z)
            for formula, g in _FORMULAS.items():
                words = f"at {{}}, {formula}, stands for the derivative f'(z) of {act.name}"
                yield Slip("wrong derivative", words, name), g(z, f)
        for other in self.problem.net.layers:
            if other.units == layer.units and other is not layer and isinstance(other.f, Elementwise):
                at, of = self.seen.z[other.name], self.seen.f[other.name]
                words = f"at {{}}, the derivative is that of another layer: f'(z) of {other.name}"
                yield Slip("derivative of another layer", words, name), diagonal(other.f, at, of)
                yield Slip("derivative of another layer", words, name), diagonal(act, at, act.function(at))

    def of_output(self, name: str, pairs: bool = False) -> list[Variant]:
        """Delta of an output layer from its loss, without the weights of the rows; with pairs of slips on request."""
        layer, loss = self.problem.net[name], self.problem.objective.losses[name]
        y, z, a = self.problem.objective.targets[name], self.seen.z[name], self.seen.a[name]
        with np.errstate(all="ignore"):
            error, right = loss.value_and_error(a, y)[1], loss.value_and_delta(layer.f, z, a, y)[1]
            wrong = [(v.slips[0], v.value) for v in self.pulled(layer, error)[1:]]
            if loss.partner is not None and isinstance(layer.f, loss.partner):
                words = "at {}, delta is multiplied by f'(z) once more; with this activation and loss it is yhat - y"
                wrong.insert(0, (Slip("derivative twice", words, name), right * diagonal(layer.f, z, a)))
            wrong += [(slip, self.pulled(layer, e)[0].value) for slip, e in self._wrong_errors(name)]
            others = [SquaredError(), AbsoluteError(), BinaryCrossEntropy(), CrossEntropy()]
            for other in others if a.shape[1] > 1 else others[:-1]:
                words = f"at {{}}, delta is that of {other.name}, and the loss is {loss.name}"
                targets = y if isinstance(other, CrossEntropy) else self._as_rows(y, a)
                wrong.append((Slip("another loss", words, name), other.value_and_delta(layer.f, z, a, targets)[1]))
            variants = distinct(right, wrong)
            for slip, e in self._wrong_errors(name) if pairs else ():
                wrong_pulls = self.pulled(layer, e)[1:]
                variants += [Variant((slip, *v.slips), v.value) for v in wrong_pulls if np.isfinite(v.value).all()]
            return variants

    def _as_rows(self, y: Array, a: Array) -> Array:
        return y if y.shape == a.shape else np.eye(a.shape[1])[y]

    def _wrong_errors(self, name: str) -> Iterator[tuple[Slip, Array]]:
        """Wrong error signals dl/dyhat."""
        loss, a = self.problem.objective.losses[name], self.seen.a[name]
        y = self._as_rows(self.problem.objective.targets[name], a)
        words = (
            "at {}, the factor yhat - y is left out of the error signal"
            if isinstance(loss, SquaredError)
            else "at {}, the slope of the loss is left out, the error signal is 1"
        )
        yield Slip("wrong error signal", words, name), np.ones_like(a)
        if isinstance(loss, PointwiseLoss):
            value = loss.value_and_slope(a, y)[0]
            words = "at {}, the loss itself is sent back, not its derivative"
            yield Slip("wrong error signal", words, name), value
            yield Slip("wrong error signal", words, name), (a - y) ** 2
        yield Slip("wrong error signal", "at {}, the error signal is yhat, without y", name), a
        yield Slip("wrong error signal", "at {}, the error signal is -y, without yhat", name), -y
        yield (
            Slip("wrong error signal", "at {}, the error signal is -y / yhat, without the term of 1 - y", name),
            -y / a,
        )
        yield Slip("wrong error signal", "at {}, the error signal is -log yhat", name), -np.log(a)
        rolled = self.problem.objective.targets[name]
        for shift, which in ((1, "before"), (-1, "after")):
            words = f"at {{}}, each row is compared with the target of the row {which} it"
            yield Slip("shifted targets", words, name), loss.value_and_error(a, np.roll(rolled, shift, axis=0))[1]

    def row_weights(self) -> list[Variant]:
        """The factors w_n / sum w of the rows, (n, 1)."""
        objective = self.problem.objective
        right, n = objective.weights(slice(None)), objective.samples
        return [Variant(v.slips, v.value[:, None]) for v in distinct(right, self._wrong_rows(right, n))]

    def _wrong_rows(self, right: Array, n: int) -> Iterator[tuple[Slip, Array]]:
        objective = self.problem.objective
        mean = objective.reduction == "mean"
        if objective.sample_weight is not None:
            w = objective.sample_weight
            words = "the sample weights are left out"
            yield Slip("sample weights ignored", words), np.full(n, 1 / n if mean else 1.0)
            yield Slip("sample weights ignored", words), np.full(n, 1 / w.sum() if mean else 1 / n)
            words = "the sample weights are applied twice"
            yield Slip("sample weights twice", words), right * w
            yield Slip("sample weights twice", words), w * w / (w * w).sum()
        each = range(n) if n <= _ROWS else (0, n - 1)
        for k in sorted(each, key=lambda k: -k if k in (0, n - 1) else k):
            which = "the last row is" if k == n - 1 else f"row {k} is"
            alone, rest = np.arange(n) == k, np.arange(n) != k
            for scale in (1.0, right.sum() / max(right[rest].sum(), 1e-300)):
                yield Slip("row left out", f"{which} left out of the sums over the samples"), right * rest * scale
            for scale in (1.0, n):
                words = f"only row {k} counts; add up the gradients of the samples with +="
                words = words.replace(f"row {k}", "the last row") if k == n - 1 else words
                yield Slip("single row", words), right * alone * scale

    # --- the way back

    def through(self, target: str, c: Connection, W: Array | None, delta: Array, G: Array | None) -> list[Variant]:
        """The term of a connection in the error signal of its source; G is the gradient of W that is checked."""
        label = f"{target}.W[{c.source!r}]"
        return distinct(c.backward(delta, W), self._wrong_terms(c, W, delta, G, label))

    def _wrong_terms(
        self, c: Connection, W: Array | None, delta: Array, G: Array | None, label: str
    ) -> Iterator[tuple[Slip, Array]]:
        n, units = len(delta), self.problem.net.units(c.source)
        if c.kind == "dense" and W is not None:
            if W.shape[0] == W.shape[1]:
                words = "the error signal goes back through {} as delta W, it should be delta W^T"
                yield Slip("transposed weights", words, label), delta @ W
                words = "the weights of {} are left out on the way back; the error signal is delta W^T"
                yield Slip("weights left out", words, label), delta
            words = "the weights of {} are left out on the way back; the error signal is delta W^T"
            yield Slip("weights left out", words, label), np.repeat(delta.sum(axis=1, keepdims=True), units, axis=1)
            words = "the error signal goes back through {} from the last unit only; it is a sum over all units"
            yield Slip("single unit", words, label), delta[:, -1:] @ W[:, -1:].T
            words = "the error signal goes back through {} from the first unit only; it is a sum over all units"
            yield Slip("single unit", words, label), delta[:, :1] @ W[:, :1].T
            words = "the error signal goes back through the gradient dJ/dW of {}, it should be W"
            yield Slip("gradient instead of weights", words, label), delta @ (W if G is None else G).T
            words = "the error signal goes back through the absolute values of {}"
            yield Slip("absolute weights", words, label), delta @ np.abs(W).T
        words = "the error signal lacks the term that comes back through {}; it is a sum over all targets"
        yield Slip("missing path", words, label), np.zeros((n, units))

    # --- dJ/dW and dJ/db

    def gradients(self, block: Block, delta: Array, dW: Mapping[str, Array]) -> Iterator[Variant]:
        """Wrong dJ/dW or dJ/db from delta; `dW` holds the gradients of the layer that are checked, by source."""
        make = self._wrong_biases(block, delta, dW) if block.source is None else self._wrong_weights(block, delta)
        for slip, value in make:
            if np.size(value) == np.prod(block.shape) and np.isfinite(value).all():
                yield Variant((slip,), np.ravel(value))

    def largest(self, source: str) -> float:
        """The largest activation of a source."""
        return float(np.abs(self.seen.a[source]).max(initial=0.0))

    def gradient(self, block: Block, delta: Array) -> Array:
        """The right dJ/dW or dJ/db, as a vector."""
        c = connection_of(self.problem.net, block)
        return delta.sum(axis=0) if c is None else c.gradient(self.seen.a[c.source], delta).ravel()

    def _wrong_biases(self, block: Block, delta: Array, dW: Mapping[str, Array]) -> Iterator[tuple[Slip, Array]]:
        words = "dJ/db is the sum of the entries of dJ/dW in {}; it is delta summed over the samples"
        for values in dW.values():
            if values.ndim == 2:
                yield Slip("bias from dW", words, block.label), values.sum(axis=0)
        words = "dJ/db is summed over the units as well in {}; it is delta summed over the samples only"
        yield Slip("bias summed over units", words, block.label), np.full(block.shape, delta.sum())
        if len(delta) == block.shape[0]:
            words = "delta is summed over the units, not over the samples, in {}"
            yield Slip("bias summed over units", words, block.label), delta.sum(axis=1)
        for k, which in ((-1, "last"), (0, "first")):
            words = f"dJ/db is delta of the {which} row only in {{}}; it is summed over the samples"
            yield Slip("bias of a single row", words, block.label), delta[k]
        words = "dJ/db is the sum of the absolute values of delta in {}"
        yield Slip("bias of absolute values", words, block.label), np.abs(delta).sum(axis=0)

    def _wrong_weights(self, block: Block, delta: Array) -> Iterator[tuple[Slip, Array]]:
        c = connection_of(self.problem.net, block)
        assert c is not None
        source, label, net = c.source, block.label, self.problem.net
        a = self.seen.a[source]
        if c.kind == "dense" and block.shape[0] == block.shape[1]:
            words = "dJ/dW is delta^T a in {}, it should be a^T delta"
            yield Slip("transposed gradient", words, label), delta.T @ a
        if source != INPUT:
            z, f = self.seen.z[source], self.seen.f[source]
            if not isinstance(net[source].f, Identity):
                words = "dJ/dW is z^T delta in {}, with the weighted sums of the source; it should be a^T delta"
                yield Slip("z instead of a", words, label), c.gradient(z, delta)
                act = net[source].f
                if isinstance(act, Elementwise):
                    words = "dJ/dW is f'(z)^T delta in {}; it should be a^T delta"
                    yield Slip("f'(z) instead of a", words, label), c.gradient(act.derivative(z, f), delta)
            if source in self.masks:
                words = "dJ/dW in {} uses the activations before dropout"
                yield Slip("dropout mask left out", words, label), c.gradient(f, delta)
        for other in (INPUT, *(layer.name for layer in net.layers)):
            if other != source and net.units(other) == net.units(source):
                words = f"dJ/dW uses the activations of {other} in {{}}, it should be those of {source}"
                yield Slip("activation of another layer", words, label), c.gradient(self.seen.a[other], delta)
        words = "the activations are left out of dJ/dW in {}; it is a^T delta"
        yield Slip("activations left out", words, label), c.gradient(np.ones_like(a), delta)
        for k, which in ((-1, "last"), (0, "first")):
            words = f"only the {which} row counts in dJ/dW of {{}}; it is a sum over the samples"
            yield Slip("weights of a single row", words, label), c.gradient(a[[k]], delta[[k]])
        words = "dJ/dW is a^T delta of the sums over the samples in {}; multiply first, then sum"
        yield (
            Slip("product of sums", words, label),
            c.gradient(a.sum(axis=0, keepdims=True), delta.sum(axis=0, keepdims=True)),
        )


def diagonal(f: Activation, z: Array, a: Array) -> Array:
    """df_i/dz_i of each unit: f'(z), or the diagonal of the Jacobian of each row."""
    if isinstance(f, Elementwise):
        return f.pullback(z, a, np.ones_like(z))
    columns: list[Any] = []
    for i in range(z.shape[1]):
        unit = np.zeros_like(z)
        unit[:, i] = 1
        columns.append(f.pullback(z, a, unit)[:, i])
    return np.stack(columns, axis=1)
