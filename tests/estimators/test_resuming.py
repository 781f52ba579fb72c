"""A fit that was stopped and is taken up by a new estimator ends like one that was not, bit for bit."""

import os
import signal
import warnings

import numpy as np
import pytest

import clearprop as cp
from clearprop.engine.compiled import tuning as pace
from clearprop.engine.compiled.runner import Runner
from clearprop.engine.textbook import TextbookEngine
from clearprop.errors import ArgumentError, CheckpointError, FileWriteError
from clearprop.estimators.protocol import NoImprovement
from clearprop.serialization import sealed as storage
from clearprop.training import descent
from clearprop.training.checkpoint import CHECKPOINT

draw = np.random.default_rng(0)
X = draw.normal(size=(80, 4))
LABELS = np.where(X[:, 0] + X[:, 1] ** 2 > 0.5, "yes", "no")
Y = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1)
EPOCHS = 12
SMALL = {"hidden_layer_sizes": (5,), "random_state": 1, "n_iter_no_change": 50, "max_iter": EPOCHS, "batch_size": 16}
CASES = {
    "adam": (cp.MLPClassifier, {}),
    "early stopping": (cp.MLPClassifier, {"early_stopping": True, "dropout": 0.2}),
    "adaptive": (cp.MLPRegressor, {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 0.01}),
    "invscaling": (cp.MLPRegressor, {"solver": "sgd", "learning_rate": "invscaling", "engine": "textbook"}),
    "a schedule": (cp.MLPClassifier, {"learning_rate": cp.schedules.OnPlateau(0.01, patience=2), "shuffle": False}),
    "the lowest loss": (cp.MLPRegressor, {"on_divergence": "keep", "dtype": "float32", "clip_norm": 1.0}),
}


def target(kind):
    return LABELS if kind is cp.MLPClassifier else Y


