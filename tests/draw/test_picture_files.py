"""Figures as PNG and PDF: resolved styles, sizes, colours, and the message without the extra."""

from __future__ import annotations

import re
import struct
import sys
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path

import numpy as np
import pytest

import clearprop as cp
from clearprop import views
from clearprop.draw.picture_files import render, resolve_styles
from clearprop.draw.style import light_colour, style_sheet

X, Y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])


@pytest.fixture(scope="module")
def figures() -> dict[str, views.Figure]:
    net = cp.Network.sequential(2, 3, 3, 1, hidden="tanh", output="sigmoid")
    params = net.initialize(seed=0)
    recorder = views.Recorder(params)
    history = cp.train(net, params, X, Y, loss="squared_error", epochs=3, callbacks=recorder)
    trace = cp.backpropagate(net, params, X, Y, loss="squared_error")
    return {
        "network": views.network(trace),
        "weights": views.network(params),
        "hinton": views.hinton(params),
        "history": views.history(history),
        "boundary": views.decision_boundary(params, X, Y),
        "space": views.hidden_space(params, X, Y, "hidden1"),
        "surface": views.cost_surface(trace, "output[0].b", "output[0] <- hidden2[0]", recorder),
        "histograms": views.histograms(recorder.traces(trace)),
        "trajectory": views.weight_trajectory(recorder, trace, "output[0].b"),
    }


def drawing(class_: str, content: str = "") -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="3" class="clearprop">'
        f'<style>{style_sheet()}</style><g class="{class_}"><rect width="4" height="3"/>{content}</g></svg>'
    )


def size_of_png(content: bytes) -> tuple[int, int]:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", content[16:24])


def first_pixel(content: bytes) -> tuple[int, ...]:
    """Red, green, blue; every filter leaves the first pixel as it is."""
    data, at = b"", 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        data += content[at + 8 : at + 8 + length] if content[at + 4 : at + 8] == b"IDAT" else b""
        at += length + 12
    return tuple(zlib.decompress(data)[1:4])


@pytest.mark.parametrize("class_", ["first", "second", "input", "ramp3"])
def test_a_class_has_the_colour_of_the_light_palette(class_):
    colour = light_colour(class_)
    assert first_pixel(render(drawing(class_), ".png")) == tuple(bytes.fromhex(colour))


def test_the_style_attribute_wins_and_custom_properties_are_inherited():
    root = ET.fromstring(resolve_styles(drawing("first", '<path class="line" style="stroke-width: 7"/>')))
    path = next(node for node in root.iter() if node.tag.endswith("path"))
    styles = dict(pair.split(":") for pair in path.get("style", "").split(";"))
    assert styles["stroke"].upper() == "#" + light_colour("first")
    assert (styles["fill"], styles["stroke-width"]) == ("none", "7")


def test_exponents_are_raised_digits():
    root = ET.fromstring(resolve_styles(drawing("note", "<text>2×10⁻⁷ and 10⁵</text>")))
    text = next(node for node in root.iter() if node.tag.endswith("}text"))
    assert "".join(text.itertext()) == "2×10−7 and 105"
    assert [(node.text, node.tail) for node in text] == [("−7", " and 10"), ("5", None)]


@pytest.mark.parametrize(
    "name",
    ["network", "weights", "hinton", "history", "boundary", "space", "surface", "histograms", "trajectory"],
)
def test_every_view_becomes_png_and_pdf(figures, name, tmp_path: Path):
    assert len(figures) == 9
    figure = figures[name]
    plain = resolve_styles(figure.svg)
    assert not re.search(r"var\(|calc\(|<style|@media|--\w+:", plain)
    assert ET.fromstring(plain).get("viewBox") == ET.fromstring(figure.svg).get("viewBox")
    width, height = (float(ET.fromstring(figure.svg).get(side, 0)) for side in ("width", "height"))
    figure.save(tmp_path / "a.png")
    assert size_of_png((tmp_path / "a.png").read_bytes()) == pytest.approx((2 * width, 2 * height), abs=1)
    figure.save(tmp_path / "A.PDF")
    page = (tmp_path / "A.PDF").read_bytes()
    assert page[:5] == b"%PDF-"
    assert b"/FontFile" in page  # texts are texts, with their font
    box = [float(side) for side in re.search(rb"/MediaBox ?\[([\d. ]+)\]", page)[1].split()]
    assert box[2] / box[3] == pytest.approx(width / height, rel=0.01)


@pytest.mark.parametrize("module", ["vl_convert", "tinycss2", "cssselect2"])
def test_without_the_extra_the_message_says_what_to_install(figures, module, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(cp.errors.ArgumentError) as error:
        figures["hinton"].save(tmp_path / "a.pdf")
    assert str(error.value) == (
        f'.pdf files need the package "{module}". Install it with: pip install "clearprop[pictures]". '
        "SVG files need nothing more."
    )
    assert list(tmp_path.iterdir()) == []


def test_other_names_are_refused(figures, tmp_path: Path):
    with pytest.raises(cp.errors.ArgumentError, match=r"a\.jpg: expected a name that ends in \.svg, \.png or \.pdf"):
        figures["hinton"].save(tmp_path / "a.jpg")
