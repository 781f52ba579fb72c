"""The name of every parameter, as `trace.derivation` takes it."""

from __future__ import annotations

import numpy as np

import clearprop as cp


def texts(net: cp.Network) -> list[tuple[str, int]]:
    """The name of every parameter, with its place in the flat vector."""
    found = []
    for block in net.layout.blocks:
        for entry in np.ndindex(block.shape):
            place = block.start + int(np.ravel_multi_index(entry, block.shape))
            if block.source is None:
                found.append((f"{block.layer}[{entry[0]}].b", place))
                continue
            c = next(c for c in net[block.layer].connections if c.source == block.source and c.kind != "identity")
            i, j = entry if c.kind == "dense" else np.argwhere(c.numbers == entry[0] + 1)[0]
            found.append((f"{block.layer}[{j}] <- {block.source}[{i}]", place))
    return found
