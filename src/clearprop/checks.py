"""Validation of arguments. Each error tells what was expected and got, and how to fix it."""

from __future__ import annotations

import math
import numbers
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from clearprop.errors import ArgumentError, DataError, ShapeError
from clearprop.fork_safety import register_fork_locks


def check_number(
    value: Any,
    name: str,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> float:
    """`value` as a finite float within the open (`above`, `below`) or closed (`least`, `most`) bounds.

    >>> check_number(0.1, "learning_rate", above=0)
    0.1
    """
    number = math.nan
    if isinstance(value, (numbers.Real, np.number)) and not isinstance(value, (bool, np.bool_)):
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            number = math.inf
    if (
        math.isfinite(number)
        and (above is None or number > above)
        and (least is None or number >= least)
        and (below is None or number < below)
        and (most is None or number <= most)
    ):
        return number
    limits = [
        f"{word} {limit:g}"
        for word, limit in (("above", above), ("at least", least), ("below", below), ("at most", most))
        if limit is not None
    ]
    expected = "a finite number" + (" " + " and ".join(limits) if limits else "")
    raise ArgumentError(f"{name}: expected {expected}, got {value!r}.")


#: No count is above what 64 bits hold.
MOST = 2**63 - 1


def check_integer(value: Any, name: str, *, least: int = 1, most: int = MOST) -> int:
    """`value` as an int of at least `least`, and at most what 64 bits hold.

    >>> check_integer(32, "batch_size")
    32
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Integral, np.integer)) or value < least:
        raise ArgumentError(f"{name}: expected a whole number of at least {least}, got {value!r}.")
    number = int(value)
    if number > most:
        shown = "below 2^63" if most == MOST else f"of at most {most:,}"
        raise ArgumentError(f"{name}: expected a whole number {shown}, got {value}.")
    return number


def check_that(condition: bool, message: str) -> None:
    """Raise an ArgumentError with this message unless the condition holds."""
    if not condition:
        raise ArgumentError(f"{message}.")


def check_flag(value: Any, name: str) -> bool:
    """`value` as a bool; no other value stands for true or false.

    >>> check_flag(True, "shuffle")
    True
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{name}: expected True or False, got {value!r}.")
    return bool(value)


def check_text(value: Any, name: str) -> str:
    """`value` if it is a text that is not empty.

    >>> check_text("age", "target")
    'age'
    """
    if not isinstance(value, str) or not value:
        raise ArgumentError(f"{name}: expected a text that is not empty, got {value!r}.")
    return value


def check_function(value: Any, name: str) -> Any:
    """`value` if it can be called."""
    if not callable(value):
        raise ArgumentError(f"{name}: expected a function, got {value!r}.")
    return value


def call_own(function: Callable[..., Any], contract: str, *arguments: Any) -> Any:
    """What a function of the user's gives; an exception out of it gets a note of what is asked of it."""
    try:
        return function(*arguments)
    except Exception as error:
        error.add_note(f"{contract}. It has to work on whole arrays, with np.where in place of if.")
        raise


def like(found: Any, given: Any, contract: str) -> Any:
    """`found` if it has the shape of the array `given`; what is no array, as while compiling, is not looked at.

    >>> like(np.zeros(2), np.ones(2), "f(z) returns an array of the shape of z")
    array([0., 0.])
    """
    if isinstance(given, np.ndarray) and np.shape(found) != given.shape:
        raise ShapeError(f"{contract}; for {given.shape} it returned {np.shape(found)}.")
    return found


def check_texts(values: Any, name: str) -> tuple[str, ...]:
    """One text, or several, as a tuple.

    >>> check_texts("age", "drop"), check_texts(["age", "job"], "drop")
    (('age',), ('age', 'job'))
    """
    listed = (values,) if isinstance(values, str) else values
    if not isinstance(listed, Iterable) or isinstance(listed, (Mapping, bytes, np.ndarray, type)):
        raise ArgumentError(f"{name}: expected a text or a list of texts, got {values!r}.")
    return tuple(check_text(value, name) for value in listed)


def check_seed(value: Any) -> int:
    """`value` as a seed, a whole number from 0 to 2^63 - 1.

    >>> check_seed(0)
    0
    """
    return check_integer(value, "seed", least=0)


_busy: set[tuple[int, int]] = set()
_busy_lock = threading.Lock()
register_fork_locks(_busy_lock)


@contextmanager
def exclusive(address: int, message: str) -> Iterator[None]:
    """Raise an ArgumentError if another such block of this process is using the object at this memory address."""
    key = os.getpid(), address  # a forked process inherits the set of its parent
    with _busy_lock:
        if key in _busy:
            raise ArgumentError(message)
        _busy.add(key)
    try:
        yield
    finally:
        with _busy_lock:
            _busy.discard(key)


def check_choice(value: Any, name: str, choices: tuple[str, ...]) -> str:
    """`value` if it is one of the choices.

    >>> check_choice("mean", "reduction", ("mean", "sum"))
    'mean'
    """
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(f"{name}: expected one of {', '.join(map(repr, choices))}, got {value!r}.")
    return value


def one_or_several(given: Any) -> tuple[Any, ...]:
    """A tuple of what may come alone, in a list, or not at all; text counts as one.

    >>> one_or_several("rmse"), one_or_several(["rmse", "mae"]), one_or_several(None)
    (('rmse',), ('rmse', 'mae'), ())
    """
    if given is None:
        return ()
    several = isinstance(given, Iterable) and not isinstance(given, (str, type, np.ndarray, Mapping))
    return tuple(given) if several else (given,)


def check_array(values: Any, name: str, dtype: np.dtype) -> np.ndarray:
    """`values` as an array of real numbers of `dtype`, without a copy where none is needed."""
    try:
        array = np.asarray(values)
    except ValueError as reason:
        raise ShapeError(f"{name}: expected a rectangular array of numbers, got rows that differ: {reason}.") from None
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"{name}: expected numbers, got values of type {array.dtype}. "
            "Turn text and categories into numbers first, or give the table to clearprop.fit."
        )
    with np.errstate(over="ignore"):  # a number too large for the precision becomes infinite, and is found as such
        return np.asarray(array, dtype=dtype)


