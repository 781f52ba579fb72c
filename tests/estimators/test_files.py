"""Files of estimators: what is saved comes back bit for bit, and every damage is answered by a ModelFileError."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

import clearprop as cp
from clearprop.errors import ArgumentError, ModelFileError
from clearprop.estimators.files import ESTIMATOR, pack_estimator, unpack_estimator
from clearprop.serialization.sealed import pack_sections, read_sections

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
LABELS = np.array(["low", "mid", "high"])[np.arange(40) % 3]
Y = X[:, 0] - X[:, 1] ** 2
FRAME = pd.DataFrame({"age": X[:, 0], "job": pd.Categorical(np.array(["clerk", "smith"])[np.arange(40) % 2])})
FRAME.loc[3, "age"] = np.nan
NET = cp.Network(3, [cp.Layer("a", 4, cp.activations.LeakyReLU(0.2)), cp.Layer("b", 3, "softmax", ["a", "input"])])
OWN = cp.activations.Custom("softer", lambda z: np.arcsinh(z), lambda z, a: 1 / np.cosh(a))

CASES: dict[str, tuple[Any, dict[str, Any], Any, Any]] = {
    "three classes": (cp.MLPClassifier, {}, X, LABELS),
    "two classes": (cp.MLPClassifier, {"class_weight": "balanced"}, X, X[:, 0] > 0),
    "integers": (cp.MLPClassifier, {"class_weight": {1: 2.0, 7: 1.0}}, X, np.where(X[:, 0] > 0, 7, 1)),
    "objects": (cp.MLPClassifier, {}, X, LABELS.astype(object)),
    "several labels": (cp.MLPClassifier, {}, X, (X > 0).astype(int)),
    "sparse labels": (cp.MLPClassifier, {}, X, sparse.csr_matrix((X > 0).astype(int))),
    "soft targets": (cp.MLPClassifier, {"soft_targets": True}, X, np.eye(3)[np.arange(40) % 3]),
    "float32": (cp.MLPClassifier, {"dtype": np.float32}, X, LABELS),
    "names": (cp.MLPRegressor, {}, pd.DataFrame(X, columns=["a", "b", "c"]), Y),
    "a frame": (cp.MLPClassifier, {"categorical_features": "from_dtype"}, FRAME, LABELS),
    "early stopping": (cp.MLPClassifier, {"early_stopping": True, "scoring": "neg_log_loss"}, X, LABELS),
    "a network": (cp.MLPClassifier, {"network": NET}, X, LABELS),
    "definitions": (
        cp.MLPRegressor,
        {
            "solver": cp.AdamW(cp.schedules.Cosine(0.02), weight_decay=0.01),
            "penalty": [cp.penalties.L1(0.1), cp.penalties.L2(0.2)],
            "activation": ["tanh", cp.activations.ELU(0.5)],
            "hidden_layer_sizes": [5, 4],
            "dropout": [0.1, 0.0],
        },
        X,
        Y,
    ),
    "a schedule": (cp.MLPRegressor, {"learning_rate": cp.schedules.WarmUp(cp.schedules.Cosine(0.1), epochs=2.0)}, X, Y),
    "L-BFGS": (cp.MLPRegressor, {"solver": cp.LBFGS()}, X, Y),
    "quantiles": (cp.MLPRegressor, {"loss": [cp.Quantile(0.1), "huber"], "target_scaling": True}, X, 100 * Y),
    "several numbers": (cp.MLPRegressor, {"solver": "sgd", "n_iter_no_change": np.inf}, X, X[:, :2]),
    "an ensemble": (cp.MLPClassifier, {"n_networks": 3}, X, LABELS),
    "own activation": (cp.MLPRegressor, {"activation": OWN}, X, Y),
}


#: The mark for an entry that is missing.
REMOVED = object()


def fitted(case: str, **more: Any) -> Any:
    kind, options, rows, y = CASES[case]
    return kind(**{"hidden_layer_sizes": (5,), "max_iter": 4, "random_state": 0, **options, **more}).fit(rows, y)


def outputs(model: Any, rows: Any) -> Any:
    found = model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)
    return found.toarray() if sparse.issparse(found) else np.asarray(found)


@pytest.mark.parametrize("case", CASES)
def test_what_is_saved_comes_back(case, tmp_path):
    rows, model, path = CASES[case][2], fitted(case), tmp_path / "model.cprop"
    model.save(path)
    loaded = type(model).load(path, own=[OWN])
    assert outputs(loaded, rows).tobytes() == outputs(model, rows).tobytes()
    assert loaded.get_params() == model.get_params()
    assert vars(loaded).keys() == vars(model).keys()
    for name in ("classes_", "feature_names_in_"):
        if hasattr(model, name):
            ours, theirs = getattr(loaded, name), getattr(model, name)
            assert (ours.dtype, ours.tolist()) == (theirs.dtype, theirs.tolist())
    for name in (
        "loss_",
        "n_iter_",
        "t_",
        "loss_curve_",
        "validation_scores_",
        "best_loss_",
        "n_layers_",
        "n_outputs_",
    ):
        assert getattr(loaded, name, None) == getattr(model, name, None)
    assert path.read_bytes() == pack_estimator(loaded)


@pytest.mark.parametrize("case", ["three classes", "several numbers", "a network"])
def test_training_continues_as_if_nothing_had_happened(case, tmp_path):
    kind, options, rows, y = CASES[case]
    model, path = kind(**{"hidden_layer_sizes": (5,), "random_state": 0, "batch_size": 16, **options}), tmp_path / "m"
    more = {"classes": np.unique(y)} if kind is cp.MLPClassifier else {}
    model.partial_fit(rows, y, **more)
    model.save(path)
    loaded = kind.load(path)
    for estimator in (model, loaded):
        estimator.partial_fit(rows, y).partial_fit(rows, y)
    for ours, theirs in zip(loaded.coefs_, model.coefs_, strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_a_generator_keeps_its_state(tmp_path):
    model = fitted("three classes", random_state=np.random.RandomState(5))
    model.save(tmp_path / "m")
    loaded = cp.MLPClassifier.load(tmp_path / "m")
    assert loaded.random_state.randint(10**9, size=5).tolist() == model.random_state.randint(10**9, size=5).tolist()


def test_a_path_and_a_checkpoint(tmp_path):
    for checkpoint in (str(tmp_path / "a"), tmp_path / "b", cp.Checkpoint(tmp_path / "c", every=2)):
        model = fitted("three classes", checkpoint=checkpoint)
        model.save(tmp_path / "m")
        loaded = cp.MLPClassifier.load(tmp_path / "m").checkpoint
        assert getattr(loaded, "path", loaded) == type(getattr(loaded, "path", loaded))(
            getattr(checkpoint, "path", checkpoint)
        )
        assert type(loaded) is type(checkpoint)


# --- what is refused -------------------------------------------------------------------------------------------------


def test_what_no_file_can_hold(tmp_path):
    with pytest.raises(NotFittedError):
        cp.MLPClassifier().save(tmp_path / "m")
    model = fitted("three classes", early_stopping=True, scoring=lambda model, X, y: 1.0)
    with pytest.raises(ArgumentError, match="scoring: a file cannot hold <function"):
        model.save(tmp_path / "m")
    model = fitted("three classes")
    model.note = "mine"
    with pytest.raises(ArgumentError, match="save: a file cannot hold the attribute note of this estimator"):
        model.save(tmp_path / "m")
    del model.note
    model.coefs_[0][0, 0] = np.nan
    with pytest.raises(cp.errors.DataError, match="coefs_ and intercepts_: nan"):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_files_of_other_kinds(tmp_path):
    path = tmp_path / "m.cprop"
    fitted("three classes").save(path)
    with pytest.raises(
        ModelFileError, match=r"m\.cprop: expected a file of MLPRegressor, this is one of MLPClassifier"
    ):
        cp.MLPRegressor.load(path)
    with pytest.raises(ModelFileError, match="expected a clearprop model file; this is an estimator file"):
        cp.Model.load(path)
    cp.fit({"x": [1.0, 2.0] * 10, "y": [1.0, 2.0] * 10}, "y", epochs=1).save(path)
    with pytest.raises(ModelFileError, match="expected a clearprop estimator file; this is a model file"):
        cp.MLPRegressor.load(path)
    with pytest.raises(ModelFileError, match=r"none: cannot be read: No such file"):
        cp.MLPRegressor.load(tmp_path / "none")
    with pytest.raises(ArgumentError, match="path: expected the name of a file, got ''"):
        cp.MLPRegressor.load("")


def test_an_own_activation_has_to_be_given(tmp_path):
    fitted("own activation").save(tmp_path / "m")
    with pytest.raises(ModelFileError, match=re.escape("pass it: load(path, own=[...])")):
        cp.MLPRegressor.load(tmp_path / "m")


@pytest.mark.parametrize("case", ["a frame", "an ensemble"])
def test_any_damage_is_noticed(case):
    model = fitted(case)
    content = pack_estimator(model)
    spots = np.random.default_rng(0).integers(0, len(content), 300).tolist()
    for spot in [0, 7, 8, 9, len(content) - 1, *spots]:
        damaged = bytearray(content)
        damaged[spot] ^= 1 << (spot % 8)
        with pytest.raises(ModelFileError, match="m"):
            unpack_estimator(bytes(damaged), "m", type(model))
        with pytest.raises(ModelFileError, match="m"):
            unpack_estimator(content[:spot], "m", type(model))


WRONG = [None, True, -1, 10**30, "text", [], {}, {"tuple": 3}, {"list": {"a": 1}}, {"array": "none"}, {"labels": [1]},
         {"labels": ["a"], "dtype": "U999999999"}, {"labels": [1], "dtype": "V8"}, {"generator": "weights"},
         {"dtype": "O"}, {"binarizer": {"dict": []}}, {"network": {}}, {"optimizer": {"name": "os"}},
         {"array": "weights"}, {"dict": [[1]]}, {"activation": {"name": "relu", "x": 1}}]  # fmt: skip


@pytest.mark.parametrize("case", ["three classes", "a frame", "an ensemble", "quantiles"])
def test_other_data_is_refused_or_loaded_but_never_another_exception(case):
    """A hostile file has correct digests. Wrong values take turns, each at every fourth place."""
    model = fitted(case)
    sections = read_sections(pack_estimator(model), "m", ESTIMATOR)
    places = [(part, name) for part in ("parameters", "attributes") for name in sections.head[part]]
    places += [(None, name) for name in sections.head if name not in ("estimator", "parameters", "attributes")]
    refused = tried = 0
    for k, (part, name) in enumerate(places):
        for value in [*WRONG[k % 4 :: 4], REMOVED]:
            head = copy.deepcopy(sections.head)
            where = head if part is None else head[part]
            where[name] = value
            if value is REMOVED:
                del where[name]
            tried += 1
            refused += not _loads(head, sections.arrays, type(model))
    assert refused > 0.8 * tried > 250


def _loads(head: dict[str, Any], arrays: Any, kind: Any) -> bool:
    try:
        unpack_estimator(pack_sections(ESTIMATOR, json.loads(json.dumps(head)), arrays), "m", kind)
    except ModelFileError as error:
        return not str(error).startswith("m: ")
    return True


def test_nothing_is_pickled():
    source = Path(pack_estimator.__code__.co_filename)
    for module in (source, source.with_name("values.py")):
        assert not re.search(r"pickle|eval\(|exec\(|import_module", module.read_text())
