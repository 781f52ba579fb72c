"""A picture of pixels as an image that is part of the page."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from markupsafe import Markup

from clearprop.draw.svg import element


def png(pixels: np.ndarray) -> bytes:
    """Gray values from 0 to 1, (rows, columns), as a PNG file of 8 bits.

    >>> png(np.zeros((2, 2)))[:4]
    b'\\x89PNG'
    """
    rows = np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
    head = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 8, 0, 0, 0, 0)
    lines = b"".join(b"\x00" + row.tobytes() for row in rows)  # 0: no filter
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    written = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


def gray_picture(pixels: np.ndarray, label: str) -> Markup:
    """The pixels as an image element that refers to no other file."""
    data = base64.b64encode(png(pixels)).decode("ascii")
    return element("img", src=f"data:image/png;base64,{data}", alt=label, class_="pixels")
