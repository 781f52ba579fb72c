"""Gradients of single samples: which samples change the parameters most, and how much they agree.

g_n = dl_n/dw is the gradient of the loss of sample n alone, before weights and reduction, so that
dJ/dw = sum_n w_n g_n / sum_n w_n for the mean. One backward sweep has all of them: dl_n/dW_kj = a_n,k^T delta_n,j.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from clearprop.checks import check_integer, dense
from clearprop.core.connections import Connection
from clearprop.core.layout import Block
from clearprop.core.network import INPUT, Network
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError, suggest
from clearprop.fork_safety import cached_property

#: Default limit for the size of an array of gradients, in bytes.
MEMORY_LIMIT = 2**30
_PIECE = 2**26  # bytes of gradients in memory at once where only sums are needed


class PerSample:
    """Gradients of single samples, from `trace.per_sample`; network, parameters and data are those of the trace.

    `norms`, `leverage` and the statistics keep only a part of the gradients in memory; `gradients()` returns all.
    `losses` (n,) is the loss of each sample before weights and reduction.

    >>> import numpy as np, clearprop as cp
    >>> net = cp.Network.sequential(1, 1)
    >>> params = net.initialize(given={"output": {"input": [[1.0]]}})
    >>> X, y = np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [7.0]])  # the last one is off the line
    >>> samples = cp.backpropagate(net, params, X, y, loss="squared_error").per_sample
    >>> samples.gradients()
    array([[  0.,   0.],
           [  0.,   0.],
           [-12.,  -4.]])
    >>> samples.leverage
    array([0., 0., 1.])
    """

    def __init__(self, objective: Objective, params: Parameters, losses: np.ndarray) -> None:
        self.net, self.params, self.losses = objective.net, params, losses
        plain = replace(objective, sample_weight=None, reduction="sum")
        scratch = Parameters(self.net, np.zeros_like(self.params.flat))
        _, self._seen, self._back = plain.sweep(self.params, scratch, slice(None))
        weights = objective.plain_weights(slice(None))
        self.shares = weights / weights.sum()  #: w_n / sum_n w_n, (n,)

    def gradients(self, layers: Sequence[str] | None = None, memory_limit: int = MEMORY_LIMIT) -> np.ndarray:
        """The gradients g_n as rows, (n, parameters) in the order of `params.flat`.

        `layers` selects the parameters of these layers. Raises ArgumentError if the array would need more than
        `memory_limit` bytes; the message suggests what to select.
        """
        blocks = self._blocks(layers)
        n, each = len(self.losses), self.params.dtype.itemsize
        count = sum(_size(block) for block in blocks)
        if n * count * each > check_integer(memory_limit, "memory_limit"):
            raise ArgumentError(self._too_large(n, count, each, memory_limit))
        return self._rows(blocks, slice(None))

    @cached_property
    def norms(self) -> np.ndarray:
        """|g_n|, the Euclidean norm of the gradient of each sample, (n,)."""
        squares = np.zeros(len(self.losses))
        for _, c, a, delta in self._parts(self._blocks(None)):
            if c is None or c.kind == "dense":  # |a delta^T|^2 = |a|^2 |delta|^2 (Goodfellow 2015)
                inputs = 1.0 if c is None else (a * a).sum(axis=1, dtype=np.float64)
                squares += inputs * (delta * delta).sum(axis=1, dtype=np.float64)
            else:
                squares += (sample_gradients(c, a, delta) ** 2).sum(axis=1, dtype=np.float64)
        return np.sqrt(squares)

    @cached_property
    def leverage(self) -> np.ndarray:
        """Share of each sample in the sum of the gradient norms, w_n |g_n| / sum_m w_m |g_m|, (n,); sums to 1.

        A sample with a far larger share than the others is unusual, hard or mislabelled. All 0 if every gradient is 0.
        The gradient norm as the importance of a sample: Katharopoulos and Fleuret 2018.
        """
        norms = self.shares * self.norms
        total = norms.sum()
        return norms / total if total > 0 else np.zeros_like(norms)

    @cached_property
    def mean(self) -> Parameters:
        """sum_n w_n g_n / sum_n w_n: the gradient of the mean cost, of the shape of the parameters."""
        return self._weighted_sum(lambda g: g)

    @cached_property
    def second_moment(self) -> Parameters:
        """sum_n w_n g_n^2 / sum_n w_n of each parameter: the diagonal of the empirical Fisher matrix."""
        return self._weighted_sum(lambda g: g * g)

    @cached_property
    def variance(self) -> Parameters:
        """sum_n w_n (g_n - mean)^2 / sum_n w_n of each parameter: how much the samples disagree."""
        mean = self.mean.flat
        return self._weighted_sum(lambda g: (g - mean) ** 2)

    @cached_property
    def signal_to_noise(self) -> Parameters:
        """|mean| / standard deviation of each parameter's gradient; 0 where both are 0, infinite without noise."""
        signal, noise = np.abs(self.mean.flat), np.sqrt(self.variance.flat)
        with np.errstate(divide="ignore"):
            ratio = np.divide(signal, noise, out=np.zeros_like(signal), where=signal > 0)
        return Parameters(self.net, ratio)

    def _weighted_sum(self, of: object) -> Parameters:
        assert callable(of)
        total, blocks = np.zeros_like(self.params.flat), self._blocks(None)
        row = max(1, total.size * total.itemsize)
        for start in range(0, len(self.losses), max(1, _PIECE // row)):
            rows = slice(start, start + max(1, _PIECE // row))
            total += self.shares[rows] @ of(self._rows(blocks, rows))
        return Parameters(self.net, total)

    def _rows(self, blocks: Sequence[Block], rows: slice) -> np.ndarray:
        parts = []
        for block, c, a, delta in self._parts(blocks):
            g = delta[rows] if c is None else sample_gradients(c, a[rows], delta[rows])
            parts.append(g.reshape(len(g), _size(block)))
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(self.losses[rows]), 0), self.params.dtype)

    def _parts(self, blocks: Sequence[Block]) -> Iterator[tuple[Block, Connection | None, np.ndarray, np.ndarray]]:
        """Each W with its connection (None for b), the activations of its source and the delta of its layer."""
        for block in blocks:
            delta = self._back.delta[block.layer]
            yield block, connection_of(self.net, block), dense(self._seen.a[block.source or INPUT]), delta

    def _blocks(self, layers: Sequence[str] | None) -> list[Block]:
        names = [layer.name for layer in self.net.layers]
        for name in layers or ():
            if name not in names:
                raise ArgumentError(f'layers: there is no layer "{name}". {suggest(name, names)}')
        return [block for block in self.net.layout.blocks if layers is None or block.layer in layers]

    def _too_large(self, n: int, count: int, each: int, limit: int) -> str:
        counts = self.net.layout.counts()
        fitting = [name for name in counts if 0 < counts[name] * n * each <= limit]
        rows = limit // (count * each)
        choices = [f"{rows:,} rows of X or fewer"] * (rows > 0)
        choices += [f'layers=["{name}"] ({in_bytes(n * counts[name] * each)})' for name in fitting[-1:]]
        select = f"Select {' or '.join(choices)}, or raise" if choices else "Raise"
        return (
            f"per-sample gradients: {n:,} rows x {count:,} parameters of {each} bytes would take "
            f"{in_bytes(n * count * each)}, more than the limit of {in_bytes(limit)}. {select} memory_limit; "
            "norms, leverage, variance and signal_to_noise need no such array."
        )


def sample_gradients(c: Connection, a: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """dl_n/dW of each sample through one connection, (n, *shape of W)."""
    if c.kind == "dense":
        return a[:, :, None] * delta[:, None, :]
    return np.stack([c.gradient(a[n : n + 1], delta[n : n + 1]) for n in range(len(a))])


def connection_of(net: Network, block: Block) -> Connection | None:
    """The connection whose W a block is; None for a bias."""
    if block.source is None:
        return None
    return next(c for c in net[block.layer].connections if c.source == block.source and c.kind != "identity")


def in_bytes(size: float) -> str:
    """A size in bytes as readable text.

    >>> in_bytes(3 * 2**30)
    '3.0 GiB'
    """
    power = min(4, max(0, int(np.log2(max(1, size)) // 10)))
    return f"{size / 1024**power:,.{1 if power else 0}f} {('bytes', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def _size(block: Block) -> int:
    return block.stop - block.start
