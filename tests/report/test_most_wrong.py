"""The rows with the largest errors are those of the user's table, with its values."""

from __future__ import annotations

import numpy as np
import pytest

import clearprop as cp
from clearprop.datasets import digits
from clearprop.model.predictions import Predictions
from clearprop.report import render_report
from clearprop.report.most_wrong import row_errors


def numbers(y, yhat) -> Predictions:
    return Predictions("regression", "t", ("a", "b")[: len(y[0])], np.array(y), np.array(yhat))


def test_rows_are_named_by_their_number_in_the_users_table(check_page, words):
    generator = np.random.default_rng(0)
    x, job = generator.normal(size=500), generator.choice(["cook", "clerk"], 500)
    y = 3 * x
    table = {"x": x, "job": job, "y": y}
    model = cp.fit(table, "y", hidden=(), optimizer="lbfgs")
    odd = int(model.held_out.row_numbers[7])
    table["y"] = y.copy()
    table["y"][odd] += 1000  # wrong in the rows that training has not seen
    model = cp.fit(table, "y", hidden=(), optimizer="lbfgs")
    held = model.held_out
    page = render_report(model, held.X, held.y, row_numbers=held.row_numbers)
    said = words(check_page(page))
    assert f"The largest error is in row {odd}: " in said
    assert str(abs(x[odd]))[:4] in said
    assert job[odd] in said


def test_pixels_are_shown_as_pictures(check_page, words):
    model = cp.fit(digits(), "digit", hidden=(16,), epochs=3)
    held = model.held_out
    page = render_report(model, held.X, held.y, row_numbers=held.row_numbers)
    wrong = np.flatnonzero(cp.predict(model.net, model.params, held.X).argmax(axis=1) != held.y)
    assert page.count('class="pixels"') == min(16, len(wrong))
    worst = words(check_page(page)).partition("The largest log loss is in row ")[2].partition(":")[0]
    assert int(worst.replace(",", "")) in held.row_numbers[wrong]


def test_without_mistakes_the_least_certain_rows_are_shown(check_page, words):
    net = cp.Network.sequential(1, 2, output="softmax")
    params = net.initialize(given={"output": {"input": [[-1.0, 1.0]]}})
    from clearprop.model.model import Model

    model = Model(net, params, cp.CrossEntropy())
    page = render_report(model, np.array([[-1.0], [2.0], [0.1]]), np.array([0, 1, 1]))
    assert "No row is wrong; these are the ones it is least sure of." in words(check_page(page))


@pytest.mark.parametrize(
    ("predictions", "errors", "wrong"),
    [
        (
            Predictions("binary", "t", ("a", "b"), np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]])),
            -np.log([0.5, 0.25]),
            [False, True],
        ),
        (
            Predictions("multilabel", "t", ("a", "b"), np.array([[1, 0]]), np.array([[0.5, 0.75]])),
            -np.log([0.5 * 0.25]),
            [True],
        ),
        (numbers([[1.0], [2.0]], [[4.0], [2.0]]), [3, 0], [True, False]),
        (numbers([[0.0, 0.0], [2.0, 200.0]], [[1.0, 50.0], [2.0, 200.0]]), [1, 0], [True, False]),
    ],
)  # fmt: skip
def test_errors_of_rows(predictions, errors, wrong):
    found, which = row_errors(predictions)
    np.testing.assert_allclose(found, errors)
    assert which.tolist() == wrong
