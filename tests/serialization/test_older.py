"""Files of earlier layouts: read as they were written, and refused where they are not what that layout held."""

import copy
import re

import numpy as np
import pytest

import clearprop as cp
from clearprop.errors import ModelFileError
from clearprop.model import files
from clearprop.serialization.codec import decode, encode
from clearprop.serialization.older import upgraded
from clearprop.serialization.sealed import VERSION, Sections, pack_sections

HISTORY = {"stopped": "finished 2 epochs", "best_epoch": 1, "unfinished": {}}
HISTORY_2 = HISTORY | {"columns": ["cost", "rate"], "delta_norms": [], "gradient_norms": ["output"]}
HISTORY_1 = {name: value for name, value in HISTORY.items() if name != "unfinished"} | {
    "columns": {"cost": [2.0, 1.0], "rate": [0.1, 0.2]},
    "delta_norms": {},
    "gradient_norms": {"output": [3.0, 4.0]},
}
ADAM = {"name": "adam", "rate": {"name": "cosine", "rate": 0.1, "final": 0.0}, "beta_1": 0.9}


def model(history, **changes):
    net = cp.Network.sequential(1, 1)
    head = {
        "network": encode(net), "losses": {"output": encode(cp.SquaredError())}, "encoding": None,
        "settings": {"optimizer": ADAM}, "history": history,
    }  # fmt: skip
    return copy.deepcopy(head | changes)


ARRAYS = {"parameters": np.ones(2), "history": np.array([[2.0, 1.0], [0.1, 0.2], [3.0, 4.0]])}


@pytest.mark.parametrize(("version", "history"), [(1, HISTORY_1), (2, HISTORY_2)])
def test_the_history_and_the_names_of_the_learning_rate(version, history):
    found = upgraded(Sections(version, model(history), ARRAYS), "model")
    expected = cp.History(
        {"cost": [2.0, 1.0], "learning rate": [0.1, 0.2]}, {}, {"output": [3.0, 4.0]}, HISTORY["stopped"], 1
    )
    assert decode(cp.History, found.head["history"], found.arrays) == expected
    optimizer = found.head["settings"]["optimizer"]
    assert optimizer["learning_rate"] == {"name": "cosine", "learning_rate": 0.1, "final": 0.0}
    assert "rate" not in optimizer
    assert set(ARRAYS) == {"parameters", "history"}  # not changed


def test_a_file_of_the_present_layout_stays_as_it_is():
    sections = Sections(VERSION, {"anything": {"rate": 1}}, {})
    assert upgraded(sections, "model") is sections


WRONG = [
    (model(None, settings=[]), "its data does not follow layout 2 of a model file"),
    (model([]), "its data does not follow layout 2 of a model file"),
    (model(HISTORY_2 | {"columns": 7}), "its data does not follow layout 2 of a model file"),
    (model(HISTORY_2 | {"columns": [[], "rate"]}), "its data does not follow layout 2 of a model file"),
    (model(HISTORY_2 | {"columns": ["cost", 3]}), "history.columns.names[1]: expected a string, got 3"),
    (
        model(HISTORY_2 | {"columns": ["cost"] * 4}),
        "history.columns: expected a float64 matrix with a row for each of 4",
    ),
    (model(HISTORY_2 | {"more": 1}), "history: unknown field 'more'"),
    (model(HISTORY_2, more=1), "unknown field 'more'"),
]


@pytest.mark.parametrize(("head", "text"), WRONG, ids=range(len(WRONG)))
def test_what_is_not_of_the_older_layout_is_refused(head, text):
    content = pack_sections(files.MODEL, head | {"version": 2}, ARRAYS)
    with pytest.raises(ModelFileError, match=r"m\.cprop: .*" + re.escape(text)):
        files.unpack(content, "m.cprop")
