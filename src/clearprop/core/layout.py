"""Layout: where each weight matrix W and each bias b lies in the flat vector of parameters.

The flat vector holds, in this order, the trainable weights of all layers, the trainable biases, the frozen weights and
the frozen biases. So the part that gradient descent changes, and the part that a penalty shrinks, is one slice each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clearprop.core.layer import Layer


@dataclass(frozen=True)
class Block:
    """One W or b in the flat vector; `source` is None for a bias."""

    layer: str
    source: str | None
    start: int
    shape: tuple[int, ...]
    trainable: bool

    @property
    def stop(self) -> int:
        """The index after its last entry."""
        return self.start + math.prod(self.shape)

    @property
    def label(self) -> str:
        """Its name in messages, such as "hidden.b" or "hidden.W['input']"."""
        return f"{self.layer}.b" if self.source is None else f"{self.layer}.W[{self.source!r}]"


@dataclass(frozen=True)
class Layout:
    """The blocks of a network's flat vector, and the ends of its slices."""

    layers: tuple[str, ...]
    blocks: tuple[Block, ...]
    size: int
    trainable: int  #: entries that gradient descent changes: flat[:trainable]
    penalized: int  #: trainable weights without biases: flat[:penalized]

    def counts(self) -> dict[str, int]:
        """Number of parameters of each layer; 0 for a layer that has none."""
        counts = dict.fromkeys(self.layers, 0)
        for block in self.blocks:
            counts[block.layer] += block.stop - block.start
        return counts

    @classmethod
    def of(cls, layers: Sequence[Layer], units: Mapping[str, int]) -> Layout:
        """The layout for these layers; `units` holds the number of units of each source.

        >>> import clearprop as cp
        >>> [block.label for block in cp.Network.sequential(2, 3, 1).layout.blocks]
        ["hidden.W['input']", "output.W['hidden']", 'hidden.b', 'output.b']
        """
        wanted: list[tuple[int, str, str | None, tuple[int, ...], bool]] = []
        for layer in layers:
            for c in layer.connections:
                shape = c.parameter_shape(units[c.source], layer.units)
                if shape is not None:
                    wanted.append((0 if c.trainable else 2, layer.name, c.source, shape, c.trainable))
            if layer.bias:
                wanted.append((1 if layer.train_bias else 3, layer.name, None, (layer.units,), layer.train_bias))
        blocks, sizes = [], [0, 0, 0, 0]
        for group, name, source, shape, trainable in sorted(wanted, key=lambda entry: entry[0]):  # a stable sort
            blocks.append(Block(name, source, sum(sizes), shape, trainable))
            sizes[group] += math.prod(shape)
        names = tuple(layer.name for layer in layers)
        return cls(names, tuple(blocks), sum(sizes), sizes[0] + sizes[1], sizes[0])
