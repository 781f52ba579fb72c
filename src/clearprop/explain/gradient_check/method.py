"""The method of the numerical derivatives: the complex step if all functions support it, else central differences."""

from __future__ import annotations

import numpy as np

from clearprop.activations import Elementwise
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError
from clearprop.explain.gradient_check.complex_step import NotAnalytic
from clearprop.explain.gradient_check.intervals import Array
from clearprop.explain.gradient_check.numeric import Derivative
from clearprop.explain.gradient_check.problem import Problem

_PROBES = 2
_LOOK = 16  #: rows and units at which functions are tried one by one
_STEPS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


def choose(problem: Problem, method: str, eps: float) -> tuple[Derivative, str]:
    """The derivative by this method, and why "auto" is not the complex step.

    Each method is valid if all functions support it, and if along random directions at a nearby point it agrees with
    differences of the whole cost. Raises ArgumentError if no method is valid.
    """
    if wrong := _about_functions(problem):
        raise ArgumentError(f"check_gradients: {wrong}.")
    reason = ""
    if method != "central":
        derivative, reason = _tried(problem, True, eps)
        if derivative is not None:
            return derivative, ""
        if method == "complex":
            raise ArgumentError(f'method: the complex step cannot be used: {reason}. Use method="central".')
    derivative, objection = _tried(problem, False, eps)
    if derivative is None:
        raise ArgumentError(f"check_gradients: no numerical derivative can be trusted: {objection}.")
    return derivative, reason


def _tried(problem: Problem, exact: bool, eps: float) -> tuple[Derivative | None, str]:
    """The derivative, or None and an objection to it."""
    try:
        derivative = Derivative.of(problem, exact, eps)
        return (derivative, "") if not (objection := _objection(problem, exact, eps)) else (None, objection)
    except NotAnalytic as operation:
        return None, f"the complex continuation of {operation} is not known"
    except (TypeError, np.exceptions.ComplexWarning) as refusal:
        if not exact:
            raise
        return None, f"a function does not accept complex numbers ({refusal})"


def _objection(problem: Problem, exact: bool, eps: float) -> str:
    """How the derivative disagrees with differences of the cost at a nearby point, away from a kink here; or ""."""
    generator = np.random.default_rng(0)
    params = problem.params.copy()
    params.flat += 1e-3 * generator.normal(size=params.flat.shape)
    nearby = problem.at(params)
    derivative = Derivative.of(nearby, exact, eps)
    noise = 1e-9 * max(1.0, abs(nearby.cost(params)))
    for _ in range(_PROBES if params.flat.size else 0):
        v = generator.choice([-1.0, 1.0], size=params.flat.shape)
        value = derivative.along(v)
        middle, radius = float(value.middle), 0.0 if value.radius is None else float(value.radius)
        tried = [_difference(nearby, v, h) for h in _STEPS]
        if not min(abs(middle - d) - 1e-5 * max(abs(middle), abs(d)) for d in tried) <= noise + radius:
            return f"along a random direction it gives {middle:.9g}, and differences give {tried[1]:.9g}"
    return ""


def _difference(problem: Problem, v: Array, h: float) -> float:
    """The derivative along v by central differences of the fourth order: (4 D(h) - D(2h)) / 3."""

    def cost(t: float) -> float:
        return problem.cost(Parameters(problem.net, problem.params.flat + t * v))

    with np.errstate(all="ignore"):
        near, far = ((cost(k * h) - cost(-k * h)) / (2 * k * h) for k in (1, 2))
        return (4 * near - far) / 3


def _about_functions(problem: Problem) -> str:
    """A function that does not work on each row by itself, or that is random."""
    for layer in problem.net.layers:
        z, f, what = problem.seen.z[layer.name][:_LOOK], layer.f.function, f"{layer.f.name} of {layer.name}"
        together = f(z)
        if not np.array_equal(f(z), together, equal_nan=True):
            return f"{what} gives another result in each call; it has to be a fixed function"
        if not _agree(np.concatenate([f(z[n : n + 1]) for n in range(len(z))]), together):
            return (
                f"{what} mixes the samples: its result for a row depends on the other rows. "
                "Let it work on each row by itself, with axis=1 and keepdims=True in sums, means and maxima"
            )
        columns = (
            [f(z[:, j : j + 1]) for j in range(min(z.shape[1], _LOOK))] if isinstance(layer.f, Elementwise) else []
        )
        if columns and not _agree(np.concatenate(columns, axis=1), together[:, :_LOOK]):
            return (
                f"{what} mixes the units of a row, but is declared as elementwise. "
                "Derive it from cp.activations.Activation, with a pullback for the whole row"
            )
    return ""


def _agree(x: Array, y: Array) -> bool:
    return np.allclose(x, y, rtol=1e-6, atol=1e-9, equal_nan=True)
