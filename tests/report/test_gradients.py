"""The sentence on the gradient agrees with the norms, and with the diagnosis."""

from __future__ import annotations

import numpy as np
import pytest

from clearprop.explain.diagnosis.layers import EXPLODED, VANISHED
from clearprop.report.gradients import read_gradient


@pytest.mark.parametrize(
    ("norms", "sentence"),
    [
        (
            {"a": [1e-5], "b": [0.1], "out": [1.0]},
            "The gradient vanishes: delta is 100,000 times smaller in a than at the output.",
        ),
        ({"a": [5e4], "out": [1.0]}, "The gradient explodes: delta is 50,000 times larger in a than at the output."),
        (
            {"a": [0.5, 0.5, 9], "b": [1, 1, 1], "out": [1, 1, 1]},
            "The gradient neither vanishes nor explodes: from the output back to a, the norm of delta shrinks to 50% "
            "(median of the epochs).",
        ),
        ({"a": [1.0, 0.0], "out": [1.0, 1.0]}, "No gradient reached a in the last epoch: delta was exactly 0 there."),
        ({"a": [1.0], "out": [0.0]}, "The delta of the outputs was 0: there was nothing left to learn."),
        ({"out": [1.0]}, "There is no hidden layer, so delta cannot vanish or explode."),
    ],
)
def test_gradient(norms, sentence):
    assert read_gradient(norms, ["out"]) == sentence


@pytest.mark.parametrize("ratio", [0.9 * VANISHED, 1.1 * VANISHED, 0.9 * EXPLODED, 1.1 * EXPLODED])
def test_the_limits_are_those_of_the_diagnosis(ratio):
    is_fine = VANISHED < ratio < EXPLODED
    assert read_gradient({"a": [ratio], "out": [1.0]}, ["out"]).startswith("The gradient neither") == is_fine


def test_a_finding_is_not_contradicted():
    norms = {"a": np.ones(3).tolist(), "out": np.ones(3).tolist()}
    assert read_gradient(norms, ["out"], ["vanishing deltas"]) == (
        "During training, from the output back to a, the norm of delta stays the same (median of the epochs). "
        "See the findings for the trained network."
    )
