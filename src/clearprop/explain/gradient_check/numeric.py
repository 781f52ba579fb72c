"""Numerical derivatives of the cost, from values of activations and losses; no derivative of the library is used.

The slope of each activation and loss is numerical (`slopes.py`). A change dz of the weighted sums of a layer is carried
forward, da = f'(z) dz and then dz = da W in its targets, to the loss of each row. A change of each unit of a layer
gives dl_n/dz for all rows at once, and dJ/dw = sum_n w_n dl_n/dz_n dz_n/dw. `method.py` confirms the result by
differences of the whole cost, so that nothing rests on the chain of pieces alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clearprop.activations import Elementwise
from clearprop.core.connections import Connection, Dense
from clearprop.core.layout import Block
from clearprop.core.network import Layer
from clearprop.core.parameters import Parameters
from clearprop.core.per_sample import connection_of
from clearprop.explain.gradient_check.intervals import Array, Interval, joined, total
from clearprop.explain.gradient_check.problem import Problem, loss_of
from clearprop.explain.gradient_check.slopes import Slopes

_MEMORY = 2**21  #: numbers in one array of changes


@dataclass(frozen=True)
class Derivative:
    """Derivatives of the cost, by the complex step if `exact`, else by differences.

    `slopes` are f'(z) of the elementwise layers times the dropout mask, `losses` dl_n/dz of the output layers, both
    (n, units); `penalty` is the slope of the penalties (weights,). `kinks` and `loss_kinks` mark where they jump.
    """

    problem: Problem
    exact: bool
    slopes: Mapping[str, Interval]
    losses: Mapping[str, Interval]
    penalty: Interval
    kinks: Mapping[str, Array]
    loss_kinks: Mapping[str, Array]
    penalty_kinks: Array
    reach: float
    noise: float = 0.0  #: with rounding: its precision relative to double

    @classmethod
    def of(cls, problem: Problem, exact: bool, eps: float) -> Derivative:
        """Compute the slopes; a kink counts if rounding to the precision `eps` could cross it."""
        seen, reach = problem.seen, max(1e-10, 30 * eps)
        with warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            found = {
                layer.name: Slopes.of(layer.f.function, seen.z[layer.name], reach, exact)
                for layer in problem.net.layers
                if isinstance(layer.f, Elementwise)
            }
            losses = {name: _slopes_of_loss(problem, name, reach, exact) for name in problem.objective.losses}
            penalty = Slopes.of(problem.penalty, problem.params.penalized, reach, exact)
        slopes = {name: s.value.times(Interval(problem.masks.get(name, np.ones(1)))) for name, s in found.items()}
        values = {name: s.value for name, s in losses.items()}
        kinks, loss_kinks = ({name: s.kinks for name, s in by_name.items()} for by_name in (found, losses))
        return cls(problem, exact, slopes, values, penalty.value, kinks, loss_kinks, penalty.kinks, reach)

    @property
    def method(self) -> str:
        """Its name in the result."""
        return "complex step" if self.exact else "central differences"

    @property
    def at_kink(self) -> bool:
        """Whether any activation, loss or penalty is at a kink."""
        return any(k.any() for k in (*self.kinks.values(), *self.loss_kinks.values(), self.penalty_kinks))

    def gradient_of(self, block: Block, D: Interval) -> tuple[Interval, Array]:
        """dJ/dW or dJ/db (entries,), and the sums of the absolute values of its terms.

        `D` holds dl_n/dz of the layer of the block, (n, units).
        """
        D = D.times(Interval(self.problem.objective.weights(slice(None))[:, None]))
        c = connection_of(self.problem.net, block)
        a = np.ones((len(D.middle), 1)) if block.source is None else self.problem.seen.a[block.source]

        def sum_over_rows(x: Array, absolute: bool) -> Array:
            full = (np.abs(a) if absolute else a).T @ x
            if c is None or isinstance(c, Dense):
                return full.ravel()
            return np.array([(full * c.matrix(unit, full.shape[1])).sum() for unit in np.eye(block.shape[0])])

        penalty = self._penalty_in(block)
        terms = sum_over_rows(np.abs(D.middle), True) + np.abs(penalty.middle)
        return total([D.linear(sum_over_rows), penalty]), terms

    def _penalty_in(self, block: Block) -> Interval:
        if block.stop <= self.problem.params.penalized.size:
            return self.penalty[block.start : block.stop]
        return Interval(np.zeros(block.stop - block.start))

    def sensitivities(self, layer: Layer) -> Interval:
        """dl_n/dz of each row and unit of a layer, (n, units)."""
        widest = max(other.units for other in self.problem.net.layers)
        later = joined([self._later(layer, rows) for rows in self._rows(layer.units * widest)])
        return total([self.losses[layer.name], later]) if layer.name in self.losses else later

    def work(self, layer: Layer) -> float:
        """About how many products `sensitivities` takes."""
        reached, products = {layer.name}, 0.0
        for target in self.problem.net.layers:
            for c in target.connections:
                if c.source in reached:
                    reached.add(target.name)
                    products += target.units * (1 if c.source == layer.name else self.problem.net.units(c.source))
        return products * layer.units * self.problem.objective.samples

    def along(self, v: Array) -> Interval:
        """The derivative of J along a direction v in the space of parameters."""
        net, seen, weights = self.problem.net, self.problem.seen, self.problem.objective.weights(slice(None))
        direction = Parameters(net, v)
        parts = [self.penalty.times(Interval(v[: self.penalty.middle.size])).map(np.sum)]
        for rows in self._rows(max(layer.units for layer in net.layers)):
            changes: dict[str, Interval] = {}
            for layer in net.layers:
                own = direction[layer.name]
                terms = [
                    c.forward(seen.a[c.source][rows], own.W[c.source])
                    for c in layer.connections
                    if c.kind != "identity" and own.W[c.source].any()
                ]
                terms += [] if own.b is None or not own.b.any() else [np.tile(own.b, (rows.stop - rows.start, 1))]
                if terms:
                    changes[layer.name] = Interval(np.sum(terms, axis=0))
            parts.append(self._carry(changes, rows, 1)[:, 0].times(Interval(weights[rows])).map(np.sum))
        return total(parts)

    def _rows(self, size: int) -> list[slice]:
        """Slices of rows, so that arrays of `size` numbers a row stay small."""
        n, step = self.problem.objective.samples, max(1, _MEMORY // max(1, size))
        return [slice(start, min(start + step, n)) for start in range(0, n, step)]

    def _later(self, layer: Layer, rows: slice) -> Interval:
        """dl_n/dz through the targets of a layer, without a loss of its own."""
        n, p = rows.stop - rows.start, layer.units
        slopes, terms = self.slopes.get(layer.name), dict[str, list[Interval]]()
        da = Interval(np.zeros(0))
        if slopes is None:
            da = self._activate(layer, Interval(np.tile(np.eye(p), (n, 1))), rows)
        for target in self.problem.net.layers:
            for c in target.connections:
                if c.source == layer.name:
                    W = self.problem.params[target.name].W.get(c.source)
                    each = None if slopes is None else _through_each(c.matrix(W, target.units), slopes[rows])
                    terms.setdefault(target.name, []).append(each or _through(c, W, da))
        return self._carry({name: total(parts) for name, parts in terms.items()}, rows, p)

    def _carry(self, changes: Mapping[str, Interval], rows: slice, p: int) -> Interval:
        """The change of the loss of each row, (n, p), for p changes of weighted sums, each (n * p, units)."""
        net, n = self.problem.net, rows.stop - rows.start
        sources = {c.source for layer in net.layers for c in layer.connections}
        da: dict[str, Interval] = {}
        found = [Interval(np.zeros((n, p)))]
        for layer in net.layers:
            W = self.problem.params[layer.name].W
            terms = [_through(c, W.get(c.source), da[c.source]) for c in layer.connections if c.source in da]
            terms += [changes[layer.name]] if layer.name in changes else []
            if not terms:
                continue
            dz = total(terms)
            if layer.name in self.losses:
                found.append(_by_row(dz, self.losses[layer.name][rows], n, p).map(lambda x: x.sum(axis=2)))
            if layer.name in sources:
                da[layer.name] = self._activate(layer, dz, rows)
        return total(found)

    def _activate(self, layer: Layer, dz: Interval, rows: slice) -> Interval:
        """The changes of the activations for changes of the weighted sums, (n * p, units)."""
        n, p = rows.stop - rows.start, len(dz.middle) // (rows.stop - rows.start)
        if layer.name in self.slopes:
            return _by_row(dz, self.slopes[layer.name][rows], n, p).map(lambda x: x.reshape(n * p, -1))
        z = np.repeat(self.problem.seen.z[layer.name][rows], p, axis=0)
        mask = np.repeat(
            self.problem.masks.get(layer.name, np.ones((self.problem.objective.samples, 1)))[rows], p, axis=0
        )

        def jacobian_times(t: Array, at: Array = z) -> Interval:
            return Slopes.of(lambda s: layer.f.function(at + s * t), np.zeros_like(z), self.reach, self.exact).value

        da = jacobian_times(dz.middle)
        if self.noise:  # what rounding changes inside the function shows at z that differ in the last digits
            signs = np.where(np.arange(z.shape[1]) % 2, 1e-14, -1e-14)
            nearby = [jacobian_times(dz.middle, z * (1 + change)).middle for change in (signs, -signs)]
            change = np.max([np.abs(x - da.middle) for x in nearby], axis=0).max(axis=1, keepdims=True)
            da = da.widened(10 * self.noise * change)
        if dz.radius is not None:
            for j in range(layer.units):
                unit = np.zeros_like(z)
                unit[:, j] = 1
                da = da.widened(np.abs(jacobian_times(unit).middle) * dz.radius[:, j : j + 1])
        return da.times(Interval(mask))

    def _curvature(self, layer: Layer) -> Array:
        """|f''(z)| of an elementwise layer, roughly."""
        z, step = self.problem.seen.z[layer.name], 1e-4
        there = Slopes.of(layer.f.function, z + step, self.reach, self.exact).value.middle
        here = Slopes.of(layer.f.function, z, self.reach, self.exact).value.middle
        return np.abs(there - here) / step

    def rounded(self, eps: float) -> Derivative:
        """The same with all that rounding to this precision can change, by running error bounds.

        Higham, "Accuracy and Stability of Numerical Algorithms" (2002), chapter 3.
        """
        problem, slopes, losses = self.problem, dict(self.slopes), dict(self.losses)
        errors = {"input": eps * np.abs(problem.objective.X)}
        for layer in problem.net.layers:
            name, own = layer.name, problem.params[layer.name]
            terms = [
                c.forward(eps * np.abs(problem.seen.a[c.source]) + errors[c.source], _abs(own.W.get(c.source)))
                for c in layer.connections
            ]
            of_z = np.sum(terms, axis=0) + (0.0 if own.b is None else eps * np.abs(own.b))
            steepest = np.abs(slopes[name].middle).max(initial=0.0) if name in slopes else 1.0
            a = np.abs(problem.seen.a[name])
            errors[name] = steepest * of_z + eps * a
            if name in slopes:
                change = self._curvature(layer) * of_z
                slopes[name] = slopes[name].widened(4 * (steepest * (eps + of_z) + change))
            if name in losses:
                y = problem.objective.targets[name]
                size = np.maximum(a, np.abs(y) if y.shape == a.shape else 1.0)
                factor = max(1.0, np.abs(losses[name].middle).max(initial=0.0) / max(size.max(), 1e-300))
                losses[name] = losses[name].widened(4 * factor * (eps * size + errors[name]))
        return replace(self, slopes=slopes, losses=losses, noise=eps / float(np.finfo(float).eps))


def _by_row(changes: Interval, slopes: Interval, n: int, p: int) -> Interval:
    """Changes (n * p, units) times slopes (n, units), as (n, p, units)."""
    return changes.map(lambda x: x.reshape(n, p, -1)).times(slopes.map(lambda x: x[:, None, :]))


def _through(c: Connection, W: Any, da: Interval) -> Interval:
    """The changes of the weighted sums through a connection."""
    return da.linear(lambda x, absolute: c.forward(x, _abs(W) if absolute else W))


def _through_each(M: Array, slopes: Interval) -> Interval:
    """The same for a change of each unit of the source by itself: a row of the matrix each, (n * p, units)."""
    return slopes.linear(lambda s, absolute: (s[:, :, None] * (np.abs(M) if absolute else M)).reshape(s.size, -1))


def _abs(W: Any) -> Any:
    return None if W is None else np.abs(W)


def _slopes_of_loss(problem: Problem, name: str, reach: float, exact: bool) -> Slopes:
    """dl_n/dz of an output layer, one unit after the other."""
    loss, f = problem.objective.losses[name], problem.net[name].f
    z, y = problem.seen.z[name], problem.objective.targets[name]

    def slopes(j: int) -> Slopes:
        def value(x: Array) -> Array:
            moved = np.concatenate([z[:, :j], x, z[:, j + 1 :]], axis=1)
            return loss_of(loss, f, moved, f.function(moved), y)[:, None]

        return Slopes.of(value, z[:, j : j + 1], reach, exact)

    columns = [slopes(j) for j in range(z.shape[1])]
    kinks = np.concatenate([column.kinks for column in columns], axis=1)
    return Slopes(joined([column.value for column in columns], axis=1), kinks)
