"""Pictures of pixels are PNG files that hold the pixels."""

from __future__ import annotations

import base64
import re
import struct
import zlib

import numpy as np

from clearprop.draw.picture import gray_picture, png


def test_the_file_holds_the_pixels():
    pixels = np.array([[0.0, 0.5, 1.0], [1.0, 0.25, 2.0]])
    file = png(pixels)
    assert struct.unpack(">II", file[16:24]) == (3, 2)
    start = file.index(b"IDAT")
    (length,) = struct.unpack(">I", file[start - 4 : start])
    lines = zlib.decompress(file[start + 4 : start + 4 + length])
    assert [list(lines[1:4]), list(lines[5:8])] == [[0, 128, 255], [255, 64, 255]]


def test_the_image_refers_to_no_file():
    node = gray_picture(np.zeros((2, 2)), 'a "label"')
    data = re.fullmatch(r'<img src="data:image/png;base64,([\w+/=]+)" alt="a &#34;label&#34;" class="pixels"/>', node)
    assert data
    assert base64.b64decode(data[1]) == png(np.zeros((2, 2)))
