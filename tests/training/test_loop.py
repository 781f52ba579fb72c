"""cp.train: batches, seeds, validation, restoring, divergence, interruption, and bad calls."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from cases import ENGINES

import clearprop as cp
from clearprop.errors import ArgumentError, CompilationError, DataError, ShapeError, TrainingDiverged

every_engine = pytest.mark.parametrize("engine", ENGINES)
rng = np.random.default_rng(0)
X = rng.normal(size=(20, 3))
Y = np.tanh(X @ [[1.0], [-2.0], [0.5]]) + rng.normal(0, 0.1, size=(20, 1))
NET = cp.Network.sequential(3, 6, 1, hidden="tanh")
STEP = cp.GradientDescent(0.05)


def train(params=None, X=X, Y=Y, **options):
    params = NET.initialize(seed=1) if params is None else params
    history = cp.train(NET, params, X, Y, **({"loss": "squared_error", "optimizer": STEP, "epochs": 4} | options))
    return params, history


# --- batches and seeds -----------------------------------------------------------------------------------------------


@every_engine
def test_batches_win_over_batch_size(engine):
    """7 nearly equal batches of 20 rows: 6 of 3 rows and one of 2, whatever the batch size says."""
    by_batches, _ = train(batches=7, batch_size=1, shuffle=False, epochs=1, engine=engine)
    by_hand = NET.initialize(seed=1)
    for rows in np.array_split(np.arange(20), 7):
        g = cp.backpropagate(NET, by_hand, X[rows], Y[rows], "squared_error").gradients
        by_hand.flat[...] -= 0.05 * g.flat
    np.testing.assert_allclose(by_batches.flat, by_hand.flat, rtol=1e-12)


@every_engine
@pytest.mark.parametrize("optimizer", ["adam", "rprop", "lbfgs"])
def test_same_seed_same_bits_other_seed_other_bits(engine, optimizer):
    one, two, other = (train(optimizer=optimizer, batch_size=7, seed=seed, engine=engine)[0].flat for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any() == (optimizer != "lbfgs")  # which always takes the whole set


@every_engine
def test_global_random_state_is_left_alone(engine):
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    train(validation=0.25, engine=engine)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@every_engine
def test_weights_are_rows_that_are_there_several_times(engine):
    w = rng.integers(0, 3, size=20)
    for reduction in ("mean", "sum"):
        options = {"batch_size": None, "reduction": reduction, "optimizer": cp.GradientDescent(0.01), "engine": engine}
        weighted, one = train(sample_weight=w, **options)
        repeated, two = train(X=X.repeat(w, axis=0), Y=Y.repeat(w, axis=0), **options)
        np.testing.assert_allclose(weighted.flat, repeated.flat, rtol=1e-10)
        np.testing.assert_allclose(one.cost, two.cost, rtol=1e-10)


@every_engine
def test_sum_is_mean_with_another_rate(engine):
    mean, _ = train(batch_size=5, optimizer=cp.GradientDescent(0.05), engine=engine)
    total, _ = train(batch_size=5, reduction="sum", optimizer=cp.GradientDescent(0.01), engine=engine)
    np.testing.assert_allclose(mean.flat, total.flat, rtol=1e-12)


@every_engine
def test_several_outputs(engine):
    net = cp.Network(3, [cp.Layer("value", 1), cp.Layer("kind", 3, "softmax", "input")], outputs=["value", "kind"])
    kinds = np.arange(20) % 3
    params = net.initialize(seed=0)
    history = cp.train(
        net,
        params,
        X,
        {"value": Y, "kind": kinds},
        loss={"value": "squared_error", "kind": "cross_entropy"},
        optimizer=cp.Adam(0.05),
        metrics="accuracy",
        validation=(X, {"value": Y, "kind": kinds}),
        epochs=30,
        engine=engine,
    )
    assert history.cost[-1] < 0.7 * history.cost[0]
    assert {"value accuracy", "kind accuracy", "validation value accuracy", "validation kind accuracy"} <= set(history)


# --- validation ------------------------------------------------------------------------------------------------------


def split(share, seed, n=20):
    order = np.random.default_rng(seed).permutation(n)
    held = round(share * n)
    return np.sort(order[held:]), np.sort(order[:held])


@every_engine
def test_a_share_is_split_off_at_random_and_not_trained_on(engine):
    kept, held = split(0.3, 4)
    assert len(held) == 6
    w = rng.uniform(1, 2, size=20)
    options = {"seed": 4, "batch_size": 5, "metrics": "rmse", "engine": engine}
    by_share, one = train(sample_weight=w, validation=0.3, **options)
    given = (X[held], Y[held], w[held])
    by_hand, two = train(X=X[kept], Y=Y[kept], sample_weight=w[kept], validation=given, **options)
    np.testing.assert_array_equal(by_share.flat, by_hand.flat)
    for name in ("cost", "validation cost", "rmse", "validation rmse"):
        assert one[name] == two[name]


@every_engine
def test_validation_cost_is_that_of_the_parameters_after_the_epoch(engine):
    params, history = train(validation=(X[:7], Y[:7]), epochs=3, metrics="mae", engine=engine)
    trace = cp.backpropagate(NET, params, X[:7], Y[:7], "squared_error")
    assert history["validation cost"][-1] == pytest.approx(trace.cost, rel=1e-12)
    assert history["validation mae"][-1] == pytest.approx(np.abs(trace["output"].a - Y[:7]).mean(), rel=1e-12)
    assert history["mae"][-1] == pytest.approx(np.abs(cp.predict(NET, params, X) - Y).mean(), rel=1e-12)


@every_engine
def test_validation_changes_nothing_of_the_training(engine):
    alone, _ = train(engine=engine)
    watched, _ = train(validation=(X[:7], Y[:7]), metrics=["rmse", "r2"], engine=engine)
    np.testing.assert_array_equal(alone.flat, watched.flat)


@every_engine
def test_early_stopping_restores_the_best_parameters(engine):
    """Overfitting on 5 rows: the validation cost falls, then rises; what is left are the parameters of its lowest."""
    seen = []
    rule = cp.EarlyStopping(patience=5)
    params, history = train(
        X=X[:5],
        Y=Y[:5] + 1,
        validation=(X[5:], Y[5:]),
        optimizer=cp.Adam(0.05),
        batch_size=None,
        epochs=300,
        stopping=rule,
        callbacks=lambda end: seen.append(end.params.flat.copy()),
        engine=engine,
    )
    costs = history["validation cost"]
    best = int(np.argmin(costs))
    assert history.best_epoch == best
    assert history.epochs == best + 1 + 5 < 300
    assert history.stopped == (
        f"stopped early: validation cost has not improved for 5 epochs (best in epoch {best + 1})"
    )
    np.testing.assert_array_equal(params.flat, seen[best])
    assert cp.backpropagate(NET, params, X[5:], Y[5:], "squared_error").cost == pytest.approx(min(costs))
    kept, again = train(
        X=X[:5],
        Y=Y[:5] + 1,
        validation=(X[5:], Y[5:]),
        optimizer=cp.Adam(0.05),
        batch_size=None,
        epochs=300,
        stopping=cp.EarlyStopping(patience=5, restore_best=False),
        engine=engine,
    )
    assert again.best_epoch is None
    np.testing.assert_array_equal(kept.flat, seen[-1])


@every_engine
def test_the_best_is_restored_when_the_epochs_run_out(engine):
    seen = []
    rate = cp.schedules.Step(0.05, every=3, factor=400)  # the fourth epoch jumps away from the minimum
    params, history = train(
        optimizer=cp.GradientDescent(rate),
        epochs=5,
        stopping=cp.EarlyStopping(patience=50, monitor="rmse"),
        metrics="rmse",
        callbacks=lambda end: seen.append(end.params.flat.copy()),
        engine=engine,
    )
    assert history.stopped == "finished 5 epochs"
    assert history.best_epoch == int(np.argmin(history["rmse"])) < 4
    np.testing.assert_array_equal(params.flat, seen[history.best_epoch])


@every_engine
def test_training_until_convergence(engine):
    line = cp.Network.sequential(3, 1)
    for rule, words in (
        (
            cp.training.Convergence(gradient_norm=1e-6, cost_change=None),
            "converged: the norm of the gradient is at most 1e-06",
        ),
        (
            cp.training.Convergence(cost_change=1e-9),
            "converged: the cost changed by less than 1e-09 of itself for 3 epochs",
        ),
    ):
        params = line.initialize(seed=0)
        options = {"optimizer": cp.GradientDescent(0.3), "batch_size": None, "epochs": 5000, "engine": engine}
        history = cp.train(line, params, X, Y, loss="squared_error", stopping=rule, **options)
        assert history.stopped == words
        assert 10 < history.epochs < 5000
        gradient = cp.backpropagate(line, params, X, Y, "squared_error").gradients.flat
        assert np.linalg.norm(gradient) < 1e-4


@every_engine
def test_the_first_rule_with_a_reason_stops(engine):
    rules = [cp.training.Convergence(gradient_norm=1e-30), cp.EarlyStopping(monitor="cost", patience=1, min_delta=1e9)]
    _, history = train(stopping=rules, epochs=50, engine=engine)
    assert history.epochs == 2
    assert history.stopped.startswith("stopped early: cost has not improved for 1 epoch (best in epoch 1)")


# --- divergence and interruption -------------------------------------------------------------------------------------


@every_engine
@pytest.mark.parametrize("batch_size", [None, 5])
def test_divergence_puts_back_the_parameters_of_the_epoch_before(engine, batch_size):
    line = cp.Network.sequential(3, 1)
    params = line.initialize(seed=0)
    seen = [params.flat.copy()]
    with pytest.raises(TrainingDiverged) as error:
        cp.train(
            line,
            params,
            X,
            Y,
            loss="squared_error",
            optimizer=cp.GradientDescent(1e60),
            batch_size=batch_size,
            epochs=100,
            callbacks=lambda end: seen.append(end.params.flat.copy()),
            engine=engine,
        )
    told = str(error.value)
    steps = 1 if batch_size is None else -(-len(X) // batch_size)
    assert re.match(
        f"epoch {len(seen)}, step [1-{steps}] of {steps}: the cost or the parameters became NaN or infinite. "
        "The parameters are those before that epoch. There the ",
        told,
    )
    assert "sample " in told
    assert told.endswith(". Lower the learning rate, scale the inputs, or set clip_norm=1.")
    np.testing.assert_array_equal(params.flat, seen[-1])
    assert np.isfinite(params.flat).all()


@every_engine
def test_an_infinite_penalty_is_divergence_too(engine):
    line = cp.Network.sequential(3, 1)
    params = line.initialize(given={"output": {"input": np.full((3, 1), 1e200)}})
    with pytest.raises(
        TrainingDiverged, match="epoch 1, step 1 of 1: the cost or the parameters became NaN or infinite"
    ):
        cp.train(line, params, 0 * X, Y, loss="huber", penalty=cp.penalties.L2(1e-50), optimizer=STEP, engine=engine)
    assert (params["output"].W["input"] == 1e200).all()


@every_engine
def test_an_interruption_between_epochs_keeps_the_last_epoch(engine):
    seen = []

    def stop_in_the_third(end):
        seen.append(end.params.flat.copy())
        if end.epoch == 2:
            raise KeyboardInterrupt

    params = NET.initialize(seed=1)
    with pytest.raises(KeyboardInterrupt):
        train(params, callbacks=stop_in_the_third, engine=engine)
    assert len(seen) == 3
    np.testing.assert_array_equal(params.flat, seen[2])
    np.testing.assert_array_equal(params.flat, train(epochs=3, engine=engine)[0].flat)


def test_an_interruption_within_a_step_keeps_the_last_step():
    """The loss of the eighth step is interrupted: the parameters are those after seven."""
    calls = []

    def interrupted(yhat, y):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return 0.5 * (yhat - y) ** 2, yhat - y

    params, by_hand = NET.initialize(seed=1), NET.initialize(seed=1)
    with pytest.raises(KeyboardInterrupt):
        train(
            params,
            loss=cp.losses.CustomLoss("interrupted", interrupted),
            batch_size=5,
            shuffle=False,
            engine="textbook",
        )
    for step in range(7):
        rows = slice(step % 4 * 5, step % 4 * 5 + 5)
        by_hand.flat[...] -= 0.05 * cp.backpropagate(NET, by_hand, X[rows], Y[rows], "squared_error").gradients.flat
    np.testing.assert_allclose(params.flat, by_hand.flat, rtol=1e-12)


@every_engine
def test_an_error_in_a_callback_comes_through(engine):
    def broken(end):
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        train(callbacks=broken, engine=engine)


# --- the ends of the range -------------------------------------------------------------------------------------------


@every_engine
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_no_epochs_change_nothing(engine, optimizer):
    params, history = train(epochs=0, optimizer=optimizer, engine=engine)
    np.testing.assert_array_equal(params.flat, NET.initialize(seed=1).flat)
    assert history.epochs == 0
    assert history.cost == []
    assert history.stopped == "finished 0 epochs"


@every_engine
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_one_row(engine, optimizer):
    params, history = train(X=X[:1], Y=Y[:1], epochs=50, optimizer=optimizer, engine=engine)
    assert history.cost[-1] < history.cost[0]
    assert abs(cp.predict(NET, params, X[:1])[0, 0] - Y[0, 0]) < abs(
        cp.predict(NET, NET.initialize(seed=1), X[:1])[0, 0] - Y[0, 0]
    )


@every_engine
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_in_either_precision(engine, dtype):
    params = NET.initialize(seed=1, dtype=dtype)
    _, history = train(params, optimizer=cp.Adam(0.02), epochs=100, engine=engine)
    assert params.dtype == np.dtype(dtype)
    assert history.cost[-1] < 0.2 * history.cost[0]


@every_engine
def test_training_goes_on_from_where_the_parameters_are(engine):
    params, _ = train(epochs=50, engine=engine)
    _, history = train(params, epochs=1, engine=engine)
    _, fresh = train(epochs=1, engine=engine)
    assert history.cost[0] < fresh.cost[0]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_auto_is_the_compiled_engine(optimizer):
    params, history = train(engine="auto", optimizer=optimizer)
    compiled, same = train(engine="compiled", optimizer=optimizer)
    np.testing.assert_array_equal(params.flat, compiled.flat)
    assert history.cost == same.cost
    np.testing.assert_allclose(params.flat, train(engine="textbook", optimizer=optimizer)[0].flat, rtol=1e-10)


def in_order(yhat, y):
    order = np.argsort(yhat, axis=-1)
    return np.take_along_axis(0.5 * (yhat - y) ** 2, order, axis=-1), yhat - y


def test_auto_says_what_cannot_be_compiled():
    loss = cp.losses.CustomLoss("sorted", in_order)
    with pytest.warns(RuntimeWarning) as caught:
        params, history = train(loss=loss, optimizer=STEP)
    assert [str(warning.message) for warning in caught] == [
        'falling back to the textbook engine (slower): CustomLoss "sorted": value and delta cannot be compiled: it '
        "uses argsort, which is not one of the supported functions. Write it with operators and the functions of "
        'clearprop.mathematics or NumPy on whole arrays, or train with engine="textbook".'
    ]
    assert [warning.filename for warning in caught] == [__file__]
    plain, same = train(loss=loss, engine="textbook")
    np.testing.assert_array_equal(params.flat, plain.flat)
    assert history.cost == same.cost
    with pytest.raises(CompilationError, match='CustomLoss "sorted"'):
        train(loss=loss, engine="compiled")


# --- bad calls -------------------------------------------------------------------------------------------------------

BAD_CALLS = {
    "batch_size 0": ({"batch_size": 0}, ArgumentError, "batch_size: expected a whole number of at least 1, got 0."),
    "batch_size 2.5": (
        {"batch_size": 2.5},
        ArgumentError,
        "batch_size: expected a whole number of at least 1, got 2.5",
    ),
    "batch_size auto": ({"batch_size": "auto"}, ArgumentError, "batch_size: expected a whole number of at least 1"),
    "batches 0": ({"batches": 0}, ArgumentError, "batches: expected a whole number of at least 1, got 0."),
    "batches 21": ({"batches": 21}, ArgumentError, "batches: expected at most one per row (20), got 21."),
    "epochs -1": ({"epochs": -1}, ArgumentError, "epochs: expected a whole number of at least 0, got -1."),
    "epochs 1.5": ({"epochs": 1.5}, ArgumentError, "epochs: expected a whole number of at least 0, got 1.5."),
    "seed -1": ({"seed": -1}, ArgumentError, "seed: expected a whole number of at least 0, got -1."),
    "seed None": ({"seed": None}, ArgumentError, "seed: expected a whole number of at least 0, got None."),
    "seed text": ({"seed": "x", "validation": 0.2}, ArgumentError, "seed: expected a whole number of at least 0"),
    "seed 2^63": ({"seed": 2**63}, ArgumentError, "seed: expected a whole number below 2^63"),
    "optimizer name": (
        {"optimizer": "adan"},
        ArgumentError,
        "optimizer: unknown optimizer 'adan'; did you mean 'adam'?",
    ),
    "optimizer class": ({"optimizer": cp.Adam}, ArgumentError, "write Adam(learning_rate)."),
    "optimizer none": ({"optimizer": None}, ArgumentError, "optimizer: unknown optimizer None."),
    "engine": ({"engine": "textbok"}, ArgumentError, "engine: expected one of 'auto', "),
    "clip_norm 0": ({"clip_norm": 0}, ArgumentError, "clip_norm: expected a finite number above 0, got 0."),
    "clip_value NaN": (
        {"clip_value": math.nan},
        ArgumentError,
        "clip_value: expected a finite number above 0, got nan",
    ),
    "max_norm text": ({"max_norm": "1"}, ArgumentError, "max_norm: expected a finite number above 0, got '1'."),
    "penalty number": (
        {"penalty": 0.1},
        ArgumentError,
        "penalty: expected penalties such as cp.penalties.L2(1e-4), got 0.1.",
    ),
    "metric unknown": ({"metrics": "acuracy"}, ArgumentError, "unknown metric 'acuracy'; did you mean 'accuracy'?"),
    "metric number": (
        {"metrics": [3]},
        ArgumentError,
        "metrics: unknown metric 3. Available: accuracy, rmse, mae, r2.",
    ),
    "stopping": ({"stopping": 5}, ArgumentError, "stopping: expected rules such as cp.EarlyStopping(), got 5."),
    "two that restore": (
        {"stopping": [cp.EarlyStopping(), cp.EarlyStopping(monitor="cost")]},
        ArgumentError,
        "stopping: only one EarlyStopping can restore its best parameters; set restore_best=False on others.",
    ),
    "callback": (
        {"callbacks": "print"},
        ArgumentError,
        "callbacks: expected functions that take a cp.training.EpochEnd, got 'print'.",
    ),
    "share 0": ({"validation": 0}, ArgumentError, "validation: expected a finite number above 0 and below 1, got 0."),
    "share 1": (
        {"validation": 1.0},
        ArgumentError,
        "validation: expected a finite number above 0 and below 1, got 1.0",
    ),
    "share too small": (
        {"validation": 0.01},
        DataError,
        "validation: a share of 0.01 of 20 rows leaves one of the two sets",
    ),
    "share too large": (
        {"validation": 0.99},
        DataError,
        "validation: a share of 0.99 of 20 rows leaves one of the two sets",
    ),
    "validation alone": (
        {"validation": (X,)},
        ArgumentError,
        "validation: expected (X, y), (X, y, sample_weight) or a",
    ),
    "validation columns": (
        {"validation": (X[:, :2], Y)},
        ShapeError,
        "validation X: expected 3 columns, one per input",
    ),
    "validation vector": ({"validation": (X, Y[:, 0])}, ShapeError, "Give a column: validation y.reshape(-1, 1)."),
    "validation NaN": ({"validation": (X * math.nan, Y)}, DataError, "validation X: nan at row 0, column 0 (60 such"),
    "validation empty": ({"validation": (X[:0], Y[:0])}, DataError, "validation X: expected at least one row"),
    "validation weights": (
        {"validation": (X, Y, -np.ones(20))},
        DataError,
        "expected weights of at least 0, got -1.0 at",
    ),
    "weights left out": (
        {"validation": 0.5, "sample_weight": np.eye(20)[3]},
        DataError,
        "validation: all rows of the validation set, or all others, have sample_weight 0.",
    ),
}


@pytest.mark.parametrize(("bad", "kind", "telling"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls_change_nothing(bad, kind, telling):
    params = NET.initialize(seed=1)
    kept = X.copy(), Y.copy()
    with pytest.raises(kind) as error:
        train(params, **bad)
    assert telling in str(error.value)
    np.testing.assert_array_equal(params.flat, NET.initialize(seed=1).flat)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(Y, kept[1])


def test_validation_may_be_a_list():
    assert train(validation=[X[:7], Y[:7]])[1].columns.keys() == train(validation=(X[:7], Y[:7]))[1].columns.keys()


def test_options_go_by_name():
    with pytest.raises(TypeError, match="positional argument"):
        cp.train(NET, NET.initialize(), X, Y, "squared_error")
    with pytest.raises(TypeError, match="loss"):
        cp.train(NET, NET.initialize(), X, Y)
