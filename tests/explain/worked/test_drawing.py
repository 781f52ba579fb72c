"""The drawings of a worked solution: numbers do not overlap each other or the units."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

import clearprop as cp
from clearprop.draw.figure import Figure
from clearprop.draw.labels import LabelledLink, place_labels
from clearprop.draw.svg import text_width
from clearprop.draw.units import ROOMY, UnitDrawing

NETWORKS = {
    "2-2-1": cp.Network.sequential(2, 2, 1),
    "2-3-1 with a skip": cp.Network(2, [cp.Layer("h", 3), cp.Layer("o", 1, sources=["h", "input"])]),
    "3-4-3": cp.Network.sequential(3, 4, 3),
    "two skips through one rank": cp.Network(
        2,
        [
            cp.Layer("h1", 2),
            cp.Layer("h2", 2, sources=["h1", "input"]),
            cp.Layer("h3", 2, sources=["h2", cp.Direct("h1")]),
            cp.Layer("o", 1, sources=["h3", "h1", "input"]),
        ],
    ),
}


def drawing(trace: cp.Trace, sweep: str) -> UnitDrawing:
    figures = [item for section in cp.worked_solution(trace).sections for item in section.items
               if isinstance(item, Figure)]  # fmt: skip
    (drawn,) = next(figure.panels for figure in figures if figure.note.startswith(f"The {sweep} sweep"))
    assert isinstance(drawn, UnitDrawing)
    return drawn


def trace_of(net: cp.Network) -> cp.Trace:
    X = np.random.default_rng(0).normal(size=(1, net.inputs))
    y = np.ones((1, net.layers[-1].units))
    return cp.backpropagate(net, net.initialize(seed=1), X, y, loss="squared_error")


def corners(at: tuple[float, float, float], width: float, height: float = 9.0) -> np.ndarray:
    x, y, angle = at[0], at[1], math.radians(at[2])
    u, v = np.array([math.cos(angle), math.sin(angle)]), np.array([-math.sin(angle), math.cos(angle)])
    return np.array([[x, y] + a * width / 2 * u + b * height / 2 * v for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])


def apart(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a line separates two rectangles."""
    for side in (*np.diff(a, axis=0)[:2], *np.diff(b, axis=0)[:2]):
        normal = np.array([-side[1], side[0]])
        if (a @ normal).max() <= (b @ normal).min() or (b @ normal).max() <= (a @ normal).min():
            return True
    return False


@pytest.mark.parametrize("sweep", ["forward", "backward"])
@pytest.mark.parametrize("net", NETWORKS.values(), ids=NETWORKS)
def test_no_number_overlaps_another_or_a_unit(net, sweep):
    drawn = drawing(trace_of(net), sweep)
    boxes = [corners(link.label_at, 0.9 * text_width(link.label, 11.5)) for link in drawn.links]
    assert len(boxes) == sum(net.units(c.source) * layer.units if c.kind != "identity" else layer.units
                             for layer in net.layers for c in layer.connections)  # fmt: skip
    assert [n for n, (a, b) in enumerate(combinations(boxes, 2)) if not apart(a, b)] == []
    for node in drawn.nodes:
        assert min(np.hypot(*(box - node.at).T).min() for box in boxes) > ROOMY.radius
    points = np.concatenate([*boxes, [node.at for node in drawn.nodes]])
    assert (points > -12).all()
    assert (points < [drawn.width + 12, drawn.height + 12]).all()


def test_links_through_one_lane_lie_side_by_side():
    links = drawing(trace_of(NETWORKS["two skips through one rank"]), "forward").links
    rank = ROOMY.margins[0] + ROOMY.rank
    levels = [link.points[1][1] for link in links if len(link.points) > 2 and link.points[1][0] == pytest.approx(rank)]
    assert len(levels) == 4 + 2  # from the input into h2 and into o
    assert np.diff(sorted(levels)).min() >= 15


def test_a_number_is_at_its_preferred_position_if_nothing_is_in_the_way():
    points = np.linspace([0.0, 0.0], [200.0, 0.0], 40)
    ((x, y, angle),) = place_labels([LabelledLink(points, 30.0, 0.5)], np.array([[0.0, 0.0, 31.0], [200.0, 0.0, 31.0]]))
    assert (x, angle) == (pytest.approx(100, abs=5), 0)
    assert -10 < y < -5  # above its link


def test_links_are_as_wide_as_their_weights_are_large_over_the_whole_network():
    net = cp.Network(1, [cp.Layer("h", 1), cp.Layer("o", 1, sources=["h", cp.Direct("input")])])
    params = net.initialize(given={"h": {"input": [[0.5]]}, "o": {"h": [[-2.0]]}})
    trace = cp.backpropagate(net, params, [[1.0]], [[1.0]], loss="squared_error")
    widths = {link.label: link.width for link in drawing(trace, "forward").links}
    assert widths == {"0.5": 1 + 2.2 / 4, "−2": 3.2, "1": pytest.approx(1 + 2.2 / 2)}


def test_numbers_fit_into_their_units():
    net = cp.Network.sequential(3, 4, 3)
    params = net.initialize(seed=1)
    params.flat[...] *= np.geomspace(1e-9, 1e6, params.flat.size)
    trace = cp.backpropagate(
        net, params, np.array([[-1.23456789, 1e-12, -98765.4321]]), np.zeros((1, 3)), "squared_error"
    )
    for sweep in ("forward", "backward"):
        numbers = [node.number for node in drawing(trace, sweep).nodes]
        assert len(numbers) == 10
        assert max(map(text_width, numbers)) < 2 * ROOMY.radius


def test_gradients_of_zero_have_neither_the_colour_of_a_plus_nor_of_a_minus():
    net = cp.Network.sequential(1, 1, 1, hidden="relu")
    params = net.initialize(given={"hidden": {"input": [[-1.0]]}, "output": {"hidden": [[1.0]]}})
    trace = cp.backpropagate(net, params, [[1.0]], [[1.0]], loss="squared_error")
    drawn = drawing(trace, "backward")
    assert [(link.label, link.sign) for link in drawn.links] == [("0", ""), ("0", "")]
    assert [meaning for _, meaning in drawn.legend] == ["positive, wider for larger", "negative", "0"]
    assert "0" not in [meaning for _, meaning in drawing(trace, "forward").legend]
