"""Saturation, dead units and histograms on networks where they are known."""

from __future__ import annotations

import numpy as np
import pytest

import clearprop as cp
from clearprop.core.objective import CHUNK, prepare
from clearprop.report.activity import SATURATED, LayerActivity, largest_slope, read_activity, sweep


def swept(net: cp.Network, params: cp.Parameters, X, y, loss="squared_error"):
    return sweep(prepare(net, params, X, y, loss), params)


def one_layer(f: str, units: int = 1) -> tuple[cp.Network, cp.Parameters]:
    """A hidden layer whose weighted sums are the inputs themselves."""
    net = cp.Network(units, [cp.Layer("hidden", units, f), cp.Layer("output", 1)])
    return net, net.initialize(given={"hidden": {"input": np.eye(units)}})


@pytest.mark.parametrize(
    ("f", "slope"),
    [("tanh", lambda z: 1 - np.tanh(z) ** 2), ("sigmoid", lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2 / 0.25)],
)
def test_share_of_saturated_activations(f, slope):
    net, params = one_layer(f)
    z = np.linspace(-8, 8, 401)[:, None]
    layer = swept(net, params, z, np.zeros((401, 1)))[1][0]
    assert layer.saturated == pytest.approx(np.mean(slope(z) < SATURATED), abs=1e-12)
    assert 0.3 < layer.saturated < 0.9
    assert layer.dead == 0


def test_every_row_is_counted_over_several_chunks():
    net, params = one_layer("relu")
    rows = 2 * CHUNK + 17
    z = np.where(np.arange(rows) % 4 == 0, 1.0, -1.0)[:, None]
    outputs, layers = swept(net, params, z, np.zeros((rows, 1)))
    assert layers[0].saturated == pytest.approx(np.mean(z <= 0), abs=1e-12)
    assert len(outputs.a["output"]) == rows


def test_a_unit_that_is_off_on_every_row_is_dead_and_one_row_revives_it():
    net, params = one_layer("relu", units=3)
    X = np.full((CHUNK + 5, 3), -1.0)
    X[:, 1] = 1.0
    X[-1, 2] = 1.0  # in the second chunk
    layer = swept(net, params, X, np.zeros((len(X), 1)))[1][0]
    assert layer.dead == 1
    assert layer.zeros == pytest.approx(2 / 3, abs=0.01)


def test_identity_never_saturates_and_rows_that_mix_units_have_no_slope_of_their_own():
    net = cp.Network(2, [cp.Layer("mix", 4, "layer_normalization"), cp.Layer("output", 1)])
    mix, output = swept(net, net.initialize(), np.ones((5, 2)), np.zeros((5, 1)))[1]
    assert (mix.saturated, mix.dead) == (None, None)
    assert (output.saturated, output.dead) == (0, 0)


def test_output_with_the_short_form_is_not_slowed_by_saturation():
    net = cp.Network.sequential(2, 1, output="sigmoid")
    X, y = np.zeros((4, 2)), np.zeros((4, 1))
    assert not swept(net, net.initialize(), X, y, "binary_cross_entropy")[1][0].slow
    assert swept(net, net.initialize(), X, y, "squared_error")[1][0].slow


@pytest.mark.parametrize(
    "f",
    [f for f in cp.activations.ACTIVATIONS.values() if isinstance(f, cp.activations.Elementwise)],
    ids=lambda f: f.name,
)
def test_largest_slope_is_positive_and_seen_on_a_finer_grid(f):
    z = np.linspace(-3, 3, 10_001)
    finest = np.abs(np.asarray(f.derivative(z, f.function(z)), float)).max()
    assert largest_slope(f) == pytest.approx(finest, rel=1e-3)
    assert (finest > 0) == (f.name != "step")


def test_constant_slope_of_an_own_activation_is_taken_for_each_unit():
    half = cp.activations.Custom("half", lambda z: z / 2, lambda z, a: 0.5)
    net = cp.Network(2, [cp.Layer("output", 2, half)])
    (layer,) = swept(net, net.initialize(), np.ones((3, 2)), np.zeros((3, 2)))[1]
    assert (layer.saturated, layer.dead) == (0, 0)


def test_histogram_holds_all_activations_but_zeros():
    net, params = one_layer("relu", units=2)
    X = np.random.default_rng(0).normal(size=(500, 2))
    layer = swept(net, params, X, np.zeros((500, 1)))[1][0]
    assert layer.counts.sum() == np.count_nonzero(X > 0)
    assert layer.edges[0] == pytest.approx(X[X > 0].min())
    assert layer.edges[-1] == pytest.approx(X.max())


def activity(name: str, saturated: float, dead: int) -> LayerActivity:
    return LayerActivity(cp.Layer(name, 10, "relu"), saturated, dead, np.zeros(1), np.array([0.0, 1.0]), 0.0, 0, True)


def test_sentences_on_saturated_and_dead_units():
    assert read_activity([activity("a", 0, 0)]) == "No unit is dead and no activation is saturated."
    assert read_activity([activity("a", 0.5, 0), activity("b", 0.2, 0)]) == (
        "No unit is dead; a is saturated most, in 50% of its activations."
    )
    assert read_activity([activity("a", 0.5, 3)]) == (
        "Dead on every row: 3 of 10 units of a. 50% of the activations of a are saturated."
    )
