"""The figures: each is well-formed SVG that shows its numbers, and reports what it cannot draw."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from networks import Problem, problems

import clearprop as cp
from clearprop import views
from clearprop.draw.svg import number as written
from clearprop.errors import ArgumentError, NetworkError, ShapeError
from clearprop.views.cost_curve import curve_costs
from clearprop.views.surface import _costs

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def trained() -> tuple[cp.Trace, views.Recorder, cp.History]:
    net = cp.Network.sequential(2, 2, 1, hidden="tanh", output="sigmoid")
    params = net.initialize(seed=3)
    recorder = views.Recorder(params, every=10)
    history = cp.train(
        net, params, X, Y, loss="binary_cross_entropy", optimizer=cp.Momentum(0.5, 0.9), batch_size=None, epochs=120,
        callbacks=recorder, validation=(X, Y),
    )  # fmt: skip
    return cp.backpropagate(net, params, X, Y, loss="binary_cross_entropy"), recorder, history


def parsed(figure: views.Figure) -> ET.Element:
    """The figure as XML, with all that every figure must have."""
    root = ET.fromstring(figure.svg)
    assert root.tag == f"{SVG}svg"
    assert root.findtext(f"{SVG}title") == figure.title
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")
    used = {name for node in root.iter() for name in node.get("class", "").split()}
    unknown = {name for name in used if name not in figure.svg.partition("</style>")[0]}
    # these only name what a thing is; what it looks like follows from the class beside it
    assert unknown <= {"dense", "bias", "dot"}
    assert not re.search(r"(?:nan|inf)\b", figure.svg.partition("</style>")[2])
    assert not re.search(r"(?:fill|stroke)=\"#", figure.svg)
    return root


def texts(root: ET.Element) -> list[str]:
    return ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]


def classed(root: ET.Element, name: str) -> list[ET.Element]:
    return [node for node in root.iter() if name in node.get("class", "").split()]


def all_figures(trained: tuple[cp.Trace, views.Recorder, cp.History]) -> dict[str, views.Figure]:
    trace, recorder, history = trained
    return {
        "network": views.network(trace),
        "weights": views.network(trace.params),
        "hinton": views.hinton(trace.params),
        "histograms": views.histograms(recorder.traces(trace)),
        "decision_boundary": views.decision_boundary(trace.params, X, Y),
        "hidden_space": views.hidden_space(trace.params, X, Y, "hidden"),
        "cost_curve": views.cost_curve(trace, "output[0].b", recorder),
        "cost_surface": views.cost_surface(trace, "output[0] <- hidden[0]", "output[0] <- hidden[1]", recorder),
        "weight_trajectory": views.weight_trajectory(recorder, trace, "output[0] <- hidden[0]"),
        "history": views.history(history),
    }


def test_views_are_an_attribute_of_the_package():
    assert cp.__getattr__("views") is views
    with pytest.raises(AttributeError, match="module 'clearprop' has no attribute 'view'"):
        cp.__getattr__("view")


def test_every_view_is_well_formed_and_saves(trained, tmp_path: Path):
    figures = all_figures(trained)
    assert {*figures, "Figure", "Player", "Recorder", "player"} - {"weights"} == set(views.__all__)
    for name, figure in figures.items():
        parsed(figure)
        figure.save(tmp_path / f"{name}.svg")
        assert (tmp_path / f"{name}.svg").read_text(encoding="utf-8") == figure.svg == figure._repr_svg_()


# --- the network ------------------------------------------------------------------------------------------------------


def test_network_shows_activations_deltas_and_weights():
    net = cp.Network(2, [cp.Layer("h", 1), cp.Layer("o", 1, sources=["h", "input"])])
    given = {"h": {"input": [[2.0], [-3.0]]}, "o": {"h": [[0.5]], "input": [[4.0], [0.25]]}}
    trace = cp.backpropagate(net, net.initialize(given=given), [[1.0, 1.0]], [[2.0]], loss="squared_error")
    shown = texts(parsed(views.network(trace, names={"input": ["age", "income"]})))
    # h = 2 - 3 = -1, o = -0.5 + 4.25 = 3.75, delta o = 1.75, delta h = 0.875
    for number in ("−1", "3.75", "δ 1.75", "δ 0.875", "2", "−3", "0.5", "4", "0.25", "age", "income"):
        assert number in shown


def test_the_width_of_a_link_is_its_own(trained):
    """A rule of the style sheet outweighs the attribute of an element."""
    root = parsed(views.network(trained[0]))
    widths = {node.get("stroke-width") for node in classed(root, "link")}
    assert len(widths) > 2
    rules = re.findall(r"([^{}]+)\{([^}]*)\}", root.findtext(f"{SVG}style") or "")
    for selectors, rule in rules:
        for selector in selectors.split(","):
            last = selector.split()[-1] if selector.split() else ""
            if "stroke-width" in rule:
                used = set(re.findall(r"\.([\w-]+)", last))
                assert used - {"link", "plus", "minus", "dense", "identity", "frozen", "wired"}, selector


def test_network_reports_what_it_cannot_draw():
    net = cp.Network.sequential(2, 1)
    trace = cp.backpropagate(net, net.initialize(seed=0), X, Y, loss="squared_error")
    with pytest.raises(ArgumentError, match="sample: expected a row of the trace from 0 to 3, got 4"):
        views.network(trace, sample=4)
    with pytest.raises(ArgumentError, match="network: expected a trace or parameters, got Network"):
        views.network(net)  # type: ignore[arg-type]
    large = cp.Network.sequential(2, 80, 1)
    with pytest.raises(
        ArgumentError,
        match=r"at most 60 units, got 83\. Pass the parameters",
    ):
        views.network(cp.backpropagate(large, large.initialize(seed=0), X, Y, loss="squared_error"))
    assert views.network(large.initialize(seed=0)).title == "Layers"


# --- weights ----------------------------------------------------------------------------------------------------------


def test_hinton_squares_have_the_area_and_the_sign_of_the_weight():
    net = cp.Network.sequential(2, 2)
    given = {"output": {"input": [[4.0, -1.0], [0.0, 1.0]], "b": [-4.0, 0.0]}}
    root = parsed(views.hinton(net.initialize(given=given)))
    sides = {sign: [float(n.get("width", 0)) for n in classed(root, sign)][:-1] for sign in ("plus", "minus")}
    assert sides["plus"] == pytest.approx([25, 12.5])  # 4 and 1; the swatch of the legend is left out
    assert sides["minus"] == pytest.approx([12.5, 25])
    assert "bias" in texts(root)


def test_hinton_of_shared_weights_and_of_identity():
    wired = cp.Wired("input", [[1, 0], [2, 1], [0, 2]])
    net = cp.Network(3, [cp.Layer("a", 2, sources=wired), cp.Layer("b", 2, sources=["a", cp.Direct("a")])])
    root = parsed(views.hinton(net.initialize(seed=0)))
    assert len(classed(root, "plus")) + len(classed(root, "minus")) == 4 + 4 + 2  # two in the legend


# --- over time --------------------------------------------------------------------------------------------------------


def test_recorder_records_the_start_and_every_tenth_epoch(trained):
    trace, recorder, _ = trained
    assert list(recorder.recorded) == list(range(0, 121, 10))
    assert np.array_equal(recorder.recorded[120].flat, trace.params.flat)
    assert list(recorder.traces(trace, most=3)) == [0, 60, 120]
    assert recorder.traces(trace)[120].cost == trace.cost


def test_histograms_show_layers_and_epochs(trained):
    trace, recorder, _ = trained
    for of in ("a", "z", "delta", "error"):
        root = parsed(views.histograms(recorder.traces(trace, most=4), of))
        assert len(classed(root, "ridge")) == 2 * 4
        assert {"hidden", "output", "epoch 0", "epoch 120"} <= set(texts(root))
    with pytest.raises(ArgumentError, match="of: expected one of 'a', 'z', 'delta', 'error', got 'w'"):
        views.histograms({0: trace}, of="w")
    with pytest.raises(ArgumentError, match="traces: expected 1 to 16 traces by epoch, got 0; see Recorder"):
        views.histograms({})


@pytest.mark.parametrize(("log", "at"), [(False, lambda e: e), (True, lambda e: math.log(1 + e))])
def test_histograms_stand_at_the_true_distances_of_their_epochs(trained, log, at):
    """Also if they were recorded in another order; their names do not overlap."""
    trace, epochs = trained[0], [100, 1, 10, 2]
    figure = views.histograms(dict.fromkeys(epochs, trace), "a", log=log)
    assert "log scale" in figure.note if log else "log=True moves them apart" in figure.note
    for root in map(panel_root, figure.panels):
        ridges = {n.findtext(f"{SVG}title", "").split()[-1]: n.get("d", "") for n in classed(root, "ridge")}
        y = {int(epoch): float(path[1:].partition("L")[0].split()[1]) for epoch, path in ridges.items()}
        assert list(y) == sorted(epochs)
        shares = [(y[e] - y[1]) / (y[100] - y[1]) for e in y]
        assert shares == pytest.approx([(at(e) - at(1)) / (at(100) - at(1)) for e in y], abs=1e-3)
        names = [float(n.get("y", 0)) for n in root.iter(f"{SVG}text") if (n.text or "").startswith("epoch")]
        assert min(b - a for a, b in pairwise(names)) >= 13.9


def panel_root(panel: Any) -> ET.Element:
    return ET.fromstring(f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(panel.parts)}</svg>')


def test_all_layers_have_histograms_and_values_left_out_are_counted():
    net = cp.Network.sequential(2, *[2] * 20, 1, hidden="tanh")
    trace = cp.backpropagate(net, net.initialize(seed=0), X, Y, loss="squared_error")
    figure = views.histograms({0: trace}, "a")
    assert [panel.title for panel in figure.panels] == [layer.name for layer in net.layers]
    assert "Left out" not in figure.note
    net = cp.Network.sequential(2, 2, 1, hidden="exponential")
    params = net.initialize(given={"hidden": {"input": [[1e4, 0.0], [0.0, 0.0]]}, "output": {"hidden": [[1.0], [1.0]]}})
    with np.errstate(all="ignore"):
        trace = cp.backpropagate(net, params, X, Y, loss="squared_error")
    note = views.histograms({0: trace, 5: trace}, "a").note
    assert note.endswith(" Left out: 8 values that are not finite, in hidden, output.")


def test_a_history_says_which_layers_are_not_drawn():
    norms = {f"h{i}": [0.0 if i == 4 else 1.0, 0.0 if i == 4 else 0.5] for i in range(1, 15)} | {"output": [1.0, 1.0]}
    figure = views.history(cp.History({"cost": [2.0, 1.0]}, delta_norms=norms, stopped="finished 2 epochs"))
    assert figure.note == (
        "finished 2 epochs; not drawn, because its norm is 0 or not finite in every epoch: h4; "
        "not drawn, because twelve layers are the most: h5, h12"
    )
    assert len(classed(panel_root(figure.panels[1]), "line")) == 12
    figure = views.history(cp.History({"cost": [2.0, 1.0]}, delta_norms={"output": [0.0, 0.0]}))
    assert (len(figure.panels), figure.note.endswith("every epoch: output")) == (1, True)


def test_weight_trajectory_is_the_recorded_one():
    net = cp.Network.sequential(1, 1)
    params = net.initialize(given={"output": {"input": [[1.0]]}})
    trace, recorder = cp.backpropagate(net, params, [[1.0]], [[0.0]], loss="squared_error"), views.Recorder(params)
    with pytest.raises(ArgumentError, match="at least one weight, and a recorder with at least one epoch"):
        views.weight_trajectory(recorder, trace, "output[0] <- input[0]")
    rule = cp.GradientDescent(0.25)
    cp.train(net, params, [[1.0]], [[0.0]], loss="squared_error", optimizer=rule, epochs=2, callbacks=recorder)
    root = parsed(views.weight_trajectory(recorder, trace, "output[0] <- input[0]", "output[0].b"))
    lines = [n for n in classed(root, "line") if n.tag == f"{SVG}path" and "C" not in n.get("d", "")]
    assert len([n for n in lines if n.findtext(f"{SVG}title")]) == 4  # w and dJ/dw of both
    with pytest.raises(ArgumentError, match='there is no "hidden"'):
        views.weight_trajectory(recorder, trace, "hidden")
    with pytest.raises(ArgumentError, match=r'"output\[0\]" is a unit, not a parameter'):
        views.weight_trajectory(recorder, trace, "output[0]")


def test_history_needs_an_epoch(trained):
    with pytest.raises(ArgumentError, match="history: expected at least one epoch; train first"):
        views.history(cp.History())
    assert {"training", "validation", "hidden", "output"} <= set(texts(parsed(views.history(trained[2]))))


# --- planes and surfaces ----------------------------------------------------------------------------------------------


def test_boundary_is_where_the_output_is_one_half():
    net = cp.Network.sequential(2, 1, output="sigmoid")
    params = net.initialize(given={"output": {"input": [[1.0], [0.0]], "b": [-0.5]}})  # x = 0.5, upright
    root = parsed(views.decision_boundary(params, X, np.array([0, 0, 1, 1])))
    (edge,) = classed(root, "edge")
    xs = {round(float(x)) for x in re.findall(r"[ML]([\d.]+) ", edge.get("d", ""))}
    places = sorted({float(n.get("cx", 0)) for n in classed(root, "sample")})
    assert xs == {round(sum(places) / 2)}
    assert len(classed(root, "sample")) == 4


def test_boundary_of_several_classes_and_of_more_inputs():
    rng = np.random.default_rng(0)
    net = cp.Network.sequential(3, 5, 3, hidden="tanh", output="softmax")
    data, y = rng.normal(size=(30, 3)), np.arange(30) % 3
    figure = views.decision_boundary(net.initialize(seed=0), data, y, inputs=(2, 0), names=["a", "b", "c"])
    assert {"class 0", "class 1", "class 2", "c"} <= set(texts(parsed(figure)))
    assert figure.note == "The colour is the class whose output is largest. The other inputs stay at their means."
    assert "a" in texts(parsed(figure))  # above the y axis
    one_hot = views.decision_boundary(net.initialize(seed=0), data, np.eye(3)[y], (2, 0), names=["a", "b", "c"])
    assert one_hot.svg == figure.svg
    given = views.decision_boundary(net.initialize(seed=0), data, y, (2, 0), at=np.ones(3))
    assert given.note.endswith("at the values given.")


def test_classes_have_their_names(trained):
    params = trained[0].params
    for figure in (
        views.decision_boundary(params, X, Y, classes=["no", "yes"]),
        views.hidden_space(params, X, Y, "hidden", classes=["no", "yes"]),
    ):
        assert {"no", "yes"} <= set(texts(parsed(figure)))
    with pytest.raises(ArgumentError, match=r"classes: expected 2 to 8 names, that of class 0 first, got \['no'\]"):
        views.decision_boundary(params, X, Y, classes=["no"])


def test_planes_report_what_does_not_match(trained):
    params = trained[0].params
    with pytest.raises(ArgumentError, match=r"inputs: expected two different indices from 0 to 1, got \(0, 2\)"):
        views.decision_boundary(params, X, Y, inputs=(0, 2))
    with pytest.raises(ArgumentError, match=r"units: expected two different indices from 0 to 1, got \(1, 1\)"):
        views.hidden_space(params, X, Y, "hidden", (1, 1))
    with pytest.raises(ShapeError, match=r"y: expected a class for each of 4 samples, got shape \(3,\)"):
        views.decision_boundary(params, X, np.zeros(3))
    with pytest.raises(ArgumentError, match="y: expected classes from 0 to 7"):
        views.decision_boundary(params, X, np.array([0.5, 0, 0, 0]))
    with pytest.raises(ArgumentError, match="names: expected 2 names, one per input, got 1"):
        views.decision_boundary(params, X, Y, names=["a"])
    with pytest.raises(NetworkError, match='no layer "hiden"'):
        views.hidden_space(params, X, Y, "hiden")


def test_hidden_space_shows_samples_before_and_after(trained):
    root = parsed(views.hidden_space(trained[0].params, X, Y, "hidden"))
    assert len(classed(root, "sample")) == 2 * 4
    assert len(classed(root, "mesh")) == 2 * 18
    assert len(classed(root, "edge")) == 1


def test_cost_curve_is_a_parabola_with_the_steps_of_gradient_descent():
    """Linear regression with one weight: J = mean of (w x - t)^2 / 2, and w moves by -rate dJ/dw."""
    data, t = np.array([[0.5], [1.0], [2.0]]), np.array([[1.0], [2.5], [3.5]])
    net = cp.Network(1, [cp.Layer("output", 1, bias=False)])
    params, w = net.initialize(given={"output": {"input": [[0.25]]}}), [0.25]
    recorder = views.Recorder(params)
    cp.train(net, params, data, t, loss="squared_error", optimizer=cp.GradientDescent(0.3), batch_size=None, epochs=4,
             callbacks=recorder)  # fmt: skip
    for _ in range(4):
        w.append(w[-1] - 0.3 * float(((w[-1] * data - t) * data).mean()))
    trace = cp.backpropagate(net, params, data, t, loss="squared_error")
    figure = views.cost_curve(trace, "output[0] <- input[0]", recorder=recorder)
    assert figure.note == "The cost by this weight, with all others as in the trace."
    curve, fits = map(panel_root, figure.panels)
    tips = [n.findtext(f"{SVG}title") for n in classed(curve, "spot")]
    J = [float(((v * data - t) ** 2).mean()) / 2 for v in w]
    assert tips == [f"{written(v)}: cost {written(j)}" for v, j in zip(w, J, strict=True)]
    values = np.linspace(-1, 3, 9)
    expected = ((values[:, None] * data[:, 0] - t[:, 0]) ** 2).mean(axis=1) / 2
    np.testing.assert_allclose(curve_costs(trace, 0, values), expected, rtol=1e-14)
    assert [n.text for n in classed(fits, "tick")][-5:] == [f"epoch {e}" for e in range(5)]
    assert len(classed(fits, "point")) == 3
    (line,) = [n for n in classed(fits, "line") if n.findtext(f"{SVG}title") == "epoch 4"]
    ends = [tuple(map(float, p.split())) for p in re.split("[ML]", line.get("d", ""))[1:]]
    left, right, low, high, _, bottom, top, least, most, _ = map(float, figure.panels[1].coordinates.split())
    for px, py in (ends[0], ends[-1]):
        x = low + (px - left) / (right - left) * (high - low)
        assert least + (bottom - py) / (bottom - top) * (most - least) == pytest.approx(w[-1] * x, abs=0.02)


def test_cost_curve_of_other_networks(trained):
    trace, recorder, _ = trained
    figure = views.cost_curve(trace, W[0], recorder=recorder)
    assert [panel.title for panel in figure.panels] == ["Cost"]
    assert figure.note.endswith("the other weights changed too, so the points need not lie on the curve.")
    assert "spot" not in views.cost_curve(trace, W[0], span=2).svg.partition("</style>")[2]
    parsed(figure)
    net = cp.Network.sequential(1, 3, 1, hidden="tanh", output="sigmoid")
    data = np.linspace(-1, 1, 2500)[:, None]
    trace = cp.backpropagate(net, net.initialize(seed=0), data, (data > 0) * 1.0, loss="binary_cross_entropy")
    figure = views.cost_curve(trace, "hidden[1].b")
    assert figure.note.endswith("Of 2,500 samples the first 2,000 are drawn.")
    assert len(classed(panel_root(figure.panels[1]), "point")) == 2000
    parsed(figure)


def test_planes_say_how_many_samples_they_draw(trained):
    many, y = np.tile(X, (600, 1)), np.tile(Y, (600, 1))
    for figure in (
        views.decision_boundary(trained[0].params, many, y),
        views.hidden_space(trained[0].params, many, y, "hidden"),
    ):
        assert "Of 2,400 samples the first 2,000 are drawn." in figure.note


def test_cost_surface_is_the_cost():
    net = cp.Network.sequential(1, 1)
    data, y = np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]])
    params = net.initialize(given={"output": {"input": [[2.0]], "b": [1.0]}})
    trace = cp.backpropagate(net, params, data, y, loss="squared_error")
    J = _costs(trace, [0, 1], np.array([2.0, 0.0]), np.array([1.0]))
    assert J[0].tolist() == [trace.cost, (0 + 4) / 4]
    assert (
        "spot"
        not in views.cost_surface(trace, "output[0] <- input[0]", "output[0].b", span=0.5).svg.partition("</style>")[2]
    )
    with pytest.raises(ArgumentError, match="span: expected a finite number above 0, got 0"):
        views.cost_surface(trace, "output[0] <- input[0]", "output[0].b", span=0)
    with pytest.raises(ArgumentError, match=r'there is no "output\[0\] <- input\[1\]"'):
        views.cost_surface(trace, "output[0] <- input[1]", "output[0].b")


def broken(params: cp.Parameters) -> cp.Parameters:
    made = params.copy()
    made.flat[0] = np.nan
    return made


OTHER = cp.Network.sequential(2, 1)
W = ("output[0] <- hidden[0]", "output[0] <- hidden[1]")

#: A call, given a trace, a recorder and a history of one network, and its message.
REFUSED = {
    "weights that are no numbers": (lambda t, r, h: views.hinton(broken(t.params)), "hinton: 1 of 9 parameters are"),
    "a drawing of those": (lambda t, r, h: views.network(broken(t.params)), "network: 1 of 9 parameters are not fin"),
    "a plane of those": (lambda t, r, h: views.decision_boundary(broken(t.params), X, Y), "decision_boundary: 1 of 9"),
    "a space of those": (lambda t, r, h: views.hidden_space(broken(t.params), X, Y, "hidden"), "hidden_space: 1 of 9"),
    "a trace for parameters": (lambda t, r, h: views.hinton(t), "hinton: expected parameters, got Trace. Pass trace.p"),
    "parameters for a trace": (lambda t, r, h: views.cost_surface(t.params, *W), "cost_surface: expected a trace, a"),
    "the same weight twice": (lambda t, r, h: views.cost_surface(t, W[0], W[0]), "cost_surface: expected two differ"),
    "a layer for a weight": (lambda t, r, h: views.cost_curve(t, "hidden"), 'there is no "hidden"'),
    "a curve of another network": (
        lambda t, r, h: views.cost_curve(t, W[0], views.Recorder(OTHER.initialize())),
        "cost_curve: the parameters recorded at epoch 0 belong to another network than the trace.",
    ),
    "no width": (lambda t, r, h: views.cost_curve(t, W[0], span=0), "span: expected a finite number above 0, got 0"),
    "a list for a path": (lambda t, r, h: views.cost_surface(t, *W, [1]), "cost_surface: expected a Recorder, or pa"),
    "a path of another network": (
        lambda t, r, h: views.cost_surface(t, *W, views.Recorder(OTHER.initialize())),
        "cost_surface: the parameters recorded at epoch 0 belong to another network than the trace.",
    ),
    "recorder and trace swapped": (lambda t, r, h: views.weight_trajectory(t, r, W[0]), "weight_trajectory: expect"),
    "a trace for a history": (lambda t, r, h: views.history(t), "history: expected the history that cp.train return"),
    "a trace alone": (lambda t, r, h: views.histograms(t), "traces: expected traces by epoch, such as {0: trace}, g"),
    "traces of two networks": (
        lambda t, r, h: views.histograms(
            {0: t, 1: cp.backpropagate(OTHER, OTHER.initialize(), X, Y, loss="squared_error")}
        ),
        "traces: expected traces of one network, got several networks.",
    ),
    "a network to record": (lambda t, r, h: views.Recorder(OTHER), "Recorder: expected the parameters that are"),
    "yes for a sample": (lambda t, r, h: views.network(t, sample=True), "sample: expected a row of the trace from 0"),
    "one input for a plane": (lambda t, r, h: views.decision_boundary(t.params, X, Y, 0), "inputs: expected two dif"),
    "a layer of one unit": (lambda t, r, h: views.hidden_space(t.params, X, Y, "output"), "units: expected two diff"),
    "no rows": (lambda t, r, h: views.decision_boundary(t.params, X[:0], Y[:0]), "X: expected at least one row"),
    "a bitmap": (lambda t, r, h: views.hinton(t.params).save("a.bmp"), "a.bmp: expected a name that ends in .svg, .p"),
}  # fmt: skip


@pytest.mark.parametrize(("ask", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_drawn_is_reported(trained, ask, said):
    with pytest.raises(cp.errors.ClearpropError) as caught:
        ask(*trained)
    assert said in str(caught.value)


def test_one_row_one_class_and_constant_inputs_are_drawn(trained):
    params = trained[0].params
    for data, y in ((X[:1], Y[:1]), (X, Y * 0), (X, Y * 0 + 1), (np.ones((5, 2)), np.zeros(5))):
        assert len(classed(parsed(views.decision_boundary(params, data, y)), "sample")) == len(data)
        parsed(views.hidden_space(params, data, y, "hidden"))


def test_any_wiring_is_drawn():
    wired = cp.Wired("input", [[1, 0], [2, 1], [0, 2], [0, 0]])
    net = cp.Network(
        4,
        [
            cp.Layer("a", 2, "relu", wired),
            cp.Layer("b", 2, "layer_normalization", ["a", cp.Direct("a")]),
            cp.Layer("one", 1, "sigmoid", ["b", "input"]),
            cp.Layer("two", 3, "softmax", ["b", cp.Dense("one", trainable=False)]),
        ],
        outputs=["one", "two"],
    )
    data = np.random.default_rng(0).normal(size=(3, 4))
    y, loss = {"one": np.ones((3, 1)), "two": [0, 1, 2]}, {"one": "binary_cross_entropy", "two": "cross_entropy"}
    trace = cp.backpropagate(net, net.initialize(seed=0), data, y, loss)
    for figure in (views.network(trace), views.network(trace.params), views.hinton(trace.params),
                   views.histograms({0: trace}), views.hidden_space(trace.params, data, [0, 1, 2], "b"),
                   views.cost_surface(trace, "a[0] <- input[0]", "two[0] <- one[0]", span=0.5)):  # fmt: skip
        parsed(figure)
    with pytest.raises(ArgumentError, match=r"the network has several outputs \(one, two\)"):
        views.decision_boundary(trace.params, data, [0, 1, 2])


@settings(max_examples=30)
@given(problems())
def test_random_networks_are_drawn_and_solved(problem: Problem):
    with np.errstate(all="ignore"):
        trace = cp.backpropagate(*problem.arguments)
        for figure in (views.network(trace), views.network(trace.params), views.histograms({0: trace}, "error")):
            ET.fromstring(figure.svg)
        if trace.params.flat.size:
            ET.fromstring(views.hinton(trace.params).svg)
        page = cp.worked_solution(trace, limit=3000).html()
        ET.fromstring(page[page.index("<body") : page.index("</body>") + len("</body>")])


def test_many_links_through_a_lane_keep_the_drawing_small():
    net = cp.Network(4, [cp.Layer("h", 12), cp.Layer("o", 12, sources=["h", "input"])])
    trace = cp.backpropagate(net, net.initialize(seed=0), np.ones((1, 4)), np.ones((1, 12)), loss="squared_error")
    assert views.network(trace).panels[0].height < 12 * 116 + 300  # 48 links through one lane


def test_hinton_of_any_matrices():
    figure = views.hinton({"code": [[4.0, -1.0]], "other": np.eye(2)}, {"columns": ["a", "b"]}, title="Codes")
    root = parsed(figure)
    assert (figure.title, [panel.title for panel in figure.panels]) == ("Codes", ["code", "other"])
    assert {"a", "b"} <= set(texts(root))
    assert float(classed(root, "plus")[0].get("width", 0)) == 25  # 4 is the largest
    for matrices, said in (
        ({}, "hinton: expected matrices by title, got []"),
        ({"a": np.ones((2, 2, 2))}, "of shapes [(2, 2, 2)]"),
        ({"a": [[np.nan]]}, "hinton: a: nan at row 0, column 0"),
        ({"a": np.eye(3)}, 'names: expected 3 columns for "a", got'),
    ):
        with pytest.raises(cp.errors.ClearpropError) as caught:
            views.hinton(matrices, {"columns": ["x"]})
        assert said in str(caught.value)


def test_columns_of_a_hinton_diagram_have_their_names():
    net = cp.Network.sequential(2, 3, output="softmax")
    figure = views.hinton(net.initialize(seed=0), names={"output": ["setosa", "versicolor", "virginica"]})
    assert {"setosa", "versicolor", "virginica"} <= set(texts(parsed(figure)))


def test_repr_of_a_figure(trained):
    assert repr(views.hinton(trained[0].params)) == '<Figure: Weights; save("name.svg") writes it>'


def test_names_are_escaped():
    net = cp.Network.sequential(2, 1)
    figure = views.hinton(net.initialize(seed=0), names={"input": ["<b>", "a & b"]})
    assert {"<b>", "a & b"} <= set(texts(parsed(figure)))
