"""Each finding is provoked by a network in that state, for real; networks that are well are left in peace."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

import clearprop as cp
from clearprop.core.backprop import forward
from clearprop.core.objective import prepare
from clearprop.core.outputs import sweep_rows
from clearprop.errors import ArgumentError, ClearpropError
from clearprop.explain.diagnosis.diagnose import CHECKS
from clearprop.explain.diagnosis.evidence import Evidence

rng = np.random.default_rng(0)


def standardized(X):
    spread = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1)


def split(X, y, rows):
    order = np.random.default_rng(0).permutation(len(X))
    return (X[order[:rows]], y[order[:rows]]), (X[order[rows:]], y[order[rows:]])


def digits():
    X, y = load_digits(return_X_y=True)
    return split(X / 16, y, 1200)


def breast_cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return split(standardized(X), y[:, None].astype(float), 400)


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return split(standardized(X), standardized(y[:, None]), 350)


def houses():
    """As California's houses: skewed columns, a target cut off at the top, noise with a heavy tail."""
    draw = np.random.default_rng(5)
    X = draw.normal(size=(1500, 8))
    X[:, 3:6] = np.exp(X[:, 3:6])
    y = np.exp(0.5 * X[:, 0]) + 0.3 * np.sin(3 * X[:, 1]) * X[:, 2] + 0.2 * draw.standard_t(4, size=1500)
    return split(standardized(X), standardized(np.minimum(y, 3.0)[:, None]), 1000)


def xor():
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    y = np.array([[0], [1], [1], [0]], float)
    return (X, y), (X, y)


