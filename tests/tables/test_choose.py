"""Which columns are left out, and that holding rows out does not change it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import clearprop as cp
from clearprop.errors import TableError
from clearprop.tables import TableEncoding
from clearprop.tables.choose import choose_columns, steps_for
from clearprop.tables.columns import CategoricalColumn, NumericColumn
from clearprop.tables.frame import as_table
from clearprop.tables.values import kind_of

N = 60
SHUFFLED = np.random.default_rng(0).permutation(N)
EVEN = 2 * SHUFFLED + 7  # what an index looks like after rows were removed

#: name and values of a column, and why it is left out (None if it is used)
COLUMNS: dict[str, tuple[str, Any, str | None]] = {
    "row numbers from 0": ("n", range(N), "the number of the row; keep it with numeric"),
    "row numbers from 1": ("n", range(1, N + 1), "the number of the row; keep it with numeric"),
    "row numbers as floats": ("n", np.arange(N) * 1.0, "the number of the row; keep it with numeric"),
    "shuffled": ("n", SHUFFLED, "the number of the row, in another order"),
    "backwards": ("n", range(N, 0, -1), "the number of the row, in another order"),
    "with a gap": ("n", [None if i == 7 else i for i in range(N)], "the number of the row; keep it with numeric"),
    "after rows were removed": ("n", np.setdiff1d(range(N + 3), [0, 9, 30]), "the number of the row; keep it with"),
    "pandas' name": ("Unnamed: 0", EVEN, "a name like the index of an exported table"),
    "pandas' name, twice exported": ("Unnamed: 0.1", EVEN, "a name like the index of an exported table"),
    "two exports joined": ("Unnamed: 0", [*range(N // 2)] * 2, "a name like the index of an exported table"),
    "many exports joined": ("index", [*range(6)] * 10, "a name like the index of an exported table"),
    "nameless": ("", EVEN, "a name like the index of an exported table"),
    "nameless, of R": ("...1", EVEN, "a name like the index of an exported table"),
    "reset_index": ("level_0", EVEN, "a name like the index of an exported table"),
    "parquet's": ("__index_level_0__", EVEN, "a name like the index of an exported table"),
    "R's row names": ("rownames", EVEN, "a name like the index of an exported table"),
    "index with a gap": ("index", [None if i == 7 else i for i in EVEN], "a name like the index"),
    "row_number": ("row_number", EVEN, "a name like the index of an exported table"),
    "id": ("id", EVEN, "60 different integers in 60 rows, and a name like an identifier"),
    "PassengerId": ("PassengerId", EVEN, "60 different integers in 60 rows, and a name like an identifier"),
    "S.No.": ("S.No.", EVEN, "60 different integers in 60 rows, and a name like an identifier"),
    "Sample No": ("Sample No", EVEN, "60 different integers in 60 rows, and a name like an identifier"),
    "user id, two rows each": ("user_id", EVEN // 4 * 4, "31 different integers in 60 rows, and a name like"),
    "codes": ("code", 2**62 + np.arange(N), "60 different whole numbers beyond 2^53 in 60 rows"),
    "nameless numbers": ("", np.sqrt(EVEN), None),
    "a price index": ("index", 100 + SHUFFLED / 7, None),
    "few values called index": ("index", SHUFFLED % 5, None),
    "an id of groups": ("store_id", SHUFFLED % 9, None),
    "years": ("year", range(1960, 1960 + N), None),
    "paid": ("paid", EVEN, None),
    "negative": ("index", EVEN - 30, None),
}  # fmt: skip


@pytest.mark.parametrize("holdout", [0, 0.2, 0.5])
@pytest.mark.parametrize("case", COLUMNS)
def test_left_out_alike_whatever_is_held_out(case: str, holdout: float) -> None:
    name, values, reason = COLUMNS[case]
    frame = pd.DataFrame({name: values, "a": np.cos(SHUFFLED), "y": np.repeat(["u", "v", "w"], N // 3)})
    model = cp.fit(frame, "y", hidden=(), epochs=1, holdout=holdout, progress=False)
    left_out = dict(model.encoding.left_out)
    assert list(left_out) == ([] if reason is None else [name or "column 1"])
    assert reason is None or reason in left_out[name or "column 1"]
    asked = {"categorical" if name == "code" else "numeric": name or "column 1"}
    assert not cp.fit(frame, "y", hidden=(), epochs=1, progress=False, **asked).encoding.left_out


def test_noise_sorted_by_class_cannot_be_predicted_from_its_index() -> None:
    rng = np.random.default_rng(1)
    order = rng.permutation(300)
    labels, noise = np.repeat(["s", "v", "w"], 100)[order], rng.normal(size=300)
    for values in (order, order * 3, np.arange(300)[order]):
        model = cp.fit({"Unnamed: 0": values, "a": noise, "y": labels}, "y", hidden=(16,), progress=False)
        assert model.settings["held_out"]["accuracy"] < 0.5


# --- stray texts -----------------------------------------------------------------------------------------------------

#: values of a column, and the rows that a message names (None if the column is used)
STRAY: dict[str, tuple[list[str], str | None]] = {
    "one among many values": ([*map(str, range(39)), "old"], 'in row 39: "old"'),
    "one among few values": ([*["1", "2", "3"] * 13, "old"], 'in row 39: "old"'),
    "the header again": (["1", "0"] * 30 + ["code"] + ["1", "0"] * 30, 'in row 60: "code"'),
    "two in 200 rows": (["1", "2"] * 99 + ["x", "y"], 'in rows 198, 199: "x"'),
    "a category": (["1", "2", "3 or more"] * 14, None),
    "a rare category": ([*["1", "2"] * 19, "3+", "3+"], None),
}


@pytest.mark.parametrize("case", STRAY)
def test_a_stray_text_among_numbers_is_refused(case: str) -> None:
    values, message = STRAY[case]
    n = len(values)
    as_column, as_target = {"code": values, "y": np.arange(n) / 2}, {"x": np.arange(n) / 2, "code": values}
    keep = {"column": {"categorical": "code"}, "target": {"text": "code"}}
    for table, target, kept in ((as_column, "y", keep["column"]), (as_target, "code", keep["target"])):
        if message is None:
            assert TableEncoding.fit(table, target).left_out == ()
            continue
        with pytest.raises(TableError) as error:
            TableEncoding.fit(table, target)
        assert f'olumn "code": all values are numbers, except {message}. Correct it,' in str(error.value)
        assert next(f'{role}="{name}"' for role, name in kept.items()) in str(error.value)
        if len(set(values)) <= 20:
            assert TableEncoding.fit(table, target, **kept).left_out == ()


# --- wide tables -----------------------------------------------------------------------------------------------------


def test_each_column_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time in proportion to the number of columns: nothing is done for every pair of them."""
    calls = {"choose": 0, "inputs": 0}
    real, inputs = choose_columns.__globals__["choose"], NumericColumn.inputs

    def counted(*arguments: Any) -> Any:
        calls["choose"] += 1
        return real(*arguments)

    def counted_inputs(column: NumericColumn) -> tuple[str, ...]:
        calls["inputs"] += 1
        return inputs.fget(column)  # type: ignore[attr-defined]

    monkeypatch.setitem(choose_columns.__globals__, "choose", counted)
    monkeypatch.setattr(NumericColumn, "inputs", property(counted_inputs))
    seen = {}
    for width in (50, 400):
        calls.update(choose=0, inputs=0)
        table = {f"c{i}": np.arange(30) % (2 + i % 7) for i in range(width)} | {"y": ["a", "b", "c"] * 10}
        TableEncoding.fit(table, "y").features(table)
        assert calls["choose"] == width
        seen[width] = calls["inputs"]
    assert seen[400] == 8 * seen[50]


def test_kinds_of_columns() -> None:
    columns, left_out = choose_columns(as_table({"a": [1.0, 2.5], "b": ["u", "v"], "c": [1, 1]}), ["a", "b", "c"], {})
    assert [type(column) for column in columns] == [NumericColumn, CategoricalColumn]
    assert left_out == (("c", "all rows hold the same value, 1"),)
    assert steps_for(20_000, 8) == 48
    assert kind_of(as_table({"a": [2**63]})["a"]) == "text"
