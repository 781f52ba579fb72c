"""Run with NUMBA_DISABLE_JIT=1: the engine as plain Python, on arrays that check their bounds.

NumPy itself counts a negative index from the end, and shortens a slice that is too long; here both raise.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings

from clearprop.core.objective import prepare
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.compiled.plan import Plan
from clearprop.engine.compiled.runner import PassTable
from clearprop.engine.compiled.whole_set import CompiledEvaluation, CompiledGradient
from clearprop.engine.textbook import TextbookEngine
from tests.engine.compiled.test_compiled import Case, _close, _train, cases
from tests.engine.compiled.test_sparse import thinned, with_sparse_inputs

looked = 0


class Guarded(np.ndarray):
    """A flat array of which only indices from 0 to its end can be read and written."""

    def _check(self, key: Any) -> None:
        global looked
        looked += 1
        if self.ndim != 1 or isinstance(key, tuple):
            return
        if isinstance(key, slice):
            assert key.step is None, key
            # a pointer may start beyond the end of an array that nothing reads, such as a slot that a rule does not use
            inside = (key.start is None or key.start >= 0) and (key.stop is None or 0 <= key.stop <= len(self))
        elif isinstance(key, (int, np.integer, np.ndarray)) and not isinstance(key, bool):
            indices = np.atleast_1d(key)
            inside = bool((indices >= 0).all() and (indices < len(self)).all())
        else:
            inside = key is Ellipsis
        if not inside:
            raise IndexError(f"index {key} of {len(self)} numbers")

    def __getitem__(self, key: Any) -> Any:
        self._check(key)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._check(key)
        super().__setitem__(key, value)


def guard(memory: Any) -> Any:
    """The memory with every array guarded."""
    return memory._replace(
        **{name: a.view(Guarded) for name, a in memory._asdict().items() if isinstance(a, np.ndarray)}
    )


def work(case: Case) -> None:
    """Training, evaluation and gradient, with dense and with sparse inputs."""
    case.X = case.X[:12]
    case.y = {name: y[:12] for name, y in case.y.items()}
    case.weight = None if case.weight is None else case.weight[:12]
    case.plan = type(case.plan)(len(case.X), case.plan.batch_size, None, case.plan.shuffle, case.plan.seed)
    for form in (case, with_sparse_inputs(thinned(case, 0.5))):
        with np.errstate(all="ignore"):
            theirs, _, _ = _train(form, "float64", TextbookEngine, epochs=1)
            ours, _, _ = _train(form, "float64", CompiledEngine, epochs=1)
            if np.isfinite(theirs.flat).all() and np.abs(theirs.flat).max(initial=0) < 1e6:
                _close(ours.flat, theirs.flat, 1e-9)
            objective = prepare(form.net, ours, form.X, form.y, form.losses, form.weight, form.reduction)
            CompiledEvaluation(objective, ours).cost_and_outputs()
            CompiledGradient(objective, ours, norms=True).cost(ours.copy())


def main() -> None:
    for wrong in (-1, 3, slice(-1, None), slice(0, 4), np.array([0, 3])):
        try:
            np.zeros(3).view(Guarded)[wrong]
        except IndexError:
            continue
        raise SystemExit(f"{wrong} was not refused")
    memory, table_of = Plan.memory, PassTable.of
    Plan.memory = lambda self, *args, **given: guard(memory(self, *args, **given))  # type: ignore[method-assign]
    PassTable.of = lambda self, *arrays: guard(table_of(self, *arrays))  # type: ignore[method-assign]
    quiet = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    settings(quiet, max_examples=int(sys.argv[1]))(given(cases())(work))()
    print("inside", looked > 10_000)


if __name__ == "__main__":
    main()
