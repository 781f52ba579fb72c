"""Whole pages: what they show, that they are sound, small, safe and repeatable, and the edges of the data."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse
import sklearn.metrics
from sklearn.datasets import load_breast_cancer, load_diabetes

import clearprop as cp
from clearprop.datasets import digits
from clearprop.errors import ArgumentError
from clearprop.model import Model, fit
from clearprop.report import render_report, write_report

HOSTILE = '<script>alert("x")</script> & \'"]]>--><b>\x00\x1f\u202e é 漢字 {{ 7 * 7 }}'


@pytest.fixture(scope="module")
def digits_model() -> Model:
    return fit(digits(), "digit", hidden=(32,), epochs=6)


def test_digits(digits_model, check_page, words):
    held = digits_model.held_out
    said = words(check_page(render_report(digits_model, held.X, held.y, evaluated_on=held.what)))
    yhat = cp.predict(digits_model.net, digits_model.params, held.X).astype(np.float64)
    accuracy = sklearn.metrics.accuracy_score(held.y, yhat.argmax(axis=1))
    assert "Predicting digit" in said
    assert f"{100 * accuracy:.1f}%".replace(".0%", "%") + " accuracy" in said
    assert "rows held out of 1,797" in said
    log_loss = sklearn.metrics.log_loss(
        held.y, yhat / yhat.sum(axis=1, keepdims=True)
    )  # in float32 the sum is not quite 1
    assert f"log loss {log_loss:.3g}" in said
    matrix = sklearn.metrics.confusion_matrix(held.y, yhat.argmax(axis=1))
    wrong = int(matrix.sum() - np.trace(matrix))
    assert f"{wrong} of {len(held.y)} rows are wrong" in said
    for title in (
        "Learning curves", "Confusion matrix", "Calibration", "Rows it gets most wrong", "Permutation importance",
        "Partial dependence", "Gradient norms", "Activations", "Network", "Settings and encoding",
    ):  # fmt: skip
        assert title in said
    assert "pixel" in said
    assert digits_model.history.stopped in said


def test_cells_of_the_confusion_matrix_are_those_of_scikit_learn(digits_model, check_page):
    held = digits_model.held_out
    root = check_page(render_report(digits_model, held.X, held.y))
    yhat = cp.predict(digits_model.net, digits_model.params, held.X)
    matrix = sklearn.metrics.confusion_matrix(held.y, yhat.argmax(axis=1))
    tips = [
        node.text for node in root.iter() if node.tag.endswith("title") and node.text and " predicted as " in node.text
    ]
    shown = {tuple(tip.split(":")[0].split(" predicted as ")): int(tip.split(": ")[1].split(" of")[0]) for tip in tips}
    expected = {(str(i), str(j)): int(matrix[i, j]) for i, j in np.argwhere(matrix > 0)}
    assert {pair: count for pair, count in shown.items() if count} == expected


def test_binary_table(check_page, words):
    frame = load_breast_cancer(as_frame=True).frame.replace({"target": {0: "malignant", 1: "benign"}})
    model = fit(frame, "target", hidden=(8,), activation="tanh", epochs=10)
    held = model.held_out
    said = words(check_page(render_report(model, held.X, held.y)))
    assert "Either benign or malignant, from 30 columns." in said
    assert "ROC AUC" in said
    assert "probability of “malignant”" in said
    assert "always “benign”" in said


def test_regression_is_in_the_unit_of_the_target(check_page, words):
    frame = load_diabetes(as_frame=True, scaled=False).frame
    model = fit(frame, "target", hidden=(6,), activation="tanh", epochs=10)
    held = model.held_out
    said = words(check_page(render_report(model, held.X, held.y)))
    y, yhat = (model.encoding.decode(a)["target"] for a in (held.y, cp.predict(model.net, model.params, held.X)))
    rmse = sklearn.metrics.root_mean_squared_error(y, yhat)
    assert f"{rmse:.1f} root mean squared error" in said
    assert f"mean absolute error {sklearn.metrics.mean_absolute_error(y, yhat):.1f}" in said
    assert f"R² {sklearn.metrics.r2_score(y, yhat):.3g}" in said
    assert "bmi" in said
    assert "Calibration" not in said


def test_several_outputs_and_every_kind_of_connection(trained, check_page, words, blobs):
    X, y = blobs
    net = cp.Network(
        4,
        [
            cp.Layer("stem", 20, "relu", dropout=0.1),
            cp.Layer("body", 20, "tanh", sources=["stem", cp.Direct("stem")]),
            cp.Layer("norm", 20, "layer_normalization", sources=[cp.Dense("body", trainable=False), cp.Direct("stem")]),
            cp.Layer("kind", 3, "softmax", sources=["norm", "input"]),
            cp.Layer("size", 1, sources=[cp.Wired("input", [[1], [0], [1], [2]]), "body"]),
        ],
        outputs=["kind", "size"],
    )
    targets = {"kind": y, "size": X[:, :1] ** 2}
    loss = {"kind": cp.CrossEntropy(), "size": cp.SquaredError()}
    model = trained(net, X, targets, loss, validation=0.25, metrics=[lambda y, yhat: float(len(y))])
    said = words(check_page(render_report(model, X, {"kind": y, "size": X[:, 0] ** 2})))
    assert "Predicting kind and size" in said
    assert "Confusion matrix: kind" in said
    assert "Residuals: size" in said
    assert "increase of the cost" in said
    assert "skip connection" in said
    assert "contributions of several sources are added" in said


def test_several_labels(trained, check_page, words, blobs):
    X, y = blobs
    flags = np.stack([y == 0, X[:, 3] > 0], axis=1).astype(float)
    model = trained(cp.Network.sequential(4, 5, 2, output="sigmoid"), X, flags, cp.BinaryCrossEntropy())
    said = words(check_page(render_report(model, X, flags)))
    assert "of the rows have every label right" in said
    assert "The hardest label is “output" in said


def test_several_numbers(trained, check_page, words, blobs):
    X, _ = blobs
    model = trained(cp.Network.sequential(4, 5, 6), X, X @ np.ones((4, 6)), cp.SquaredError(), metrics=["rmse", "r2"])
    said = words(check_page(render_report(model, X, X @ np.ones((4, 6)))))
    assert "Predicting 6 numbers" in said
    assert "RMSE of the mean" in said


def test_the_same_model_rows_and_seed_give_the_same_page(trained, blobs):
    X, y = blobs
    model = trained(cp.Network.sequential(4, 5, 3, output="softmax"), X, y, cp.CrossEntropy())
    assert render_report(model, X, y, seed=3) == render_report(model, X, y, seed=3)
    assert render_report(model, X, y, seed=3) != render_report(model, X, y, seed=4)


def test_names_from_data_stay_text(check_page, words, trained):
    generator = np.random.default_rng(0)
    table = {
        HOSTILE: generator.normal(size=120).tolist(),
        "x" * 5000: generator.normal(size=120).tolist(),
        "job" + HOSTILE: [HOSTILE, "cook"] * 60,
        "target" + HOSTILE: [f"{i % 4}{HOSTILE}" for i in range(120)],
    }
    model = fit(table, "target" + HOSTILE, hidden=(4,), epochs=2, activation="relu")
    model.settings[HOSTILE] = {"name": HOSTILE, "value": ["y" * 100_000]}
    model.history.stopped = HOSTILE
    page = render_report(model, model.held_out.X, model.held_out.y, evaluated_on=HOSTILE)
    said = words(check_page(page))
    assert page.count("<script") == 1  # that of the page
    assert HOSTILE[:20] not in page
    assert page.count("<b>") == page.count("</b>")
    assert "\u202e" not in page
    assert "7 * 7" in said
    assert "alert(" in said


def test_names_of_layers_stay_text(check_page, trained, blobs):
    X, y = blobs
    net = cp.Network(4, [cp.Layer(HOSTILE, 20, "relu"), cp.Layer("out" + HOSTILE, 3, "softmax", sources=[HOSTILE])])
    page = render_report(trained(net, X, y, cp.CrossEntropy(), metrics="accuracy"), X, y)
    check_page(page)
    assert page.count("<script") == 1  # that of the page


@pytest.mark.parametrize("classes", [31, 100, 300])
def test_many_classes_show_the_most_confused_pairs(classes, check_page, words):
    generator = np.random.default_rng(0)
    y = generator.integers(0, classes, 3000)
    net = cp.Network.sequential(8, classes, output="softmax")
    X = generator.normal(size=(3000, 8)) + y[:, None] % 8
    said = words(check_page(render_report(Model(net, net.initialize(), cp.CrossEntropy()), X, y)))
    assert "Most often confused" in said
    assert "Each row is a true class" not in said


def test_thirty_classes_have_a_matrix(check_page, words):
    generator = np.random.default_rng(0)
    y = generator.integers(0, 30, 5000)
    net = cp.Network.sequential(8, 30, output="softmax")
    page = render_report(Model(net, net.initialize(), cp.CrossEntropy()), generator.normal(size=(5000, 8)), y)
    assert "Confusion matrix" in words(check_page(page))


def test_sixty_thousand_rows_of_784_inputs(check_page, words):
    generator = np.random.default_rng(0)
    X = generator.standard_normal((60_000, 784), dtype=np.float32)
    net = cp.Network.sequential(784, 8, 1)
    model = Model(net, net.initialize(dtype="float32"), cp.SquaredError())
    said = words(check_page(render_report(model, X, X[:, 0] + X[:, 1] ** 2)))
    assert "60,000" in said
    assert "The stronger the colour, the more rows" in said


def test_long_history_of_many_layers(check_page):
    epochs, names = 20_000, [f"hidden{i}" for i in range(1, 40)]
    net = cp.Network.sequential(3, *[4] * 39, 1)
    noise = 1 + np.random.default_rng(0).random(epochs)
    columns = {
        "cost": noise,
        "validation cost": noise + 1,
        "accuracy": noise / 3,
        "learning rate": 1 / noise,
        "seconds": noise,
    }
    norms = {name: (noise * 10.0**-i).tolist() for i, name in enumerate([*names, "output"])}
    history = cp.History({k: v.tolist() for k, v in columns.items()}, norms, norms, "finished 20000 epochs", 12_345)
    model = Model(net, net.initialize(), cp.SquaredError(), None, {}, history)
    X = np.random.default_rng(1).normal(size=(300, 3))
    page = render_report(model, X, X[:, 0])
    check_page(page)
    assert "restored: epoch 12,346" in page
    assert "The gradient explodes" in page


def plain(units=1, output="identity", loss=None, inputs=2, hidden=(3,)):
    net = cp.Network.sequential(inputs, *hidden, units, hidden="relu", output=output)
    return net, loss or cp.SquaredError()


EDGES = {
    "one row": (plain(), 1, lambda X: X[:, 0], {}),
    "two equal rows": (plain(), 2, lambda X: 0 * X[:, 0] + 1, {}),
    "constant target": (plain(), 50, lambda X: 0 * X[:, 0] + 5, {}),
    "no hidden layer": (plain(hidden=()), 50, lambda X: X[:, 0], {}),
    "huge numbers": (plain(), 50, lambda X: X[:, 0] * 1e12, {"epochs": 0}),
    "tiny numbers": (plain(), 50, lambda X: X[:, 0] * 1e-12, {"epochs": 0}),
    "one class in y": (plain(3, "softmax", cp.CrossEntropy()), 40, lambda X: np.ones(len(X), int), {}),
    "one row of classes": (plain(3, "softmax", cp.CrossEntropy()), 1, lambda X: np.ones(1, int), {}),
    "one class, binary": (plain(1, "sigmoid", cp.BinaryCrossEntropy()), 40, lambda X: np.ones((len(X), 1)), {}),
    "one row, binary": (plain(1, "sigmoid", cp.BinaryCrossEntropy()), 1, lambda X: np.zeros((len(X), 1)), {}),
    "soft targets": (plain(2, "softmax", cp.CrossEntropy()), 30, lambda X: np.full((len(X), 2), 0.5), {}),
    "one label row": (plain(3, "sigmoid", cp.BinaryCrossEntropy()), 1, lambda X: np.ones((1, 3)), {}),
    "counts": (plain(1, "exponential", cp.Poisson()), 60, lambda X: np.arange(60.0) % 5, {}),
    "no epochs": (plain(), 30, lambda X: X[:, 0], {"epochs": 0}),
    "one epoch": (plain(), 30, lambda X: X[:, 0], {"epochs": 1, "metrics": "rmse"}),
    "L-BFGS": (plain(), 30, lambda X: X[:, 0], {"optimizer": cp.LBFGS(), "epochs": 4}),
    "metrics that are NaN": (plain(), 30, lambda X: 0 * X[:, 0], {"metrics": "r2"}),
    "a schedule": (
        plain(),
        30,
        lambda X: X[:, 0],
        {"optimizer": cp.Adam(cp.schedules.Cosine(0.01)), "metrics": ["rmse", "mae"]},
    ),
}


@pytest.mark.parametrize("name", EDGES)
def test_edges_of_the_data(name, trained, check_page):
    (net, loss), rows, target, options = EDGES[name]
    X = np.random.default_rng(0).normal(size=(rows, net.inputs))
    y = target(X)
    column = y[:, None] if y.ndim == 1 and not isinstance(loss, cp.CrossEntropy) else y
    model = trained(net, X, column, loss, **options)
    check_page(render_report(model, X, y))


def test_constant_predictions(check_page, words):
    net = cp.Network.sequential(2, 3, 1, hidden="relu")
    params = net.initialize(given={"hidden": {"b": [-100.0] * 3}, "output": {"b": [1e-3]}})
    X = np.random.default_rng(0).normal(size=(600, 2))
    said = words(check_page(render_report(Model(net, params, cp.SquaredError()), X, X[:, 0])))
    assert "Dead on every row: 3 of 3 units of hidden." in said
    assert "No single column makes a significant difference to the squared error" in said
    assert "There is no history of the training." in said


def test_probabilities_of_exactly_zero_and_one(check_page, words):
    net = cp.Network.sequential(1, 3, output="softmax")
    params = net.initialize(given={"output": {"input": [[5000.0, 0.0, -5000.0]]}})
    X = np.array([[1.0], [-1.0], [0.5], [2.0]])
    said = words(check_page(render_report(Model(net, params, cp.CrossEntropy()), X, np.array([0, 2, 0, 1]))))
    assert "log loss 2,500" in said  # one row of four with z 10,000 below the largest


def test_own_activation_and_loss(check_page, words, trained, blobs):
    X, _ = blobs
    cube = cp.activations.Custom("cube <b>", lambda z: z**3, lambda z, a: 3 * z**2)
    loss = cp.losses.CustomLoss("quartic & more", lambda yhat, y: ((yhat - y) ** 4, 4 * (yhat - y) ** 3))
    net = cp.Network.sequential(4, 20, 1, hidden=cube)
    said = words(
        check_page(render_report(trained(net, X, X[:, :1], loss, epochs=1, optimizer=cp.Adam(1e-3)), X, X[:, 0]))
    )
    assert "20 units · cube <b>" in said
    assert "loss: quartic & more" in said


def test_no_warning_reaches_the_caller(digits_model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        render_report(digits_model, digits_model.held_out.X[:50], digits_model.held_out.y[:50])


def test_written_page_is_the_rendered_one(tmp_path, trained, blobs):
    X, y = blobs
    model = trained(cp.Network.sequential(4, 3, output="softmax"), X, y, cp.CrossEntropy())
    write_report(model, X, y, tmp_path / "é report.html", evaluated_on="all rows")
    written = (tmp_path / "é report.html").read_text(encoding="utf-8")
    assert written == render_report(model, X, y, evaluated_on="all rows")
    assert [path.name for path in tmp_path.iterdir()] == ["é report.html"]


def test_rows_that_cannot_be_used_leave_an_old_report_untouched(tmp_path, trained, blobs):
    X, y = blobs
    model = trained(cp.Network.sequential(4, 3, output="softmax"), X, y, cp.CrossEntropy())
    path = tmp_path / "report.html"
    path.write_text("old")
    broken = X.copy()
    broken[7, 2] = np.nan
    with pytest.raises(cp.errors.DataError, match="X: nan at row 7, column 2"):
        write_report(model, broken, y, path, evaluated_on="all rows")
    assert path.read_text() == "old"
    with pytest.raises(ArgumentError, match="does not exist"):
        write_report(model, X, y, tmp_path / "missing" / "report.html", evaluated_on="all rows")


def test_the_model_is_left_as_it_was(trained, blobs):
    X, y = blobs
    model = trained(cp.Network.sequential(4, 6, 3, output="softmax"), X, y, cp.CrossEntropy())
    before, X_before = model.params.flat.copy(), X.copy()
    render_report(model, X, y)
    np.testing.assert_array_equal(model.params.flat, before)
    np.testing.assert_array_equal(X, X_before)


@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_network_that_has_diverged_has_a_report(value, output, check_page, words):
    units, loss = {"identity": (1, cp.SquaredError()), "sigmoid": (2, cp.BinaryCrossEntropy()),
                   "softmax": (3, cp.CrossEntropy())}[output]  # fmt: skip
    net = cp.Network.sequential(4, 5, units, output=output)
    params = net.initialize(seed=0)
    with np.errstate(all="ignore"):
        params.flat[...] *= value
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = {1: X[:, 0], 2: (X[:, :2] > 0).astype(float), 3: np.arange(60) % 3}[units]
    said = words(check_page(render_report(Model(net, params, loss), X, y)))
    with np.errstate(all="ignore"):
        lost = int((~np.isfinite(cp.predict(net, params, X)).all(axis=1)).sum())
    assert (f"{lost} of 60 rows have predictions that are NaN or infinite." in said) == (lost > 0)
    assert ("Confusion matrix" in said) == (units == 3 and not lost)


def test_rows_of_a_sparse_matrix(check_page):
    X = np.random.default_rng(0).normal(size=(60, 4)) * (np.arange(4) % 2)
    net = cp.Network.sequential(4, 1)
    model = Model(net, net.initialize(seed=0), cp.SquaredError())
    assert render_report(model, scipy.sparse.csr_array(X), X[:, 1]) == render_report(model, X, X[:, 1])
