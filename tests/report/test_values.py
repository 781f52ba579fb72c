"""Values of the table from the inputs of the network."""

from __future__ import annotations

import datetime

import numpy as np
import pytest

import clearprop as cp
from clearprop.datasets import digits
from clearprop.model.model import Model
from clearprop.report.values import column_numbers, column_texts, images, pixel_grid

GENERATOR = np.random.default_rng(0)
N = 400
TABLE = {
    "age": [None if i % 10 == 0 else int(v) for i, v in enumerate(GENERATOR.integers(18, 90, N))],
    "pay": np.exp(3 * GENERATOR.normal(size=N)) * 100,
    "job": GENERATOR.choice(["cook", "clerk", "smith"], N).tolist(),
    "member": (GENERATOR.random(N) > 0.5).tolist(),
    "since": [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(i)) for i in GENERATOR.integers(0, 900, N)],
    "note": [None if i % 3 else "late" for i in range(N)],
    "y": GENERATOR.normal(size=N),
}


@pytest.fixture(scope="module")
def model() -> Model:
    return cp.fit(TABLE, "y", hidden=(2,), epochs=1, holdout=0)


def texts(model: Model, name: str) -> list[str]:
    X = model.encoding.features(TABLE)
    return column_texts(model, name, X[:, model.encoding.columns[name]])


@pytest.mark.parametrize("name", ["job", "member", "since"])
def test_categories_booleans_and_dates_come_back(model, name):
    expected = [str(value).lower() if isinstance(value, bool) else str(value) for value in TABLE[name]]
    inside = slice(None) if name != "since" else None
    found = texts(model, name)
    if inside is None:  # dates are limited to the range of most training rows
        same = np.mean([a == b for a, b in zip(found, expected, strict=True)])
        assert same > 0.95
    else:
        assert found == expected


def test_numbers_come_back_with_missing_ones(model):
    found = texts(model, "age")
    assert found[0] == "missing"
    assert np.mean([a == str(b) for a, b in zip(found, TABLE["age"], strict=True) if b is not None]) > 0.95


def test_skewed_numbers_come_back(model):
    X = model.encoding.features(TABLE)
    found = column_numbers(model, "pay", X[:, model.encoding.columns["pay"]])
    np.testing.assert_allclose(
        np.quantile(found, [0.1, 0.5, 0.9]), np.quantile(TABLE["pay"], [0.1, 0.5, 0.9]), rtol=1e-3
    )


def test_a_column_without_a_table_is_its_input():
    net = cp.Network.sequential(2, 1)
    plain = Model(net, net.initialize(), cp.SquaredError())
    assert column_texts(plain, "column 1", np.array([[1.5], [-2.0]])) == ["1.5", "−2"]
    assert pixel_grid(plain) is None


def test_pixels_of_the_digits_are_a_square():
    model = cp.fit(digits(), "digit", hidden=(2,), epochs=1, holdout=0)
    grid = pixel_grid(model)
    assert list(grid) == list(model.encoding.columns)  # some pixels are left out, because they are constant
    table = digits()
    shown = images(model, grid, model.encoding.features(table)[:3])
    pixels = table.drop("digit").to_numpy().reshape(-1, 8, 8)[:3]
    assert shown.shape == (3, 8, 8)
    np.testing.assert_allclose(16 * shown, pixels, atol=0.6)


@pytest.mark.parametrize(
    ("names", "square"),
    [
        ([f"p{i}" for i in range(25)], True),
        ([f"pixel{i + 1}" for i in range(16)], True),
        ([f"{i}x{j}" for i in range(1, 6) for j in range(1, 6)], True),
        ([f"p{i}" for i in range(24)], False),
        ([f"year {2000 + i}" for i in range(15)], False),
        (["age", *[f"p{i}" for i in range(15)]], False),
        ([f"q{i} {j}" for i in range(2) for j in range(10)], False),
    ],
)
def test_names_of_pixels(names, square):
    X = np.random.default_rng(0).normal(size=(60, len(names)))
    table = {name: X[:, i] for i, name in enumerate(names)} | {"target": X[:, 0]}
    model = cp.fit(table, "target", hidden=(2,), epochs=1, holdout=0)
    assert (pixel_grid(model) is not None) == square
