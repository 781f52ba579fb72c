"""The sentence on the learning curves agrees with any history."""

from __future__ import annotations

import numpy as np
import pytest

import clearprop as cp
from clearprop.report.learning import read_learning

FALLING = np.geomspace(4, 1, 40).tolist()

HISTORIES = {
    "one epoch": (
        {"cost": [0.5]},
        "Trained for one epoch, with a cost of 0.5: too few epochs for a learning curve.",
    ),
    "rises from the start": (
        {"cost": [1.0, 2.0, 3.0]},
        "The cost was lowest after the first epoch (1) and ended at 3. Try a lower learning rate.",
    ),
    "constant": ({"cost": [2.0] * 5}, "The cost stayed at 2 in all 5 epochs: training had no effect on it."),
    "overfits": (
        {"cost": [3, 2, 1, 0.5], "validation cost": [3, 2, 2.5, 4.0]},
        "The validation cost fell from 3 to 2 in epoch 2 and rose to 4 by the last while the training cost still fell: "
        "the network overfits after that epoch.",
    ),
    "rises late": (
        {"cost": [*FALLING, 1.5, 3.0]},
        "The cost fell from 4 to 1 in epoch 40 and rose to 3 by the last. Try a lower learning rate, or early "
        "stopping.",
    ),
    "rises late in both": (
        {"cost": [*FALLING, 1.5, 3.0], "validation cost": [*FALLING, 2.0, 3.5]},
        "The validation cost fell from 4 to 1 in epoch 40 and rose to 3.5 by the last. Try a lower learning rate, or "
        "early stopping.",
    ),
    "still falling": (
        {"cost": [4.0, 3.0, 2.0, 1.0]},
        "The cost fell from 4 to 1 in epoch 4 and was still falling at the end: more epochs may help.",
    ),
    "levels off": ({"cost": [4.0, 1.0, 1.0, 1.0]}, "The cost fell from 4 to 1 in epoch 2 and levelled off."),
    "levels off with noise": (
        {"cost": [4.0, 2.0, 1.1, 1.0, 1.1, 1.05, 1.08, 1.02]},
        "The cost fell from 4 to 1 in epoch 4 and levelled off.",
    ),
    "hardly falls": (
        {"cost": [1.0, 0.999, 0.998, 0.998, 0.998]},
        "The cost fell from 1 to 0.998 in epoch 3, by only 0.2% and levelled off.",
    ),
    "diverges": (
        {"cost": [1.0, 10.0, float("inf"), float("nan")]},
        "The cost is not finite in 2 of 4 epochs: training diverged.",
    ),
    "never finite": ({"cost": [float("nan")] * 3}, "The cost is not finite in 3 of 3 epochs: training diverged."),
    "negative": ({"cost": [1.0, -1.0, -3.0, -3.0]}, "The cost fell from 1 to −3 in epoch 3 and levelled off."),
    "reaches zero": ({"cost": [1.0, 0.0, 0.0, 0.0]}, "The cost fell from 1 to 0 in epoch 2 and levelled off."),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_learning(name):
    columns, sentence = HISTORIES[name]
    assert read_learning(cp.History({name: list(map(float, values)) for name, values in columns.items()})) == sentence


def test_restored_parameters_are_named():
    history = cp.History({"cost": [3.0, 2.0, 1.0], "validation cost": [3.0, 2.0, 4.0]}, best_epoch=1)
    assert read_learning(history).endswith(
        "the network overfits after that epoch. The parameters of epoch 2 were restored."
    )


def test_advice_is_left_to_the_findings():
    for columns, _ in HISTORIES.values():
        history = cp.History({name: list(map(float, values)) for name, values in columns.items()})
        sentence = read_learning(history, advise=False)
        assert "Try" not in sentence
        assert "may help" not in sentence
