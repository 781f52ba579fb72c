"""Compiled code on arrays between protected pages: an access outside an array ends the process.

Each array ends at such a page, or begins right behind one, so that both ends are checked in turn.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.engine.api import Training
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.compiled.plan import Plan
from clearprop.engine.compiled.runner import Runner
from clearprop.engine.compiled.shuffling import shuffled_at_once
from clearprop.engine.compiled.whole_set import CompiledEvaluation, CompiledGradient
from clearprop.training.batches import BatchPlan
from tests.engine.compiled.test_compiled import Case, _rates, cases
from tests.engine.compiled.test_sparse import thinned, with_sparse_inputs
from tests.epochs import planned_epochs

PAGE = mmap.PAGESIZE
at_the_end = True
kept: list[mmap.mmap] = []


def fence(array: np.ndarray) -> np.ndarray:
    """A copy that ends at a page, or begins at one, which can be neither read nor written."""
    pages = -(-max(1, array.nbytes) // PAGE)
    block = mmap.mmap(-1, (pages + 2) * PAGE)
    kept.append(block)
    start = ctypes.addressof(ctypes.c_char.from_buffer(block))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for page in (start, start + (pages + 1) * PAGE):
        if protect(page, PAGE, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    place = (pages + 1) * PAGE - array.nbytes if at_the_end else PAGE
    copy = np.frombuffer(block, array.dtype, array.size, place).reshape(array.shape)
    copy[...] = array
    return copy


def fenced(memory: Any) -> Any:
    """The memory with a fence around every array and record."""
    fields = memory._asdict().items()
    arrays = {name: fence(a) for name, a in fields if isinstance(a, np.ndarray)}
    return memory._replace(
        **arrays, **{n: fence(np.asarray(r).reshape(1))[0] for n, r in fields if isinstance(r, np.void)}
    )


def work(case: Case, dtype: str, threads: int) -> None:
    """Everything that compiled code does with a case."""
    params = cp.Parameters(case.net, fence(case.net.initialize(case.seed, dtype).flat))
    objective = prepare(case.net, params, case.X, case.y, case.losses, case.weight, case.reduction)
    training = Training(objective, case.optimizer, case.penalties, case.limits, case.seed, case.alpha, case.row_keys)
    engine = CompiledEngine(training, params, case.plan.largest, threads)
    epoch = planned_epochs(case.plan, 0, 1, _rates(case, 1))
    engine.run(epoch)
    shuffled_at_once(fence(epoch.orders[0]), np.random.RandomState(0), 2)
    CompiledEvaluation(objective, params).cost_and_outputs()
    gradients = cp.Parameters(case.net, fence(params.flat))
    CompiledGradient(objective, params, norms=True).cost(gradients)
    if not np.isnan(params.flat).any():
        cp.Predictor(case.net, params)(case.X)


def narrow() -> Case:
    """Layers whose weights are narrow and long (`narrow_product`), one of them on X."""
    layers = [cp.Layer("wide", 67, "tanh"), cp.Layer("three", 3, "relu"), cp.Layer("ten", 10, "tanh", "wide")]
    net = cp.Network(67, [*layers, cp.Layer("one", 1, "identity", ["ten", "three", "input"])])
    X, y = np.random.default_rng(0).normal(size=(53, 67)), np.ones((53, 1))
    plan = BatchPlan(53, 20, None, True, 0)
    adam: Any = cp.Adam(0.01)
    return Case(net, {"one": cp.SquaredError()}, X, {"one": y}, None, "mean", adam, (), cp.penalties.Limits(), plan, 0)


def everything(case: Case) -> None:
    """Dense and sparse, both ends, both precisions, several numbers of threads."""
    global at_the_end
    with np.errstate(all="ignore"):
        for form in (case, with_sparse_inputs(thinned(case, 0.5))):
            for place, dtype, threads in ((True, "float32", 2), (False, "float64", 3), (True, "float64", 1)):
                at_the_end = place
                work(form, dtype, threads)
    kept.clear()


def main() -> None:
    global at_the_end
    if sys.argv[2:] == ["beyond"]:
        ctypes.string_at(fence(np.zeros(3)).ctypes.data + 24, 8)
    if sys.argv[2:] == ["before"]:
        at_the_end = False
        ctypes.string_at(fence(np.zeros(3)).ctypes.data - 8, 8)
    memory, run = Plan.memory, Runner.run

    def run_fenced(self: Runner, order: np.ndarray, edges: np.ndarray, rates: np.ndarray, *rest: Any) -> None:
        return run(self, fence(order), fence(edges), fence(rates), *rest)

    Plan.memory = lambda self, *args, **given: fenced(memory(self, *args, **given))  # type: ignore[method-assign]
    Runner.run = run_fenced  # type: ignore[method-assign,assignment]
    everything(narrow())
    quiet = settings(deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    settings(quiet, max_examples=int(sys.argv[1]))(given(cases())(everything))()
    print("inside")


if __name__ == "__main__":
    main()