def fit(kind, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # not converged, or interrupted
        return kind(**SMALL | options).fit(X, target(kind))


def state(estimator):
    """What is compared: everything learnt and noted."""
    names = (
        "n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_", "_no_improvement_count",
        "loss_curve_", "validation_scores_", "validation_loss_curve_",
    )  # fmt: skip
    noted = {name: getattr(estimator, name, None) for name in names}
    return [array.tobytes() for array in (*estimator.coefs_, *estimator.intercepts_)], noted


@pytest.mark.parametrize("name", CASES)
def test_stopped_and_resumed(name, tmp_path):
    kind, options = CASES[name]
    path, whole = tmp_path / "fit.ckpt", fit(kind, **options)
    for stop in (4, 5, EPOCHS):
        scheduled = {"max_iter": EPOCHS} if name == "a schedule" else {"max_iter": stop}
        part = fit(kind, **options | scheduled, checkpoint=path, warm_start=True)
    assert state(part) == state(whole)
    again = fit(kind, **options, checkpoint=path, warm_start=True)  # it is finished
    assert state(again) == state(whole)


def test_single_epochs_equal_one_fit(tmp_path):
    """fit(n) is n times partial_fit is stop and resume (shuffled, scikit-learn's partial_fit has orders of its own)."""
    options = {"tol": 0.0, "n_iter_no_change": 10**6, "shuffle": False}
    whole, steps = fit(cp.MLPClassifier, **options), cp.MLPClassifier(**SMALL | options)
    for epoch in range(1, EPOCHS + 1):
        steps.partial_fit(X, LABELS, classes=["no", "yes"])
        resumed = fit(cp.MLPClassifier, **options, max_iter=epoch, warm_start=True, checkpoint=tmp_path / "fit.ckpt")
        assert state(resumed)[0] == state(steps)[0]
    assert state(resumed) == state(whole)


@pytest.mark.parametrize("engine", ["compiled", "textbook"])
@pytest.mark.parametrize("early", [False, True], ids=["plain", "early stopping"])
def test_an_interruption_leaves_a_trained_model_and_a_checkpoint(engine, early, tmp_path, monkeypatch):
    monkeypatch.setattr(pace, "SLICE", 0.0)
    monkeypatch.setattr(descent, "OPERATIONS", 1)  # one epoch a call
    path, options = tmp_path / "fit.ckpt", {"engine": engine, "early_stopping": early, "scoring": "loss"}
    whole, untrained = fit(cp.MLPRegressor, **options), None
    for stop in (0, 1, 5):

        def interrupt(self, history, stop=stop, real=NoImprovement.reason, sent=[]):  # noqa: B006
            if history.epochs == stop + 1 and stop not in sent:
                sent.append(stop)
                signal.raise_signal(signal.SIGINT)
            return real(self, history)

        with monkeypatch.context() as patch:
            patch.setattr(NoImprovement, "reason", interrupt)
            part = fit(cp.MLPRegressor, **options, warm_start=True, checkpoint=cp.Checkpoint(path, every=1))
        assert part.n_iter_ == stop + 1
        assert part.loss_curve_ == whole.loss_curve_[: stop + 1]
        untrained = untrained or part
        assert state(part)[0] != state(fit(cp.MLPRegressor, **options, max_iter=EPOCHS))[0]
        if early:  # the best so far
            objective = -part.best_validation_score_
            assert objective == min(part.validation_loss_curve_)
    last = fit(cp.MLPRegressor, **options, warm_start=True, checkpoint=path)
    assert state(last) == state(whole)


@pytest.mark.parametrize("engine", ["compiled", "textbook"])
def test_an_interruption_never_leaves_initial_parameters(engine, monkeypatch):
    """scikit-learn 1.9 gives back its random start when it is interrupted in the first epoch with early stopping."""
    monkeypatch.setattr(pace, "SLICE", 0.0)
    starts, count = [], [0]
    kind = Runner if engine == "compiled" else TextbookEngine
    name = "_run_slice" if engine == "compiled" else "_step"
    real = getattr(kind, name)

    def interrupt(self, *arguments):
        if not count[0]:
            starts.append(self.params.flat.copy())
        count[0] += 1
        real(self, *arguments)
        if count[0] == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(kind, name, interrupt)
    model = cp.MLPRegressor(**SMALL, early_stopping=True, engine=engine)
    with pytest.warns(UserWarning, match="fit was interrupted in epoch 1; the model has the parameters of the last"):
        model.fit(X, Y)
    assert count[0] == 2
    flat = model.to_network()[1].flat
    assert flat.shape == starts[0].shape
    assert (flat != starts[0]).mean() > 0.9


def test_an_interrupted_ensemble_has_the_networks_that_had_started(monkeypatch):
    real, seen = NoImprovement.reason, []

    def interrupt(self, history):
        seen.append(history.epochs)
        if len(seen) == 8:
            os.kill(os.getpid(), signal.SIGINT)  # from a thread of the ensemble, to the main thread
        return real(self, history)

    monkeypatch.setattr(NoImprovement, "reason", interrupt)
    model = cp.MLPRegressor(**SMALL | {"max_iter": 10**6, "n_iter_no_change": 10**6}, n_networks=4, n_jobs=2)
    with pytest.warns(UserWarning, match=r"fit was interrupted; members_ has the [12] of 4 networks that had started"):
        model.fit(X, Y)
    starts = [member._parameters().flat.copy() for member in model.members_]
    assert 1 <= len(model.members_) <= 2
    assert model.n_iter_ >= 3
    assert np.isfinite(model.predict(X)).all()
    for member, flat in zip(model.members_, starts, strict=True):
        fresh = fit(cp.MLPRegressor, random_state=member.random_state, max_iter=1)
        assert (flat != fresh._parameters().flat).any()
        assert not hasattr(member, "_stop")


def test_sigterm_is_an_exit(tmp_path, monkeypatch):
    real = NoImprovement.reason

    def interrupt(self, history):
        if history.epochs == 3:
            monkeypatch.setattr(NoImprovement, "reason", real)
            signal.raise_signal(signal.SIGTERM)
        return real(self, history)

    monkeypatch.setattr(NoImprovement, "reason", interrupt)
    model = cp.MLPClassifier(**SMALL, early_stopping=True)
    with pytest.raises(SystemExit) as raised:
        model.fit(X, LABELS)
    assert raised.value.code == 143
    assert model.n_iter_ == 3
    assert len(model.predict(X)) == len(X)


REFUSED = [
    ({"alpha": 0.5}, CheckpointError, r"belongs to another run\. parameters, alpha: was 0.0001, is 0.5"),
    ({"random_state": 2}, CheckpointError, r"parameters, random_state: was 1, is 2"),
    ({"hidden_layer_sizes": (6,)}, CheckpointError, r"network, layers, hidden, units: was 5, is 6"),
    ({"activation": "tanh"}, CheckpointError, r"network, layers, hidden, activation, name: was relu, is tanh"),
    ({"engine": "textbook"}, CheckpointError, r"parameters, engine: was compiled, is textbook"),
    ({"warm_start": False}, ArgumentError, r"fit.ckpt exists\. Continue that fit with warm_start=True"),
    ({"random_state": None}, ArgumentError, r"random_state: with a checkpoint, expected a whole number"),
    ({"solver": "lbfgs"}, ArgumentError, r"checkpoint: SciPy does not expose the state of L-BFGS"),
    ({"n_networks": 2}, ArgumentError, r"checkpoint: a checkpoint holds one network"),
]


@pytest.mark.parametrize(("options", "error", "text"), REFUSED, ids=range(len(REFUSED)))
def test_a_different_fit_is_refused_with_the_difference(options, error, text, tmp_path):
    path = tmp_path / "fit.ckpt"
    fit(cp.MLPClassifier, checkpoint=path, max_iter=3, engine="compiled")
    before = path.read_bytes()
    with pytest.raises(error, match=text):
        fit(cp.MLPClassifier, **{"engine": "compiled", "warm_start": True, "checkpoint": path} | options)
    assert path.read_bytes() == before


def test_different_data_is_refused_and_damage_is_detected(tmp_path):
    path = tmp_path / "fit.ckpt"
    fit(cp.MLPClassifier, checkpoint=path, max_iter=3)
    model = cp.MLPClassifier(**SMALL, warm_start=True, checkpoint=path)
    with pytest.raises(CheckpointError, match=r"data, X: was 80 x 4 float64, SHA-256 \w{8}, is"):
        model.fit(X + 1e-9, LABELS)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        model.fit(X, LABELS)
    found = storage.read_sections(content, "fit.ckpt", CHECKPOINT)
    for head, arrays, text in (
        ({"extra": {}}, {}, "unknown field 'extra'"),
        ({"steps": "many"}, {}, "steps: expected an integer"),
        ({"steps": 7}, {}, "7 steps, 0 of them in epoch 4, are inconsistent with 5 steps per epoch"),
        ({"epoch": 2}, {}, "history: expected 2 epochs, got 3"),
        ({}, {"parameters": np.zeros(2)}, "parameters: expected a vector of"),
    ):
        path.write_bytes(storage.pack_sections(CHECKPOINT, found.head | head, found.arrays | arrays))
        with pytest.raises(CheckpointError, match=text):
            model.fit(X, LABELS)


def test_the_checkpoint_of_an_earlier_version_is_refused(tmp_path):
    """Fits had a format of their own, of the kind "fit checkpoint"."""
    path = tmp_path / "fit.ckpt"
    path.write_bytes(
        storage.pack_sections(storage.Kind("fit checkpoint", CheckpointError), {}, {"order": np.arange(3)})
    )
    with pytest.raises(CheckpointError, match="expected a clearprop checkpoint file; this is a fit checkpoint file"):
        fit(cp.MLPClassifier, checkpoint=path, warm_start=True)


def test_the_checkpoint_of_a_fit_that_continued_another_is_refused(tmp_path):
    """Its orders follow from a generator that the earlier fit had used."""
    path = tmp_path / "fit.ckpt"
    model = fit(cp.MLPClassifier, max_iter=3).set_params(warm_start=True, checkpoint=path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(X, LABELS)
    text = "start: was parameters of an earlier fit, is new parameters"
    with pytest.raises(CheckpointError, match=text):
        fit(cp.MLPClassifier, max_iter=3, warm_start=True, checkpoint=path)


def test_a_failing_write_warns_or_raises():
    with pytest.warns(RuntimeWarning, match=r"checkpoint /dev/full: cannot be written: No space left on device\."):
        assert cp.MLPClassifier(**SMALL | {"tol": 1.0, "n_iter_no_change": 1}, checkpoint="/dev/full").fit(X, LABELS)
    with pytest.raises(FileWriteError, match="No space left on device"):
        fit(cp.MLPClassifier, checkpoint=cp.Checkpoint("/dev/full", on_failure="raise"))
    assert not os.path.isfile("/dev/full")
