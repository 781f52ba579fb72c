"""The player of a recorded training run: a page that needs nothing else, whose frames are those of the recorder."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import clearprop as cp
from clearprop import views
from clearprop.errors import ArgumentError, DataError
from clearprop.views.planes import _needed

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])
SVG = "{http://www.w3.org/2000/svg}"


def recorded(net: cp.Network, X, y, loss: str, epochs: int, every: int = 1, seed: int = 0):
    params = net.initialize(seed=seed)
    recorder = views.Recorder(params, every=every)
    cp.train(net, params, X, y, loss=loss, optimizer=cp.SGD(0.5), batch_size=None, epochs=epochs, callbacks=recorder)
    return recorder, cp.backpropagate(net, params, X, y, loss=loss)


@pytest.fixture(scope="module")
def run() -> tuple[views.Recorder, cp.Trace]:
    net = cp.Network.sequential(2, 3, 1, hidden="tanh", output="sigmoid")
    return recorded(net, X, Y, "binary_cross_entropy", 20, every=5)


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="frames">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def frame(page: str, number: int) -> list[ET.Element]:
    """The panels as the script shows them in a frame."""
    panels = [ET.fromstring(svg) for svg in re.findall(r'<div class="scroll">(<svg.*?</svg>)</div>', page, re.DOTALL)]
    for panel, index, attribute, values in data_of(page)["tracks"]:
        node = list(panels[panel].iter())[index]
        value = next(v for v in reversed(values[: number + 1]) if v is not None)
        if attribute:
            node.set(attribute, value)
        else:
            node.text = value
    return panels


def values_at(figure: views.Figure, px: float, py: float) -> tuple[float, float]:
    """The values at a point of a plot with linear scales."""
    left, right, low, high, _, bottom, top, least, most, _ = map(float, figure.panels[0].coordinates.split())
    return low + (px - left) / (right - left) * (high - low), least + (bottom - py) / (bottom - top) * (most - least)


def test_the_page_needs_nothing_outside_it(run):
    page = views.player(*run).html()
    ET.fromstring(page.partition("\n")[2])
    assert page.count("<script>") == 1
    assert re.findall(r"(?:src|href)=", page) == []
    addresses = set(re.findall(r"https?://[^\"' )]+", page))
    assert addresses == {"http://www.w3.org/1999/xhtml"}
    assert "prefers-color-scheme: dark" in page
    assert "<noscript>" in page
    assert re.search(r'<div class="controls" hidden="">', page)
    assert len(page) < 80_000


def test_every_frame_has_the_weights_the_boundary_and_the_cost_of_its_epoch(run):
    recorder, trace = run
    player = views.player(recorder, trace, names={"input": ["left", "right"]})
    page = player.html()
    assert [figure.title for figure in player.figures] == ["Weights", "Decision boundary", "Cost"]
    largest = max(float(np.abs(p["hidden"].W["input"]).max()) for _, p in recorder.items())
    largest = max(largest, *(float(np.abs(p["output"].W["hidden"]).max()) for _, p in recorder.items()))
    assert len(recorder) == 5
    for i, (epoch, params) in enumerate(recorder.items()):
        J = cp.cost(trace.params.net, params, X, Y, loss="binary_cross_entropy")
        assert data_of(page)["names"][i] == player.names[i] == f"epoch {epoch}: cost {J:.3g}"
        weights, plane, cost = frame(page, i)
        links = {n.findtext("title"): n for n in weights.iter() if "link" in n.get("class", "").split()}
        assert len(links) == 9
        w = float(params["hidden"].W["input"][1, 2])
        (link,) = [n for tip, n in links.items() if (tip or "").startswith("right → hidden[2]: ")]
        assert float(link.get("stroke-width", 0)) == pytest.approx(0.5 + 3.5 * abs(w) / largest, abs=0.01)
        assert ("plus" if w > 0 else "minus") in link.get("class", "").split()
        (spot,) = [n for n in cost.iter() if n.get("class") == "spot last"]
        left, right, low, high, _, bottom, top, least, most, _ = map(
            float, str(player.figures[2].panels[0].coordinates).split()
        )
        assert low + (float(spot.get("cx", 0)) - left) / (right - left) * (high - low) == pytest.approx(epoch, abs=0.1)
        assert least + (bottom - float(spot.get("cy", 0))) / (bottom - top) * (most - least) == pytest.approx(
            J, abs=2e-3
        )
        assert len([n for n in plane.iter() if "sample" in n.get("class", "").split()]) == 4


def test_the_last_frame_is_that_of_the_page(run):
    page = views.player(*run).html()
    plain = [ET.fromstring(svg) for svg in re.findall(r'<div class="scroll">(<svg.*?</svg>)</div>', page, re.DOTALL)]
    assert [ET.tostring(p) for p in frame(page, 4)] == [ET.tostring(p) for p in plain]


def test_the_boundary_moves_with_the_weights():
    """One unit whose line x = threshold moves to the right."""
    net = cp.Network.sequential(2, 1, output="sigmoid")
    thresholds = [0.2, 0.5, 0.8]
    made = {
        e: net.initialize(given={"output": {"input": [[10.0], [0.0]], "b": [-10.0 * t]}})
        for e, t in enumerate(thresholds)
    }
    trace = cp.backpropagate(net, made[2], X, X[:, :1], loss="binary_cross_entropy")
    player = views.player(made, trace)
    for i, threshold in enumerate(thresholds):
        (edge,) = [n for n in frame(player.html(), i)[1].iter() if "edge" in n.get("class", "").split()]
        xs = [values_at(player.figures[1], float(x), 0)[0] for x in re.findall(r"[ML](\d+) ", edge.get("d", ""))]
        assert xs == pytest.approx([threshold] * 2, abs=0.01)


def test_several_classes_regression_and_large_networks():
    rng = np.random.default_rng(0)
    data, kinds = rng.normal(size=(30, 2)), np.arange(30) % 3
    net = cp.Network.sequential(2, 4, 3, hidden="tanh", output="softmax")
    names = {"output": ["a<b", "c&d", "</script>"]}
    player = views.player(*recorded(net, data, kinds, "cross_entropy", 3), names=names)
    page = player.html()
    assert [meaning for _, meaning in player.figures[1].legend] == names["output"]
    assert "</script>" not in page[page.index('id="frames">') : page.rindex('{"names"')]
    ET.fromstring(page.partition("\n")[2])
    assert len([n for n in frame(page, 0)[1].iter() if n.get("fill-rule") == "evenodd"]) == 3
    net = cp.Network.sequential(1, 20, 1, hidden="tanh")
    player = views.player(*recorded(net, data[:, :1], data[:, 1:], "squared_error", 150))
    assert [figure.title for figure in player.figures] == ["Cost"]
    assert player.note == (
        "120 of 151 recorded epochs. The network has too many units to draw each of them. "
        "A decision boundary needs two inputs, one output layer, and targets that are classes."
    )
    assert player.names[-1].startswith("epoch 150: ")


def test_points_on_a_line_are_left_out():
    line = np.array([[0.0, 0.0], [1.0, 0.1], [2.0, 0.0], [3.0, 5.0], [4.0, 10.2], [5.0, 15.0]])
    assert _needed(line) == [0, 2, 5]
    assert _needed(line[:2]) == [0, 1]
    circle = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 0.0]])
    assert _needed(circle) == [0, 1, 2, 3]


def test_saving_and_what_is_refused(run, tmp_path: Path):
    recorder, trace = run
    player = views.player(recorder, trace)
    player.save(tmp_path / "training.html")
    assert (tmp_path / "training.html").read_text(encoding="utf-8") == player.html()
    assert player._repr_html_().startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
    assert repr(player) == '<Player: 5 frames; save("name.html") writes it>'
    with pytest.raises(ArgumentError, match=r"a\.svg: a player is a page; expected a name that ends in \.html"):
        player.save(tmp_path / "a.svg")
    with pytest.raises(ArgumentError, match="player: expected at least two recorded epochs; train with callbacks="):
        views.player(views.Recorder(trace.params), trace)
    with pytest.raises(ArgumentError, match=r"player: expected a trace, as cp\.backpropagate returns it, got Recorder"):
        views.player(recorder, recorder)
    broken = trace.params.copy()
    broken.flat[0] = np.nan
    with pytest.raises(DataError, match="player: 1 of 13 parameters are not finite"):
        views.player({0: trace.params, 1: broken}, trace)
