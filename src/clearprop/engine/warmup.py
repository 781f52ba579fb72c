"""Ahead-of-time compilation of the code for training and prediction, for container images and CI."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from clearprop.activations import ACTIVATIONS
from clearprop.core.network import Layer, Network
from clearprop.core.objective import prepare
from clearprop.engine.api import Epochs, Training
from clearprop.errors import CompilationError
from clearprop.losses import LOSSES, Loss
from clearprop.optimizers import LBFGS, OPTIMIZERS, Adam

#: Output activations to combine with every loss.
OUTPUTS = ("identity", "sigmoid", "tanh", "softmax", "softplus", "exponential", "relu")


@dataclass(frozen=True)
class CompiledCode:
    """Where compiled code is stored, how many files and bytes it has, and how long compiling or loading it took.

    >>> from pathlib import Path
    >>> print(CompiledCode(Path("cache/clearprop"), 411, 5_200_000, 12.3))
    compiled code is stored in cache/clearprop (411 files, 5.2 MB); it took 12.3 seconds
    """

    folder: Path
    files: int
    bytes: int
    seconds: float

    def __str__(self) -> str:
        size = f"{self.files} files, {self.bytes / 1e6:.1f} MB"
        return f"compiled code is stored in {self.folder} ({size}); it took {self.seconds:.1f} seconds"


def warmup() -> CompiledCode:
    """Compile the code for training and prediction in both precisions, and store it on disk for all processes.

    This covers the epoch loop and the kernels of the library's activations, losses and optimizers with their default
    settings. Anything else (your own activation, another momentum) is compiled when first used, in some hundredths of
    a second. The folder is NUMBA_CACHE_DIR, or the user's cache.

    Raises CompilationError if the folder cannot be written.

    >>> import clearprop as cp
    >>> compiled = cp.warmup()  # up to a minute once on a machine, then a few seconds
    >>> compiled.files > 100
    True
    """
    from clearprop.engine.compiled.cache import is_writable
    from clearprop.engine.compiled.code_store import described, folder
    from clearprop.engine.compiled.shuffling import shuffled_at_once

    start = time.perf_counter()
    if not is_writable():
        raise CompilationError(
            f"warmup: {described()} cannot be written, so compiled code cannot be stored there. Set NUMBA_CACHE_DIR to "
            "a writable folder, for this command and for every process that uses the code."
        )
    shuffled_at_once(np.arange(2), np.random.RandomState(0), 1)
    for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        _compile_loops(dtype)
        _compile_definitions(dtype)
    files = [path for path in folder().rglob("*") if path.is_file()]
    return CompiledCode(folder(), len(files), sum(f.stat().st_size for f in files), time.perf_counter() - start)


def _compile_loops(dtype: np.dtype) -> None:
    """The epoch loop, by running it on a small problem of each kind."""
    from clearprop.engine.compiled.engine import CompiledEngine
    from clearprop.engine.compiled.predictor import Predictor
    from clearprop.engine.compiled.sparse import sparse_kernels

    sparse_kernels(dtype)
    net = Network(2, [Layer("hidden", 2, "tanh"), Layer("output", 1)])
    params = net.initialize(seed=0, dtype=dtype)
    X, y = np.ones((2, 2), dtype), np.ones((2, 1), dtype)
    objective = prepare(net, params, X, y, "squared_error")
    engine = CompiledEngine(Training(objective, Adam(0.1)), params, 1)
    engine.state = engine.state  # compiles both copies
    engine.run(Epochs(0, np.array([[0, 1]]), np.array([0, 1, 2]), np.full(2, 0.1)))
    engine.evaluation(objective, params).cost_and_outputs()
    engine.gradient(objective, params, norms=True).cost(params.copy())
    Predictor(net, params)(X)


def _compile_definitions(dtype: np.dtype) -> None:
    """Kernels of activations, losses, optimizers and narrow layers."""
    from clearprop.engine.compiled.elementwise import activation_kernels, loss_kernel, optimizer_kernels
    from clearprop.engine.compiled.narrow_kernels import BLOCKS
    from clearprop.engine.compiled.narrow_product import LEAST, multiply_kernel
    from clearprop.engine.compiled.vectors import LINE

    for activation in ACTIVATIONS.values():
        activation_kernels(activation, dtype)
    for kind in LOSSES.values():
        loss = _default(kind)
        for name in OUTPUTS:
            for activates, narrow in product((False, True), repeat=2):
                loss_kernel(loss, ACTIVATIONS[name], dtype, False, activates, narrow)
                if (loss.name, name) == ("cross_entropy", "softmax"):
                    loss_kernel(loss, ACTIVATIONS[name], dtype, True, activates, narrow)
    for rule in OPTIMIZERS.values():
        if rule is not LBFGS:
            rule_class: Any = rule
            optimizer_kernels(rule_class(), dtype)
    lanes = LINE // dtype.itemsize
    for units in range(1, BLOCKS * lanes + 1):
        multiply_kernel(dtype, LEAST * lanes, units)


def _default(kind: type[Loss]) -> Loss:
    loss_class: Any = kind
    return loss_class()
