"""Checks of each activation and loss by itself, to find the one whose derivative is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from clearprop.activations import Activation, Elementwise
from clearprop.explain.gradient_check.mistakes import Mistake
from clearprop.explain.gradient_check.problem import Problem
from clearprop.explain.gradient_check.slopes import Slopes
from clearprop.losses import Loss

_ROWS = 64  # rows of the data, enough to detect a wrong derivative

Array = np.ndarray


def check_pieces(problem: Problem) -> list[Mistake]:
    """Mistakes in the derivatives of activations and losses, at the values of the forward sweep."""
    net, seen = problem.params.net, problem.seen
    pieces: list[_Piece] = []
    checked = set()
    for layer in net.layers:
        if layer.f not in checked:
            checked.add(layer.f)
            pieces.append(_of_activation(layer.f, seen.z[layer.name][:_ROWS], layer.name))
    for name, loss in problem.objective.losses.items():
        y = problem.objective.targets[name][:_ROWS]
        pieces.append(_of_loss(loss, net[name].f, seen.z[name][:_ROWS], y, name))
    return [mistake for piece in pieces for mistake in piece.mistakes(max(problem.tolerance, 1e-6))]


@dataclass(frozen=True)
class _Piece:
    """A derivative as defined and computed numerically at `x`; `patterns` are common wrong derivatives."""

    what: str
    layer: str
    symbol: str
    x: Array
    defined: Array
    numeric: Array
    patterns: tuple[tuple[str, str, Array], ...] = ()

    def mistakes(self, tolerance: float) -> Iterator[Mistake]:
        """A mistake if the two differ, named by the pattern that matches."""
        smooth = np.isfinite(self.numeric)  # elsewhere there is a kink
        defined, numeric = self.defined[smooth], self.numeric[smooth]
        size = float(np.abs(numeric).max(initial=0.0))
        size = max(size, float(np.abs(defined).max(initial=0.0)))
        error = np.abs(defined - numeric)
        if not error.size or not size or not float(error.max()) > tolerance * size:
            return
        worst = int(np.argmax(error))
        x = self.x[smooth][worst]
        at = f"at {self.symbol} = {x:.6g} it is {defined[worst]:.9g}, numerically {numeric[worst]:.9g}"
        named = [
            (name, words)
            for name, words, wrong in self.patterns
            if np.abs(defined - wrong[smooth]).max() <= tolerance * size
        ]
        named = named or [_ratio(defined, numeric, tolerance)]
        for name, words in named:
            yield Mistake(name, f"{self.what} {words}; {at}", (self.layer,))


def _ratio(defined: Array, numeric: Array, tolerance: float) -> tuple[str, str]:
    """The name of the mistake if one is a multiple of the other."""
    c = float(defined @ numeric / (numeric @ numeric)) if numeric.any() else np.nan
    if defined.size > 2 and np.abs(defined - c * numeric).max() <= tolerance * np.abs(defined).max():
        if abs(c + 1) <= tolerance:
            return "sign", "has the wrong sign"
        return "factor", f"is {c:.6g} times what it should be"
    return "wrong derivative", "does not match the function"


def _of_activation(f: Activation, z: Array, layer: str) -> _Piece:
    if isinstance(f, Elementwise):
        right = _slope(f.function, z)
        missing = ("missing derivative", "is 1 everywhere, as if it was forgotten", np.ones_like(z))
        given = np.asarray(f.derivative(z, f.function(z)), dtype=np.float64) * np.ones_like(z)
        return _Piece(f"the derivative of {f.name}", layer, f"{layer}.z", z, given, right, (missing,))
    error = np.random.default_rng(0).normal(size=z.shape)
    diagonal = np.stack([_slope(lambda x: f.function(x)[:, i], z, i) for i in range(z.shape[1])], axis=1)  # noqa: B023
    right = np.stack([_slope(lambda x: (f.function(x) * error).sum(axis=1), z, i) for i in range(z.shape[1])], axis=1)
    forgotten = f"{f.name} Jacobian forgotten"
    patterns = (
        (forgotten, "uses only the diagonal of the Jacobian", error * diagonal),
        (forgotten, "returns the error signal unchanged", error),
    )
    return _Piece(
        f"the pullback of {f.name}", layer, f"{layer}.z", z, f.pullback(z, f.function(z), error), right, patterns
    )


def _of_loss(loss: Loss, f: Activation, z: Array, y: Array, layer: str) -> _Piece:
    """The derivative with respect to yhat, or delta with respect to z if the pair has a short form."""
    a = f.function(z)
    if loss.partner is not None and isinstance(f, loss.partner):

        def value(x: Array) -> Array:
            return loss.short_form(x, f.function(x), y)[0]

        what, symbol, x, given = "delta in the short form of", "z", z, loss.short_form(z, a, y)[1]
    else:

        def value(x: Array) -> Array:
            return loss.value_and_error(x, y)[0]

        what, symbol, x, given = "the slope of", "yhat", a, loss.value_and_error(a, y)[1]
    right = np.stack([_slope(value, x, i) for i in range(x.shape[1])], axis=1)
    return _Piece(f"{what} {loss.name}", layer, f"{layer}.{symbol}", x, given, right)


def _slope(f: Callable[[Array], Array], x: Array, unit: int | None = None) -> Array:
    """df/dx by differences, for each entry or one unit; NaN at a kink."""
    moved = np.ones_like(x) if unit is None else np.zeros_like(x)
    moved[:, slice(None) if unit is None else unit] = 1

    def of_step(t: Array) -> Array:
        value = f(x + t[:, : x.shape[1]] * moved)
        return value if value.ndim == 2 else value[:, None]

    shape = x.shape if unit is None else (len(x), 1)
    slopes = Slopes.of(of_step, np.zeros(shape), 0.0, exact=False)
    return np.where(slopes.kinks, np.nan, slopes.value.middle).reshape(x.shape if unit is None else len(x))
