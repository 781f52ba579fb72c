"""A small real data set to experiment with, without a download."""

from __future__ import annotations

import polars as pl


def digits() -> pl.DataFrame:
    """1,797 handwritten digits of 8 x 8 pixels: columns "pixel 0 0" to "pixel 7 7" (0 to 16), and "digit" (0 to 9).

    From the UCI repository (Alpaydin and Kaynak, 1998), as scikit-learn ships it.

    >>> digits().shape
    (1797, 65)
    """
    from sklearn.datasets import load_digits  # takes a moment to load

    images, labels = load_digits(return_X_y=True)
    pixels = {f"pixel {i // 8} {i % 8}": images[:, i].astype(int) for i in range(64)}
    return pl.DataFrame(pixels | {"digit": labels})
