"""Drawings show every layer, every kind of connection and, for small networks, every weight."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

import clearprop as cp
from clearprop.draw.network import draw_network
from clearprop.losses import as_loss


def drawn(net: cp.Network, given=None, inputs=None, outputs=None):
    losses = {name: as_loss("squared_error") for name in net.outputs}
    names = inputs or [f"column {i}" for i in range(net.inputs)]
    drawing = draw_network(net, net.initialize(seed=0, given=given), losses, {"input": names, **(outputs or {})})
    return ElementTree.fromstring(drawing.svg()), [meaning for _, meaning in drawing.legend]


def classes(svg: ElementTree.Element, word: str) -> list[ElementTree.Element]:
    return [node for node in svg.iter() if word in node.attrib.get("class", "").split()]


def all_kinds(units: int) -> cp.Network:
    pattern = [[1 if i == j else 0 for j in range(units)] for i in range(units)]
    return cp.Network(
        units,
        [
            cp.Layer("a", units, "tanh", dropout=0.25),
            cp.Layer("b", units, sources=[cp.Dense("a", trainable=False)]),
            cp.Layer("c", units, sources=["b", cp.Direct("a")]),
            cp.Layer("d", units, sources=["c", cp.Wired("input", pattern)]),
            cp.Layer("e", units, sources=["b"]),
        ],
        outputs=["d", "e"],
    )


def test_boxes_show_units_activation_parameters_dropout_and_loss():
    svg, legend = drawn(all_kinds(20))
    texts = [
        " | ".join(text.text for text in group.iter("text"))
        for group in svg.iter("g")
        if group.find("rect") is not None
    ]
    assert texts == [
        "input | 20 inputs",
        "a | 20 units · tanh | 420 parameters | dropout 25%",
        "b | 20 units · identity | 420 parameters",
        "c | 20 units · identity | 420 parameters",
        "d | 20 units · identity | 421 parameters | loss: squared error",
        "e | 20 units · identity | 420 parameters | loss: squared error",
    ]
    assert len(classes(svg, "output")) == 2
    assert len(classes(svg, "join")) == 2 * 2  # a circle and a plus each
    assert {word: len(classes(svg, word)) for word in ("dense", "frozen", "identity", "wired")} == {
        "dense": 4, "frozen": 1, "identity": 1, "wired": 1,
    }  # fmt: skip
    assert len(classes(svg, "skip")) == 2
    assert [words.partition(":")[0] for words in legend] == [
        "dense", "wired", "identity", "frozen", "skip connection", "contributions of several sources are added",
        "output",
    ]  # fmt: skip


@pytest.mark.parametrize("layers", [1, 5, 6, 30])
def test_chains_of_any_length_are_drawn_with_one_box_a_layer(layers):
    svg, legend = drawn(cp.Network.sequential(40, *[20] * layers, 1))
    assert len(classes(svg, "box")) == layers + 2
    assert len(classes(svg, "wire")) == layers + 1
    assert legend == ["dense: every unit to every unit"]


def test_small_network_shows_each_weight_with_sign_and_size():
    net = cp.Network(2, [cp.Layer("h", 3, "tanh"), cp.Layer("o", 1, sources=["h", "input"])])
    given = {"h": {"input": [[1.0, -2.0, 0.0], [0.5, 4.0, -1.0]], "b": [0.5, -0.5, 0.0]}, "o": {"b": [0.0]}}
    svg, legend = drawn(net, given, ["age", "height"], {"o": ["price"]})
    weights = classes(svg, "link")
    assert len(weights) == 5 + 3 + 2  # one of 2 * 3 is 0
    titles = {node.find("title").text: node for node in weights}
    assert "plus" in titles["height → h[1]: 4"].attrib["class"].split()
    assert "minus" in titles["age → h[1]: −2"].attrib["class"].split()
    widths = {title: float(node.attrib["stroke-width"]) for title, node in titles.items()}
    assert widths["height → h[1]: 4"] == 4.0
    ordered = ["height → h[1]: 4", "age → h[1]: −2", "age → h[0]: 1", "height → h[0]: 0.5"]
    assert all(widths[wide] > widths[narrow] for wide, narrow in pairwise(ordered))
    assert len(classes(svg, "unit")) == 2 + 3 + 1
    assert len(classes(svg, "bias")) == 2  # those that are not 0
    texts = [text.text for text in svg.iter("text")]
    assert {"age", "height", "price"} <= set(texts)
    assert legend[0] == "positive, wider for larger"


def test_small_network_draws_other_kinds_of_lines_apart():
    svg, legend = drawn(all_kinds(3))
    assert len([node for node in classes(svg, "link") if "wired" in node.attrib["class"].split()]) == 3
    assert len(classes(svg, "identity")) == 3
    assert len([node for node in classes(svg, "link") if "frozen" in node.attrib["class"].split()]) == 9
    assert any(words.startswith("frozen") for words in legend)


@pytest.mark.parametrize(("units", "small"), [(16, True), (17, False)])
def test_units_are_drawn_up_to_sixteen(units, small):
    svg, _ = drawn(cp.Network.sequential(units, 2, 1))
    assert bool(classes(svg, "unit")) == small


def test_weights_that_are_all_zero_are_no_lines():
    net = cp.Network.sequential(2, 1)
    svg, _ = drawn(net, {"output": {"input": [[0.0], [0.0]]}})
    assert not classes(svg, "link")
    assert len(classes(svg, "unit")) == 3


@pytest.mark.parametrize(
    ("units", "kinds"),
    [(3, {"input": 3, "hidden": 9, "output": 6}), (20, {"input": 1, "hidden": 3, "output": 2})],
    ids=["units", "boxes"],
)
def test_each_kind_of_layer_has_its_class(units, kinds):
    svg, _ = drawn(all_kinds(units))
    assert {kind: len(classes(svg, kind)) for kind in kinds} == kinds