SGD = cp.Momentum(0.05, 0.9)
HEALTHY = {
    "digits, relu": (digits, (64, 32, 10), "relu", "softmax", "cross_entropy", cp.Adam(0.003), 15),
    "digits, tanh": (digits, (64, 32, 10), "tanh", "softmax", "cross_entropy", SGD, 15),
    "breast cancer": (breast_cancer, (30, 16, 1), "relu", "sigmoid", "binary_cross_entropy", cp.Adam(0.005), 25),
    "breast cancer, descent": (
        *(breast_cancer, (30, 8, 1), "tanh", "sigmoid", "binary_cross_entropy", cp.GradientDescent(0.1), 25),
    ),
    "diabetes": (diabetes, (10, 20, 1), "tanh", "identity", "squared_error", cp.Adam(0.003), 40),
    "diabetes, momentum": (diabetes, (10, 20, 1), "relu", "identity", "squared_error", cp.Momentum(0.02, 0.9), 40),
    "diabetes, L-BFGS": (diabetes, (10, 5, 1), "tanh", "identity", "squared_error", cp.LBFGS(), 30),
    "houses": (houses, (8, 32, 16, 1), "relu", "identity", "squared_error", cp.Adam(0.003), 25),
    "houses, Huber": (houses, (8, 32, 1), "gelu", "identity", "huber", cp.GradientDescent(0.05), 25),
    "XOR": (xor, (2, 4, 1), "tanh", "sigmoid", "binary_cross_entropy", cp.Adam(0.1), 200),
    "XOR, sigmoid": (xor, (2, 4, 1), "sigmoid", "sigmoid", "binary_cross_entropy", cp.Adam(0.1), 300),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_run_stays_silent(name):
    data, units, hidden, output, loss, optimizer, epochs = HEALTHY[name]
    train, held_out = data()
    units = (train[0].shape[1], *units[1:])
    net = cp.Network.sequential(*units, hidden=hidden, output=output)
    params = net.initialize(seed=1)
    history = cp.train(net, params, *train, loss=loss, optimizer=optimizer, epochs=epochs)
    for rows in (train, held_out):
        found = cp.diagnose(net, params, *rows, loss, history=history, optimizer=optimizer)
        assert found.ok, str(found)
        assert len(found) == 0
    assert str(found) == f"Nothing looks wrong (looked for: {', '.join(found.looked_for).replace('-', ' ')})."
    assert "Nothing looks wrong." in found._repr_html_()


def noisy_sine(rows=200):
    X = rng.uniform(-2, 2, size=(rows, 2))
    return X, np.sin(2 * X[:, :1]) + 0.5 * X[:, 1:] + 0.05 * rng.normal(size=(rows, 1))


X, Y = noisy_sine()


def trained(net, X=X, Y=Y, seed=0, loss="squared_error", **options):
    params = net.initialize(seed=seed)
    options = {"optimizer": cp.GradientDescent(0.05), "epochs": 20, "batch_size": None} | options
    history = cp.train(net, params, X, Y, loss=loss, **options)
    return cp.diagnose(net, params, X, Y, loss, history=history, optimizer=options["optimizer"])


def test_vanishing_deltas_of_many_sigmoid_layers():
    found = trained(cp.Network.sequential(2, *[6] * 8, 1, hidden="sigmoid"))["vanishing deltas"]
    assert found.severity == "serious"
    assert found.where[0] == "hidden1"
    assert "hidden8" not in found.where
    assert found.numbers["hidden1"] < 1e-3 < found.numbers["hidden8"]
    assert f"hidden1 {found.numbers['hidden1']:.1e}" in found.words
    assert "relu or tanh instead of sigmoid" in found.advice


def test_exploding_deltas_of_large_weights():
    net = cp.Network.sequential(2, *[20] * 5, 1, hidden="identity", initializer=cp.initializers.Normal(1.0))
    params = net.initialize(seed=0)
    found = cp.diagnose(net, params, X, Y, "squared_error")["exploding deltas"]
    assert found.where[0] == "hidden1"
    assert found.numbers["hidden1"] > 100
    history = cp.train(net, params, X, Y, loss="squared_error", optimizer=cp.Adam(1e-4), epochs=3)
    assert "exploding deltas" in cp.diagnose(net, params, X, Y, "squared_error", history=history).names


def test_saturated_tanh_of_unscaled_inputs():
    found = trained(cp.Network.sequential(2, 10, 1, hidden="tanh"), 500 * X, optimizer=cp.Adam(0.01))
    assert set(found.names) >= {"saturated units", "unscaled inputs"}
    assert found["saturated units"].where == ("hidden",)
    assert found["saturated units"].numbers["share"] > 0.6
    assert "of the activations of hidden are saturated (tanh is flat there" in found["saturated units"].words
    assert found["unscaled inputs"].words.startswith("Column 0 has typical size ")
    assert "Standardize the columns" in found["unscaled inputs"].advice


def test_a_saturated_output_counts_unless_its_delta_has_the_short_form():
    labels = (Y > 0).astype(float)
    net = cp.Network.sequential(2, 4, 1, hidden="tanh", output="sigmoid")
    params = net.initialize(seed=0)
    params["output"].b = [8.0]
    assert cp.diagnose(net, params, X, labels, "squared_error")["saturated units"].where == ("output",)
    assert "saturated units" not in cp.diagnose(net, params, X, labels, "binary_cross_entropy").names


def test_dead_relu_units_of_a_rate_too_high():
    """Steps far too large push the units to where they are 0 for every row, and they never come back."""
    net = cp.Network.sequential(2, 20, 1, hidden="relu")
    params = net.initialize(seed=0)
    cp.train(net, params, X, Y, loss="squared_error", optimizer=cp.Adam(0.5), epochs=20)
    found = cp.diagnose(net, params, X, Y, "squared_error")["dead units"]
    assert found.where == ("hidden",)
    assert found.numbers["dead"] >= 5
    assert f"{found.numbers['dead']:.0f} of 20 units of hidden (relu) have slope 0 on all 200 rows" in found.words
    assert "leaky_relu" in found.advice


@pytest.mark.parametrize("start", [cp.initializers.Zeros(), None])
def test_units_that_start_alike_stay_alike(start):
    net = cp.Network.sequential(2, 6, 1, hidden="tanh", initializer=start)
    params = net.initialize(seed=0)
    if start is None:
        params["hidden"].W["input"] = np.full((2, 6), 0.3)
        params["output"].W["hidden"] = np.full((6, 1), -0.2)
    cp.train(net, params, X, Y, loss="squared_error", optimizer=cp.Adam(0.01), epochs=20)
    found = cp.diagnose(net, params, X, Y, "squared_error")["duplicate units"]
    assert found.severity == "serious"
    assert found.numbers == {"units": 6.0, "different": 1.0}
    assert "Of the 6 units of hidden only 1 differ" in found.words


def test_pruned_units_and_links_of_one_to_one_are_no_copies():
    net = cp.Network(
        3, [cp.Layer("h", 3, "tanh"), cp.Layer("sum", 3, sources=["h", cp.Direct("input")]), cp.Layer("o", 1)]
    )
    params = net.initialize(seed=0)
    params["sum"].W["h"] = np.zeros((3, 3))
    params["h"].W["input"] = np.zeros((3, 3))
    wide = rng.normal(size=(50, 3))
    y = wide.sum(axis=1, keepdims=True) + rng.normal(size=(50, 1))
    found = cp.diagnose(net, params, wide, y, "squared_error")
    assert {f.where for f in found if f.name == "duplicate units"} == {("h",)}
    net = cp.Network.sequential(3, 8, 1, hidden="tanh")
    params = net.initialize(seed=0)
    params["hidden"].W["input"][:, 2:4] = 0
    params["output"].W["hidden"][2:4] = 0
    assert "duplicate units" not in cp.diagnose(net, params, wide, y, "squared_error").names


def test_outputs_stuck_at_the_prior():
    """Dead hidden units leave only the output's bias, which learns the share of ones."""
    labels = (Y > 0.7).astype(float)
    net = cp.Network.sequential(2, 8, 1, hidden="relu", output="sigmoid")
    params = net.initialize(seed=0)
    params["hidden"].b = np.full(8, -50.0)
    history = cp.train(net, params, X, labels, loss="binary_cross_entropy", optimizer=cp.Adam(0.1), epochs=30)
    found = cp.diagnose(net, params, X, labels, "binary_cross_entropy", history=history)
    assert set(found.names) >= {"dead units", "outputs stuck at the prior"}
    stuck = found["outputs stuck at the prior"]
    assert stuck.words.startswith("output is nearly the same for every row")
    assert stuck.numbers["cost"] == pytest.approx(history.cost[-1], rel=0.05)


def test_outputs_stuck_where_the_inputs_tell_nothing():
    noise = rng.normal(size=(300, 1))
    found = trained(cp.Network.sequential(2, 1), rng.normal(size=(300, 2)), noise, optimizer="lbfgs")
    assert found.names == ("nothing learned",)


def test_a_rate_too_high_from_the_history():
    found = trained(cp.Network.sequential(2, 10, 1, hidden="tanh"), optimizer=cp.GradientDescent(1.2), epochs=40)
    high = found["learning rate too high"]
    assert "(learning rate 1.2)" in high.words
    assert "Lower the learning rate" in high.advice
    adam = trained(cp.Network.sequential(2, 10, 1, hidden="tanh"), optimizer=cp.Adam(3.0), epochs=40, batch_size=32)
    assert "learning rate too high" in adam.names


def test_a_training_cost_shaken_by_dropout_is_no_rate_too_high():
    """Half of the units go missing in each step; the validation cost, without dropout, falls quietly."""
    net = cp.Network.sequential(2, 16, 1, hidden="relu", dropout=0.5)
    params = net.initialize(seed=0)
    options = {"optimizer": cp.Adam(0.003), "epochs": 40, "batch_size": 16}
    history = cp.train(net, params, X[:150], Y[:150], loss="squared_error", validation=(X[150:], Y[150:]), **options)
    assert cp.diagnose(net, params, X, Y, "squared_error", history=history).ok
    history.columns["cost"] = [1.0 + 0.2 * (-1) ** i for i in range(40)]
    assert cp.diagnose(net, params, X, Y, "squared_error", history=history).ok
    history.columns["validation cost"] = history.columns["cost"]
    assert cp.diagnose(net, params, X, Y, "squared_error", history=history).names[0] == "learning rate too high"


def test_a_rate_too_high_along_the_step():
    net = cp.Network.sequential(2, 10, 1, hidden="tanh")
    params = net.initialize(seed=0)
    found = cp.diagnose(net, params, X, Y, "squared_error", optimizer=cp.GradientDescent(5.0))["learning rate too high"]
    numbers = found.numbers
    moved = params.copy()
    moved.flat[:] -= 5.0 * cp.backpropagate(net, params, X, Y, "squared_error").gradients.flat
    assert numbers["after the step"] == pytest.approx(cp.cost(net, moved, X, Y, "squared_error"))
    assert numbers["after the step"] > numbers["cost"] == pytest.approx(cp.cost(net, params, X, Y, "squared_error"))
    assert "A step with learning rate 5 along the gradient" in found.words
    for optimizer in (cp.GradientDescent(0.05), "adam", "lbfgs", None):
        assert cp.diagnose(net, params, X, Y, "squared_error", optimizer=optimizer).ok
    total = cp.diagnose(net, params, X, Y, "squared_error", optimizer=cp.GradientDescent(0.025), reduction="sum")
    assert total.names == ("learning rate too high",)


def test_a_rate_too_low():
    net = cp.Network.sequential(2, 10, 1, hidden="tanh")
    for optimizer in (cp.GradientDescent(1e-5), cp.Adam(1e-6)):
        found = trained(net, optimizer=optimizer, epochs=30)["learning rate too low"]
        assert "The cost decreases steadily but slowly" in found.words
        assert "Raise the learning rate" in found.advice
    found = cp.diagnose(net, net.initialize(), X, Y, "squared_error", optimizer=cp.GradientDescent(1e-6))
    assert found.names == ("learning rate too low",)
    assert "times as long" in found["learning rate too low"].words


def test_a_rate_too_low_is_seen_through_dropout():
    net = cp.Network(2, [cp.Layer("hidden", 10, "tanh", dropout=0.3), cp.Layer("output", 1)])
    rule = cp.Adam(1e-6)
    found = trained(net, optimizer=rule, epochs=30, validation=(X, Y))
    assert "The cost decreases steadily but slowly" in found["learning rate too low"].words


def test_worse_than_a_constant():
    net = cp.Network.sequential(2, 6, 1, hidden="tanh", output="sigmoid")
    y = (np.random.default_rng(0).uniform(size=(len(X), 1)) < 0.5).astype(float)
    params = net.initialize(seed=0)
    params["output"].b = [4.0]
    history = cp.train(net, params, X[:60], y[:60], loss="binary_cross_entropy", epochs=1, optimizer=cp.Adam(1e-9))
    found = cp.diagnose(net, params, X[60:], y[60:], "binary_cross_entropy", history=history)["worse than a constant"]
    assert found.severity == "serious"
    assert f"is {found.numbers['cost']:.4g}, and that of the best constant output is 0.6829" in found.words
    assert found.numbers["cost"] > 1.05 * found.numbers["of a constant"]
    assert found.advice == "Train for more epochs, or with another learning rate."
    # before any training, and on a handful of rows, nothing is said
    assert "worse than a constant" not in cp.diagnose(net, params, X[60:], y[60:], "binary_cross_entropy").names
    few = cp.diagnose(net, params, X[60:70], y[60:70], "binary_cross_entropy", history=history)
    assert "worse than a constant" not in few.names


def test_unscaled_inputs_small_and_large():
    mixed = np.column_stack([X, 1e4 * X[:, 0], 1e-5 * (X[:, 1] + 3), np.full(len(X), 2020.0)])
    net = cp.Network.sequential(5, 4, 1, hidden="tanh")
    found = cp.diagnose(net, net.initialize(), mixed, Y, "squared_error")["unscaled inputs"]
    assert found.where == ("column 2", "column 4", "column 3")
    assert "Column 2 has typical size" in found.words
    names = ["age", "height", "income", "share", "year"]
    found = cp.diagnose(net, net.initialize(), mixed, Y, "squared_error", columns=names)["unscaled inputs"]
    assert found.where == ("income", "year", "share")
    assert "year has typical size 2.02e+03" in found.words


def test_unscaled_targets():
    far = 1e4 + 500 * Y
    found = trained(cp.Network.sequential(2, 8, 1, hidden="tanh"), X, far, optimizer=cp.Adam(0.01))
    assert found["unscaled targets"].where == ("output",)
    assert "Train on (y - y.mean(axis=0)) / y.std(axis=0)" in found["unscaled targets"].advice


@pytest.mark.parametrize("share", [0.03, 0.06])
def test_flipped_labels_are_found(share):
    (X, y), _ = digits()
    flipped = np.random.default_rng(2).choice(len(y), size=int(share * len(y)), replace=False)
    wrong = y.copy()
    wrong[flipped] = (y[flipped] + np.random.default_rng(3).integers(1, 10, size=len(flipped))) % 10
    net = cp.Network.sequential(64, 32, 10, hidden="relu", output="softmax")
    params = net.initialize(seed=0)
    cp.train(net, params, X, wrong, loss="cross_entropy", optimizer=cp.Adam(0.003), epochs=15)
    found = cp.diagnose(net, params, X, wrong, "cross_entropy")["labels that look wrong"]
    named = {int(row) for row in found.where}
    assert len(named & set(flipped)) > 0.9 * len(named), "what is named was flipped"
    assert len(named & set(flipped)) > 0.5 * min(len(flipped), 100), "what was flipped is named"
    assert f"{len(named)} of 1,200 rows" in found.words or len(named) == 100
    assert "of the gradient of the parameters" in found.words


def test_targets_with_a_slipped_decimal_point_are_found():
    (X, y), _ = houses()
    wrong = y.copy()
    wrong[[17, 400]] = [[-60.0], [80.0]]
    net = cp.Network.sequential(8, 16, 1, hidden="relu")
    params = net.initialize(seed=0)
    cp.train(net, params, X, wrong, loss="absolute_error", optimizer=cp.Adam(0.003), epochs=60)
    found = cp.diagnose(net, params, X, wrong, "absolute_error")["labels that look wrong"]
    assert found.where == ("400", "17")


@pytest.mark.parametrize(
    ("loss", "output", "y", "best"),
    [
        ("cross_entropy", "softmax", np.arange(90) % 3, np.log(3)),
        ("squared_error", "identity", rng.normal(size=(90, 3)), None),
        ("absolute_error", "identity", np.tile([[1.0, 2.0, 3.0], [1.0, 2.0, 9.0], [1.0, 2.0, 3.0]], (30, 1)), 2.0),
        ("binary_cross_entropy", "sigmoid", np.tile([[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]], (45, 1)), 2 * np.log(2)),
    ],
)
def test_what_a_constant_would_cost(loss, output, y, best):
    net = cp.Network.sequential(2, 3, output=output)
    objective = prepare(net, net.initialize(), rng.normal(size=(90, 2)), y, loss)
    evidence = Evidence(sweep_rows(objective, net.initialize()), net.initialize())
    expected = 0.5 * y.var(axis=0).sum() if best is None else best
    assert evidence.prior["output"] == pytest.approx(expected)
    assert evidence.relative_cost == pytest.approx(evidence.cost / expected)
    assert evidence.cost == pytest.approx(objective.cost(net.initialize()))


# --- numbers that are not finite ---------------------------------------------------------------------------------


def test_an_overflow_is_traced_to_where_it_was_born():
    net = cp.Network(2, [cp.Layer("first", 4, "relu"), cp.Layer("second", 3, "exponential"), cp.Layer("out", 1)])
    params = net.initialize(seed=0)
    params["second"].W["first"][:, 1] = 1000.0
    found = cp.diagnose(net, params, X, Y, "squared_error")
    assert found.names == ("numbers that are not finite",)
    finding = found["numbers that are not finite"]
    with np.errstate(over="ignore"):
        a = forward(net, params, X).f["second"]
    sample = int(np.argmax(np.isinf(a[:, 1])))
    assert (
        finding.words == f"The first number that is not finite: the activation a of second[1], sample {sample} is inf."
    )
    assert finding.where == ("second",)


def test_a_parameter_that_is_not_finite_is_named():
    net = cp.Network.sequential(2, 3, 1)
    params = net.initialize(seed=0)
    params.view(net.layout.blocks[0])[1, 2] = np.nan
    finding = cp.diagnose(net, params, X, Y, "squared_error", history=cp.History({"cost": [1.0, 0.5]})).findings[0]
    assert "after 2 epochs: the weight hidden.W['input'] [1, 2] of hidden[2] is nan" in finding.words


def test_a_diverged_training_says_where():
    net = cp.Network.sequential(2, 8, 1, hidden="relu")
    params = net.initialize(seed=0)
    with pytest.raises(cp.TrainingDiverged) as error:
        cp.train(net, params, 1e3 * X, Y, loss="squared_error", optimizer=cp.GradientDescent(1.0), epochs=500)
    said = str(error.value)
    assert "became NaN or infinite" in said
    assert re.search(r"There the (weighted sum z|weight|loss) \S+.* is -?(inf|nan)\. ", said)
    assert re.search(
        r"Before that epoch the largest weighted sum was z of hidden\[\d\], sample \d+, at -?[\d.e+]+\. ", said
    )
    assert np.isfinite(params.flat).all()


# --- what it looks like and what it refuses ----------------------------------------------------------------------


def test_print_and_html():
    net = cp.Network.sequential(2, 4, 1, hidden="relu")
    params = net.initialize(seed=0)
    params["hidden"].b = np.full(4, -50.0)
    found = cp.diagnose(net, params, X, Y, "squared_error")
    printed = str(found)
    order = [check.code for check in CHECKS]
    assert list(found.codes) == sorted(found.codes, key=order.index)
    for finding in found:
        assert f"{finding.severity}: {finding.name}\n  {finding.words}\n  To try: {finding.advice}" in printed
        assert finding.code in found.looked_for
    html = found._repr_html_()
    assert all(finding.name in html for finding in found)
    with pytest.raises(KeyError):
        found["exploding deltas"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"history": [1, 2]}, "history: expected the cp.History that cp.train returns, got list"),
        ({"optimizer": "sgdd"}, "sgdd"),
        ({"loss": "squared"}, "unknown loss"),
        ({"y": Y[:3]}, "y: expected shape"),
        ({"reduction": "max"}, "reduction: expected one of"),
        ({"columns": ["age"]}, "columns: expected 2 names, one per input of the network, got 1"),
    ],
)
def test_bad_arguments(change, text):
    net = cp.Network.sequential(2, 1)
    arguments = {"X": X, "y": Y, "loss": "squared_error"} | change
    with pytest.raises(ClearpropError, match=text):
        cp.diagnose(net, net.initialize(), **arguments)
    with pytest.raises(ArgumentError):
        cp.diagnose(net, cp.Network.sequential(3, 1).initialize(), X, Y, "squared_error")
