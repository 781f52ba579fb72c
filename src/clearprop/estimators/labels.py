"""Labels of a classifier, and the check of any target for missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target

from clearprop.errors import DataError


def check_target_values(y: Any, where: str = "y", *, labels: bool) -> None:
    """Raise DataError for missing values, and for labels of which some are texts and others are not.

    Arrays of numbers and of texts have neither, and are left to scikit-learn.

    >>> check_target_values(["a", 3], labels=True)
    Traceback (most recent call last):
    clearprop.errors.DataError: y: expected labels of one type, got 'a' in row 0 and 3 in row 1. Make all of them texts.
    """
    objects = _as_objects(y)
    if objects is None:
        return
    missing = [i for i, row in enumerate(objects) if any(map(_is_missing, row))]
    if missing:
        value = next(filter(_is_missing, objects[missing[0]]))
        raise DataError(
            f"{where}: expected a {'label' if labels else 'number'} in each row, got {value!r} in row "
            f"{missing[0]} ({len(missing)} such row{'s' * (len(missing) > 1)} in all). Leave such rows out"
            + (", or give them a label of their own." if labels else ".")
        )
    values = [row[0] for row in objects]
    texts = [isinstance(value, str) for value in values]
    if labels and any(texts) and not all(texts):
        text, other = texts.index(True), texts.index(False)
        raise DataError(
            f"{where}: expected labels of one type, got {values[text]!r} in row {text} and {values[other]!r} in row "
            f"{other}. Make all of them texts."
        )


def _as_objects(y: Any) -> np.ndarray | None:
    """The rows of a target if its values may be missing or of several types; else None."""
    if issparse(y) or (isinstance(y, np.ndarray) and y.dtype.kind not in "OMm"):
        return None
    try:
        array = np.asarray(y)
        if isinstance(y, (list, tuple)) and array.dtype.kind == "U":  # NumPy makes texts of all numbers then
            array = np.asarray(y, dtype=object)
    except (ValueError, TypeError):  # rows of different lengths, for example
        return None
    if array.dtype.kind not in "OMm" or array.ndim not in (1, 2) or array.size == 0:
        return None
    return array.reshape(len(array), -1)


def _is_missing(value: Any) -> bool:
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return bool(np.isnat(value))
    return value is None or is_pandas_na(value) or is_scalar_nan(value) or type(value).__name__ == "NaTType"


def class_weights(class_weight: Any, y: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """The weight of each row's class, (n,); "balanced" counts rows by their sample weights."""
    counted = np.ones(len(y), bool) if weight is None else weight > 0
    classes, indices = np.unique(y[counted], return_inverse=True)
    own = None if weight is None else weight[counted]
    by_class = compute_class_weight(class_weight, classes=classes, y=y[counted], sample_weight=own)
    weights = np.zeros(len(y))
    weights[counted] = by_class[indices]
    return weights


def fit_labels(y: np.ndarray) -> LabelBinarizer:
    """LabelBinarizer().fit(y), with a faster version for a vector of integers or strings."""
    if y.ndim != 1 or y.dtype.kind not in "biuU":
        if (kind := type_of_target(y)).startswith("continuous"):
            raise ValueError(f"Unknown label type: {kind}. Expected classes; MLPRegressor predicts numbers.")
        return LabelBinarizer().fit(y)
    binarizer = LabelBinarizer()
    binarizer.sparse_input_ = False
    binarizer.classes_ = np.array([*np.unique(y)])  # in native byte order, strings as short as possible
    binarizer.y_type_ = "multiclass" if len(binarizer.classes_) > 2 else "binary"
    return binarizer


def are_same_classes(classes: Any, known: np.ndarray | None) -> bool:
    """Whether these are the known classes, for integers and strings; if False, scikit-learn has to check."""
    if type(classes) in (list, tuple) and len(set(map(type, classes))) == 1:
        classes = np.asarray(classes)
    if known is None or type(classes) is not np.ndarray or classes.ndim != 1:
        return False
    comparable = classes.dtype.kind in "biuU" and classes.dtype.kind == known.dtype.kind
    return comparable and np.array_equal(np.unique(classes), known)
