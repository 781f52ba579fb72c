"""Models of tables: tasks, splits, prediction, evaluation, saving and loading, and bad input."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from paths import SHARED_DATA

import clearprop as cp
from clearprop.errors import ArgumentError, DataError, ModelFileError, ShapeError, TableError, TableWarning
from clearprop.model.files import MODEL
from clearprop.model.fit import default_batch_size, split_rows
from clearprop.serialization.codec import encode
from clearprop.serialization.sealed import pack_sections, read_sections

DATA = SHARED_DATA
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real tables of ../shared/data are not here")


def people(n=300, seed=0):
    random = np.random.default_rng(seed)
    age = random.integers(18, 80, n)
    job = random.choice(["clerk", "cook", "pilot"], n)
    pay = 20 * age + 500 * (job == "pilot") + random.normal(0, 30, n)
    return {
        "age": age,
        "job": job,
        "member": random.random(n) < 0.5,
        "pay": pay,
        "hours": 40 - age / 4 + random.normal(0, 1, n),
        "rich": np.where(pay > 1100, "yes", "no"),
        "level": np.digitize(pay, [900, 1300]),
        "old": age > 50,
    }


TASK_CASES = {
    "binary": ("rich", 1, "sigmoid"),
    "multiclass": ("level", 3, "softmax"),
    "regression": ("pay", 1, "identity"),
    "several numbers": (["pay", "hours"], 2, "identity"),
    "multilabel": (["member", "old"], 2, "sigmoid"),
}


@pytest.mark.parametrize("case", TASK_CASES)
def test_each_task_trains_saves_and_predicts_the_same(case, tmp_path):
    target, outputs, activation = TASK_CASES[case]
    model = cp.fit(people(), target, hidden=(8,), epochs=20)
    assert model.net.layers[-1].units == outputs
    assert model.net.layers[-1].f.name == activation
    model.save(tmp_path / "m.cprop")
    loaded = cp.Model.load(tmp_path / "m.cprop")
    assert (loaded.net, loaded.loss, loaded.settings) == (model.net, model.loss, model.settings)
    assert loaded.history == model.history
    before, after = model.predict(people(50, 1)), loaded.predict(people(50, 1))
    assert list(before) == list(after)
    for name in before:
        assert np.array_equal(before[name], after[name])
    assert str(loaded) == str(model)
    assert loaded.evaluate(people(50, 1)).metrics == model.evaluate(people(50, 1)).metrics


def test_it_learns():
    assert cp.fit(people(600), "rich", epochs=40).settings["held_out"]["accuracy"] > 0.9
    assert cp.fit(people(600), "pay", epochs=40).settings["held_out"]["R2"] > 0.9


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    flats = [cp.fit(people(), "rich", hidden=(4,), epochs=3, seed=seed).params.flat for seed in (0, 0, 1)]
    assert flats[0].tobytes() == flats[1].tobytes()
    assert flats[0].tobytes() != flats[2].tobytes()


def test_held_out_rows_do_not_affect_the_encoding():
    table = people()
    kept, apart = split_rows(300, 0.2, 0)
    table["pay"] = np.array(table["pay"])
    table["age"] = table["age"].astype(float)
    table["age"][apart] = 1e6
    model = cp.fit(table, "pay", hidden=(), epochs=1)
    plain = cp.tables.TableEncoding.fit({name: np.asarray(values)[kept] for name, values in table.items()}, "pay")
    assert model.encoding == plain
    assert len(model.held_out.X) == len(apart)


def test_a_label_only_in_held_out_rows_is_a_class():
    table = people(60)
    table["rich"] = np.array(["no"] * 30 + ["yes"] * 29 + ["maybe"])
    model = cp.fit(table, "rich", hidden=(4,), epochs=2)
    assert model.encoding.classes == ["maybe", "no", "yes"]


def test_pandas_and_polars_and_a_file_give_the_same_model(tmp_path):
    table = people()
    pl.DataFrame(table).write_csv(tmp_path / "t.csv")
    frames = [pd.DataFrame(table), pl.DataFrame(table), str(tmp_path / "t.csv"), tmp_path / "t.csv"]
    models = [cp.fit(frame, "rich", hidden=(4,), epochs=2) for frame in frames]
    assert len({model.params.flat.tobytes() for model in models}) == 1


def test_declared_categories_are_categorical_columns_and_classes():
    frame = pd.DataFrame(people())
    frame["code"] = pd.Categorical(np.arange(300) % 3)
    frame["grade"] = pd.Categorical(np.arange(300) % 25)
    assert cp.fit(frame, "grade", hidden=(), epochs=1).encoding.task == "multiclass"
    kinds = {note.column: note.kind for note in cp.fit(frame, "pay", hidden=(), epochs=1).encoding.describe()}
    assert kinds["code"] == "categorical"


def test_split_keeps_the_shares_of_the_classes():
    labels = np.repeat([0, 1], [180, 20])
    kept, apart = split_rows(200, 0.2, 0, labels)
    assert np.bincount(labels[apart]).tolist() == [36, 4]
    assert sorted([*kept, *apart]) == list(range(200))


@pytest.mark.parametrize(("rows", "size"), [(1, 32), (150, 32), (6000, 64), (30_000, 256), (10**6, 256)])
def test_default_batch_size(rows, size):
    assert default_batch_size(rows) == size


def test_without_holdout_and_validation_every_row_trains():
    model = cp.fit(people(50), "rich", hidden=(4,), epochs=2, holdout=0, validation=0)
    assert model.held_out is None
    assert model.settings["rows_trained_on"] == 50
    assert "validation cost" not in model.history


def test_any_optimizer_and_penalty():
    lbfgs = cp.fit(people(), "pay", hidden=(), optimizer="lbfgs", penalty=cp.penalties.L2(0.1), epochs=20)
    assert lbfgs.history.cost[-1] < lbfgs.history.cost[0]
    assert cp.fit(people(), "pay", optimizer=cp.Nadam(0.01), epochs=2).settings["optimizer"]["name"] == "nadam"


BAD_CALLS = [
    ({"target": "incme"}, TableError, 'Did you mean "rich"|does not exist'),
    ({"target": []}, TableError, "Target"),
    ({"task": "ranking"}, ArgumentError, "expected one of 'auto', 'classification', 'regression', got 'ranking'"),
    ({"holdout": 1}, ArgumentError, "holdout: expected a finite number at least 0 and below 1, got 1"),
    ({"holdout": 0.001}, DataError, "leaves one of the two sets without rows"),
    ({"validation": -0.1}, ArgumentError, "validation"),
    ({"validation": 0.001}, DataError, "leaves one of the two sets without rows"),
    ({"hidden": (0,)}, ArgumentError, "hidden: expected a whole number of at least 1, got 0"),
    ({"hidden": 64}, ArgumentError, r"such as \(64,\)"),
    ({"activation": "rleu"}, ArgumentError, "did you mean 'relu'"),
    ({"optimizer": "adm"}, ArgumentError, "did you mean 'adam'"),
    ({"epochs": 0}, ArgumentError, "epochs"),
    ({"patience": 0}, ArgumentError, "patience"),
    ({"batch_size": 0}, ArgumentError, "batch_size"),
    ({"seed": -1}, ArgumentError, "seed"),
    ({"dropout": 1}, ArgumentError, "dropout"),
    ({"penalty": 0.1}, ArgumentError, r"penalty: expected penalties such as cp\.penalties\.L2\(1e-4\), got 0\.1"),
    ({"dtype": "float16"}, ArgumentError, "float32"),
    ({"drop": ["hourz"]}, TableError, 'Did you mean "hours"'),
]


@pytest.mark.parametrize(("options", "error", "text"), BAD_CALLS)
def test_invalid_arguments_raise_before_training(options, error, text):
    options = {"target": "rich", "hidden": (4,), "epochs": 1, **options}
    with pytest.raises(error, match=text):
        cp.fit(people(60), **options)


def test_tables_that_cannot_be_used():
    table = people(60)
    for target, values, text in (
        ("rich", ["yes"] * 60, "expected at least two different labels"),
        ("pay", [None, *table["pay"][1:]], 'Target column "pay": no value in row'),
        ("pay", [np.inf, *table["pay"][1:]], 'olumn "pay"'),
    ):
        with pytest.raises(TableError, match=text):
            cp.fit({**table, target: values}, target, epochs=1)
    with pytest.raises(TableError, match="no rows"):
        cp.fit({name: [] for name in table}, "pay", epochs=1)


def test_predicting_and_evaluating_bad_tables():
    model = cp.fit(people(), "rich", hidden=(4,), epochs=1)
    table = people(20, 2)
    with pytest.raises(TableError, match=r'Column "age" is missing.*Did you mean "Age"'):
        model.predict({"Age" if name == "age" else name: values for name, values in table.items()})
    with pytest.raises(TableError, match="the label 'perhaps' does not occur in the training table"):
        model.evaluate({**table, "rich": ["perhaps"] * 20})
    with pytest.warns(TableWarning, match='"astronaut" is not among the categories of training'):
        unseen = model.predict({**table, "job": ["astronaut"] * 20})
    assert np.isfinite(unseen["probability of yes"]).all()


def test_a_model_without_a_table():
    net = cp.Network.sequential(2, 1)
    model = cp.Model(net, net.initialize(), cp.SquaredError())
    with pytest.raises(ArgumentError, match=r"no table encoding; use cp\.predict"):
        model.predict(people())
    assert "3 parameters in float64" in str(model)


def test_an_encoding_that_does_not_fit_the_network_is_rejected(tmp_path):
    model = cp.fit(people(), "rich", hidden=(4,), epochs=1)
    net = cp.Network.sequential(2, 1, output="sigmoid")
    text = r"encoding: expected 2 inputs and \[1\] outputs, as the network has, got \d+ and \[1\]"
    with pytest.raises(ArgumentError, match=text):
        cp.Model(net, net.initialize(), model.loss, model.encoding).save(tmp_path / "m.cprop")
    model.save(tmp_path / "m.cprop")
    found = read_sections((tmp_path / "m.cprop").read_bytes(), "m.cprop", MODEL)
    head, arrays = found.head | {"network": encode(net)}, found.arrays | {"parameters": np.zeros(3)}
    (tmp_path / "m.cprop").write_bytes(pack_sections(MODEL, head, arrays))
    with pytest.raises(ModelFileError, match=r"m\.cprop: " + text):
        cp.Model.load(tmp_path / "m.cprop")


def test_diverged_training_raises():
    with pytest.raises(
        cp.TrainingDiverged, match=r"epoch 1, step 2 of 7: the cost or the parameters became NaN or infinite"
    ):
        cp.fit(people(), "pay", optimizer=cp.GradientDescent(1e30), epochs=3)


@needs_data
def test_adult_reaches_its_accuracy_with_defaults():
    model = cp.fit(DATA / "adult_train.csv", "income")
    assert model.evaluate(DATA / "adult_test.csv").metrics["accuracy"] >= 0.852


@needs_data
def test_california_reaches_its_error_with_defaults():
    model = cp.fit(DATA / "california_housing.csv", "median_house_value")
    assert model.settings["held_out"]["RMSE"] <= 54_000
    X, y = model.encode(DATA / "california_housing.csv")
    assert X.dtype == np.float32
    assert len(X) == len(y) == 20_640


@needs_data
def test_mnist_reaches_its_accuracy():
    data = np.load(DATA / "mnist.npz")
    X, X_test = (data[name].reshape(-1, 784).astype("float32") / 255 for name in ("x_train", "x_test"))
    net = cp.Network.sequential(784, 256, 128, 10, output="softmax", dropout=0.2)
    params = net.initialize(seed=0, dtype="float32")
    y = data["y_train"].astype(int)
    cp.train(
        net, params, X, y, loss="cross_entropy", optimizer=cp.Adam(cp.schedules.Cosine(0.001)), batch_size=128, epochs=6
    )
    assert (cp.predict(net, params, X_test).argmax(axis=1) == data["y_test"]).mean() >= 0.975


def test_log_loss_is_exact_where_a_probability_is_rounded_to_0():
    model = cp.fit(people(), "rich", hidden=(), epochs=1)
    model.params.flat *= 1e4
    log_loss = model.evaluate(people(50, 1)).metrics["log loss"]
    assert 10 < log_loss < np.inf


def test_separate_X_and_y_raise_and_name_the_estimators():
    with pytest.raises(
        ArgumentError, match=r"target: expected the name of a column of the table, got ndarray\. cp\.fit"
    ):
        cp.fit({"age": [1.0, 2.0]}, np.array(["a", "b"]))


def test_repr_is_one_line_and_the_report_is_written(tmp_path):
    table = people(100)
    model = cp.fit(table, "rich", hidden=(3,), epochs=2)
    assert repr(model).startswith("<Model: predicts rich from ")
    assert len(repr(model)) < 120
    assert "array" not in repr(model.held_out)
    for name, data, told in (("a", None, "20 rows held out of 100"), ("b", table, "100 rows")):
        model.report(tmp_path / f"{name}.html", data)
        assert told in (tmp_path / f"{name}.html").read_text(encoding="utf-8")
    pl.DataFrame(table).write_csv(tmp_path / "people.csv")
    model.report(tmp_path / "c.html", tmp_path / "people.csv")
    assert "100 rows of people.csv" in (tmp_path / "c.html").read_text(encoding="utf-8")


def test_predictions_become_data_frames():
    model = cp.fit(people(), "rich", hidden=(4,), epochs=1)
    predictions = model.predict(people(20, 1))
    assert isinstance(predictions, dict)
    assert list(predictions) == ["rich", "probability of no", "probability of yes"]
    pandas, polars = predictions.to_pandas(), predictions.to_polars()
    assert isinstance(pandas, pd.DataFrame)
    assert isinstance(polars, pl.DataFrame)
    for frame in (pandas, polars):
        assert list(frame.columns) == list(predictions)
        for name, column in predictions.items():
            assert frame[name].to_numpy().tolist() == column.tolist()


@pytest.mark.parametrize("case", ["binary", "multiclass", "multilabel"])
def test_predict_proba_has_a_column_for_each_class(case):
    target = TASK_CASES[case][0]
    model = cp.fit(people(), target, hidden=(4,), epochs=1)
    p, predictions = model.predict_proba(people(20, 1)), model.predict(people(20, 1))
    names = model.encoding.classes or model.encoding.target_names
    assert p.shape == (20, len(names))
    for i, name in enumerate(names):
        np.testing.assert_array_equal(p[:, i], predictions[f"probability of {name}"])


def test_predict_proba_of_numbers_is_refused():
    model = cp.fit(people(), "pay", hidden=(), epochs=1)
    with pytest.raises(ArgumentError, match="predict_proba: the model predicts numbers, not classes; use predict"):
        model.predict_proba(people())


def test_evaluate_without_data_is_about_the_rows_held_out():
    model = cp.fit(people(), "rich", hidden=(4,), epochs=2)
    assert model.evaluate().metrics == model.settings["held_out"]
    assert model.evaluate().rows == 60
    whole = cp.fit(people(), "rich", hidden=(4,), epochs=1, holdout=0)
    with pytest.raises(ArgumentError, match="data: the model has no held-out rows; pass a table that has the target"):
        whole.evaluate()


def test_evaluate_weighs_the_rows():
    model, table = cp.fit(people(), "rich", hidden=(4,), epochs=2), people(50, 1)
    weight = np.arange(50) % 3
    twice = {name: np.repeat(values, weight) for name, values in table.items()}
    expected = model.evaluate(twice)
    found = model.evaluate(table, sample_weight=weight)
    assert found.metrics == pytest.approx(expected.metrics, rel=1e-6)
    assert found.baseline == pytest.approx(expected.baseline, rel=1e-12)
    with pytest.raises(ShapeError, match=r"sample_weight: expected shape \(50,\)"):
        model.evaluate(table, sample_weight=[1.0])


def test_predictions_hold_answers_and_truth_in_the_unit_of_the_target():
    model, table = cp.fit(people(), "pay", hidden=(4,), epochs=2), people(50, 1)
    predictions = model.predictions(table)
    assert (predictions.task, predictions.target, predictions.labels) == ("regression", "pay", ("pay",))
    np.testing.assert_allclose(predictions.y[:, 0], table["pay"], rtol=1e-6)
    np.testing.assert_array_equal(predictions.yhat[:, 0], model.predict(table)["pay"])


def test_messages_count_the_rows_of_the_whole_table():
    _, test = split_rows(300, 0.2, 0)
    row = int(test[3])
    table = people()
    codes = [str(i) for i in range(300)]
    codes[row] = "old"
    with pytest.raises(TableError, match=f'Column "code": all values are numbers, except in row {row}: "old"'):
        cp.fit({**table, "code": codes}, "pay", epochs=1)
    age = table["age"].astype(float)
    age[row] = np.inf
    with pytest.raises(TableError, match=f'Column "age": infinity, or a number beyond .* in row {row};'):
        cp.fit({**table, "age": age}, "pay", epochs=1)


def test_training_rows_of_one_label_only_are_refused():
    table = people(60)
    _, test = split_rows(60, 0.2, 0)
    rich = np.array(["no"] * 60)
    rich[test[0]] = "yes"
    with pytest.raises(
        TableError, match="Target column \"rich\": all 48 training rows hold 'no'; expected at least two"
    ):
        cp.fit({**table, "rich": rich}, "rich", epochs=1)


def test_several_penalties_are_in_the_settings():
    penalties = [cp.penalties.L2(0.1), cp.penalties.L1(0.01)]
    model = cp.fit(people(), "pay", hidden=(), penalty=penalties, epochs=1)
    assert "penalty           l2(strength=0.1), l1(strength=0.01)" in str(model)
    assert "penalty           none" in str(cp.fit(people(), "pay", hidden=(), epochs=1))