def check_finite(array: np.ndarray, name: str) -> None:
    """Raise a DataError that names the first row and column with NaN or infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        if array.dtype.kind != "f" or np.isfinite(array.sum(dtype=array.dtype)):
            return
    bad = np.argwhere(~np.isfinite(array))
    if len(bad) == 0:  # large finite numbers whose sum overflows
        return
    first = bad[0]
    place = f"row {first[0]}" + (f", column {first[1]}" if len(first) > 1 else "")
    raise DataError(
        f"{name}: {array[tuple(first)]} at {place} ({len(bad)} such value{'s' if len(bad) > 1 else ''} in all). "
        "Expected finite numbers: remove these rows, or fill the values in."
    )


def dense(X: Any) -> Any:
    """A sparse matrix as an array, for what looks at every input; an array as it is.

    >>> dense(csr_array([[0, 2]]))
    array([[0, 2]])
    """
    return X.toarray() if issparse(X) else X


def check_inputs(X: Any, inputs: int, dtype: np.dtype, name: str = "X") -> np.ndarray:
    """`X` as a finite array (n samples, `inputs`) with at least one row.

    >>> check_inputs([[1, 2]], 2, np.dtype(np.float64))
    array([[1., 2.]])
    """
    return dense(check_dense_or_csr(X, inputs, dtype, name))


def check_dense_or_csr(X: Any, inputs: int, dtype: np.dtype, name: str = "X") -> Any:
    """`X` as a finite matrix (n samples, `inputs`) with at least one row; a sparse one comes back as a csr_array.

    >>> check_dense_or_csr([[1, 2]], 2, np.dtype(np.float64))
    array([[1., 2.]])
    """
    array: Any = _check_csr(X, name, dtype) if issparse(X) else check_array(X, name, dtype)
    if array.ndim != 2:
        hint = f" One sample is {name}.reshape(1, -1), one column {name}.reshape(-1, 1)." if array.ndim == 1 else ""
        raise ShapeError(f"{name}: expected shape (n samples, {inputs} inputs), got {array.shape}.{hint}")
    if array.shape[1] != inputs:
        raise ShapeError(
            f"{name}: expected {inputs} columns, one per input of the network, got {array.shape[1]} "
            f"(shape {array.shape}).{transposed_hint(array.shape, (array.shape[1], inputs), name)}"
        )
    if array.shape[0] == 0:
        raise DataError(f"{name}: expected at least one row, got an empty table of shape {array.shape}.")
    if isinstance(array, csr_array):
        _check_finite_csr(array, name)
    else:
        check_finite(array, name)
    return array


def transposed_hint(shape: tuple[int, ...], expected: tuple[int, ...], name: str) -> str:
    """A sentence for a matrix with samples as columns; "" for other shapes.

    >>> transposed_hint((3, 50), (50, 3), "X")
    ' Its columns seem to be the samples; rows are samples here: pass X.T.'
    """
    turned = shape == expected[::-1] and len(shape) == 2
    return f" Its columns seem to be the samples; rows are samples here: pass {name}.T." if turned else ""


def _check_csr(X: Any, name: str, dtype: np.dtype) -> csr_array:
    """A sparse matrix by rows, with their columns in rising order and none of them twice; copied only for that."""
    if X.dtype.kind not in "fiub":
        raise DataError(f"{name}: expected numbers, got a sparse matrix of type {X.dtype}.")
    if X.ndim != 2:
        raise ShapeError(f"{name}: expected a sparse matrix of two dimensions, got shape {X.shape}.")
    rows: Any = csr_array(X)
    try:
        rows.check_format(full_check=True)  # compiled code looks at no bounds
    except ValueError as reason:
        raise DataError(f"{name}: the sparse matrix is damaged: {reason}.") from None
    with np.errstate(over="ignore"):
        rows = rows.astype(dtype, copy=False)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def _check_finite_csr(rows: csr_array, name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(rows.data))
    if len(bad):
        row = int(np.searchsorted(rows.indptr, bad[0], side="right")) - 1
        raise DataError(
            f"{name}: {rows.data[bad[0]]} at row {row}, column {rows.indices[bad[0]]} ({len(bad)} such "
            f"value{'s' if len(bad) > 1 else ''} in all). "
            "Expected finite numbers: remove these rows, or fill the values in."
        )


def check_sample_weight(weights: Any, samples: int, dtype: np.dtype) -> np.ndarray | None:
    """Weights (n,), finite, not negative and not all zero; None stays None."""
    if weights is None:
        return None
    array = check_array(weights, "sample_weight", dtype)
    if array.shape != (samples,):
        raise ShapeError(f"sample_weight: expected shape ({samples},), one weight per row of X, got {array.shape}.")
    check_finite(array, "sample_weight")
    if (array < 0).any():
        row = int(np.argmax(array < 0))
        raise DataError(f"sample_weight: expected weights of at least 0, got {array[row]} at row {row}.")
    if not array.any():
        raise DataError("sample_weight: expected at least one weight above 0, got only zeros.")
    return array


def check_dtype(dtype: Any) -> np.dtype:
    """float32 or float64.

    >>> check_dtype("float32")
    dtype('float32')
    """
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        found = np.dtype(object)
    if found not in (np.dtype("float32"), np.dtype("float64")):
        raise ArgumentError(f"dtype: expected 'float32' or 'float64', got {dtype!r}.")
    return found
