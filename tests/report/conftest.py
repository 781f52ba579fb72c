"""Models to report on, and the checks that every page must pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest

import clearprop as cp
from clearprop.draw.style import script
from clearprop.draw.svg import text_width
from clearprop.model.model import Model

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
SVG_NUMBERS = (
    "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "width", "height", "d", "viewBox", "transform",
    "stroke-width", "stroke-opacity", "fill-opacity",
)  # fmt: skip
XHTML = "{http://www.w3.org/1999/xhtml}"
FONT_SIZES = {"boxname": 13.0}


@pytest.fixture
def trained() -> Callable[..., Model]:
    """A model without an encoding, trained for a few epochs."""

    def train(net: cp.Network, X, y, loss, *, settings=None, seed=0, **options) -> Model:
        params = net.initialize(seed=seed)
        history = cp.train(net, params, X, y, loss=loss, **{"epochs": 3, "seed": seed, **options})
        return Model(net, params, loss, None, settings or {}, history)

    return train


@pytest.fixture
def check_page() -> Callable[[str], ElementTree.Element]:
    """Parse a page and assert all that must hold for any; returns the root."""

    def check(page: str) -> ElementTree.Element:
        assert len(page.encode("utf-8")) < 1_000_000
        root = ElementTree.fromstring(page)  # raises ParseError unless every tag closes and every name is escaped
        assert root.tag == f"{XHTML}html"
        _assert_self_contained(root)
        _assert_links_lead_somewhere(root)
        pictures = list(root.iter(f"{XHTML}svg"))
        assert pictures
        for svg in pictures:
            _assert_drawable(svg)
        return root

    return check


def _assert_self_contained(root: ElementTree.Element) -> None:
    for node in root.iter():
        tag = node.tag.removeprefix(XHTML)
        assert tag not in ("link", "iframe", "object", "embed", "image", "use", "base"), tag
        assert not [name for name in node.attrib if name in ("srcset", "action") or name.startswith("on")]
        assert node.attrib.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        if tag == "script":
            assert (node.text or "").strip() == script("report")  # nothing of the user's is in the script
        assert node.attrib.get("href", "#").startswith("#")
        if tag == "style":
            assert "url(" not in node.text
            assert "@import" not in node.text


def _assert_links_lead_somewhere(root: ElementTree.Element) -> None:
    ids = [node.attrib["id"] for node in root.iter() if "id" in node.attrib]
    assert len(ids) == len(set(ids))
    assert {node.attrib["href"][1:] for node in root.iter(f"{XHTML}a")} <= set(ids)


def _assert_drawable(svg: ElementTree.Element) -> None:
    _, _, width, height = (float(number) for number in svg.attrib["viewBox"].split())
    assert width > 0
    assert height > 0
    assert svg.get("role") == "img" or svg.get("aria-hidden") == "true"  # samples of a legend are hidden
    for node in svg.iter():
        for name, value in node.attrib.items():
            if name in SVG_NUMBERS:
                letters = set(NUMBER.sub("", value.replace("translate", "").replace("rotate", "")))
                assert letters <= set("MLCHVhvlz (),"), f"{node.tag} {name}={value}"
            if name in ("width", "height", "r"):
                assert float(value) >= 0
    for text in svg.iter(f"{XHTML}text"):
        if "transform" not in text.attrib:
            _assert_inside(text, width, height)


def _assert_inside(text: ElementTree.Element, width: float, height: float) -> None:
    """The text does not leave the picture, as far as its width can be told."""
    classes = text.attrib.get("class", "").split()
    size = next((FONT_SIZES[c] for c in classes if c in FONT_SIZES), 12.0)
    wide, x, y = text_width(text.text or "", size), float(text.attrib["x"]), float(text.attrib["y"])
    middle = {"mid", "cell", "boxname", "boxtext"} & set(classes) and "start" not in classes
    left = x - wide if "end" in classes else x - wide / 2 if middle else x
    said = ElementTree.tostring(text, encoding="unicode")
    assert left > -8, said
    assert left + wide < width + 8, said
    assert 0 <= y <= height + 2, said


@pytest.fixture
def words() -> Callable[[ElementTree.Element], str]:
    """The text of a page that a person reads, without the style sheet and the script."""

    def read(root: ElementTree.Element) -> str:
        body = root.find(f"{XHTML}body")
        texts = [text for node in body for text in node.itertext() if not node.tag.endswith("script")]
        return " ".join(" ".join(texts).split())

    return read


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of points in four dimensions, (240, 4), and which one each belongs to."""
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, 240)
    return generator.normal(size=(240, 4)) + 2 * np.eye(3, 4)[y], y
