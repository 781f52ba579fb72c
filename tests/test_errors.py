"""The exceptions and the help in them."""

from __future__ import annotations

import pytest

from clearprop import errors
from clearprop.errors import suggest


def test_one_base_for_all_and_the_usual_python_ones():
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = [kind for kind in classes if issubclass(kind, Exception) and not issubclass(kind, Warning)]
    assert len(kinds) >= 8
    assert all(issubclass(kind, errors.ClearpropError) for kind in kinds)
    for kind in (errors.NetworkError, errors.ArgumentError, errors.ShapeError, errors.DataError, errors.ModelFileError):
        assert issubclass(kind, ValueError)
    assert issubclass(errors.TrainingDiverged, ArithmeticError)
    assert issubclass(errors.TableError, errors.DataError)


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("hiden", ["input", "hidden"], 'Did you mean "hidden"? Available: input, hidden.'),
        ("HIDDEN", ["hidden"], 'Did you mean "hidden"? Available: hidden.'),
        ("hidden", ["Hidden"], 'Did you mean "Hidden"? Available: Hidden.'),
        ("x", ["alpha", "beta"], "Available: alpha, beta."),
        ("x", [], "None is available."),
        ("7", [7, 8], 'Did you mean "7"? Available: 7, 8.'),
        ("x", [f"column {i}" for i in range(25)], "column 19 and 5 more."),
    ],
)
def test_suggestions(name, known, text):
    assert suggest(name, known).endswith(text)
