"""Tables: reading, encoding and decoding, and what every bad input is answered."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import SHARED_DATA

from clearprop.datasets import digits
from clearprop.errors import ArgumentError, ModelFileError, ShapeError, TableError, TableWarning
from clearprop.tables import TableEncoding, as_table, read_table
from clearprop.tables.columns import CategoricalColumn, NumericColumn

DATA = SHARED_DATA


def needs(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not in {DATA}")
    return DATA / name


def people(n: int = 60) -> dict[str, Any]:
    """A small table with every kind of column."""
    return {
        "age": [None if i % 10 == 3 else 20.0 + i for i in range(n)],
        "job": [("clerk", "cook", None)[i % 3] for i in range(n)],
        "member": [i % 4 < 2 for i in range(n)],
        "since": [dt.date(2020, 1, 1) + dt.timedelta(days=7 * i) for i in range(n)],
        "rich": [("no", "yes")[i % 2] for i in range(n)],
    }


# --- reading ---------------------------------------------------------------------------------------------------------

GOOD_FILES = {
    "whole numbers": (b"a,b\n1,2\n3,4\n", [(1, 2), (3, 4)]),
    "windows line ends": (b"a,b\r\n1,2\r\n3,4\r\n", [(1, 2), (3, 4)]),
    "byte order mark": (b"\xef\xbb\xbfa,b\n1,2\n", [(1, 2)]),
    "white space": (b"a , b\n 1 , x y \n", [(1, "x y")]),
    "blank lines": (b"\na,b\n1,2\n\n3,4\n\n", [(1, 2), (3, 4)]),
    "a row of nothing but missing": (b"a,b\n1,2\n,\n", [(1, 2), (None, None)]),
    "missing in one column": (b"a\n1\n\n2\n", [(1,), (None,), (2,)]),
    "quotes": (b'a,b\n"x, y","say ""hi"""\n"two\nlines",z\n', [("x, y", 'say "hi"'), ("two\nlines", "z")]),
    "semicolons, decimal comma": (b"a;b\n1,5;x\n2;y\n", [(1.5, "x"), (2.0, "y")]),
    "leading zeros stay": (b"zip\n01234\n98765\n", [("01234",), ("98765",)]),
    "truth": (b"a,b\nTrue,false\nFALSE,\n", [(True, False), (False, None)]),
    "dates": (b"a\n2024-02-29\n?\n", [(dt.date(2024, 2, 29),), (None,)]),
    "moments": (b"a\n2024-02-29 10:30:00\n", [(dt.datetime(2024, 2, 29, 10, 30),)]),
    "nameless column": (b",b\n5,6\n", [(5, 6)]),
    "a number after 300 rows of whole ones": (b"a\n" + b"1\n" * 300 + b"2.5\n", [(1.0,)] * 300 + [(2.5,)]),
}


@pytest.mark.parametrize("case", GOOD_FILES)
def test_reads_csv_files(case: str, tmp_path: Path) -> None:
    content, expected = GOOD_FILES[case]
    (tmp_path / "a.csv").write_bytes(content)
    assert read_table(tmp_path / "a.csv").rows() == expected


@pytest.mark.parametrize("marker", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "  ? "])
def test_missing_markers(marker: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"a,b\n{marker},{marker}\n1,x\n")
    assert read_table(tmp_path / "a.csv").rows() == [(None, None), (1, "x")]
    assert as_table({"b": [marker, "x"]}).frame.rows() == [(None,), ("x",)]


def test_other_formats(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\n1\tx,y\n")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b'a,b\n1,"x,y"\n'))
    pl.DataFrame({"a": [1], "b": [" x,y"]}).write_parquet(tmp_path / "a.parquet")
    for name in ("a.tsv", "a.csv.gz", "a.parquet"):
        assert read_table(tmp_path / name).rows() == [(1, "x,y")], name


def test_a_parquet_file_of_many_columns_that_compress_well(tmp_path: Path) -> None:
    words = ["clerk", "cook", "pilot", "a longer text that is stored once"]
    columns = {f"c{i}": [words[(i + j * j) % 4] for j in range(30_000)] for i in range(15)}
    pl.DataFrame(columns).write_parquet(tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 300_000
    assert read_table(tmp_path / "a.parquet").shape == (30_000, 15)


def test_text_stays_text_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,1\n2,2\n")
    assert read_table(tmp_path / "a.csv", text=["a"]).rows() == [("1", 1), ("2", 2)]


BAD_FILES = {
    "a.csv": [
        (b"", "is empty; expected a line of column names and at least one row"),
        (b" \n", "is empty"),
        (b"a,b\n", "has column names but no rows"),
        (b"a,b\n1,2\n3\n", "line 3: expected 2 cells as in the line of column names, got 1"),
        (b"a,b\n1,2\n3,4,5\n", "line 3: expected 2 cells as in the line of column names, got 3"),
        (b'a,b\n"x,2\n3,4\n', "a quote never closed"),
        (b"a,b,a\n1,2,3\n", 'the column name "a" occurs 2 times (columns 1, 3)'),
        (b"a,b\n1,2\n3,\xcc\xee\xf1\xea\n", "line 3 is not UTF-8 text (byte 0xcc)"),
        (b"a,b\n1,2\n\0\0,3\n", "got binary data (a zero byte in line 3)"),
    ],
    "a.csv.gz": [
        (b"\x1f\x8ba,b\n1,2\n", "damaged or not one: Unknown compression method"),
        (gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-12], "ended before"),
    ],
    "a.parquet": [(b"PAR1 junk", "expected a Parquet file, but it is damaged or not one")],
    "a.xlsx": [(b"x", "expected a Parquet file, or a text file ending in .csv, .tsv")],
}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [pytest.param(n, c, m, id=f"{n}: {m}") for n, rows in BAD_FILES.items() for c, m in rows],
)
def test_refuses_file(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=re.escape(message)):
        read_table(tmp_path / name)


def test_file_missing_offers_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("a\n1\n")
    with pytest.raises(TableError, match=r'no such file. Did you mean "people.csv"\?'):
        read_table(tmp_path / "peple.csv")
    with pytest.raises(TableError, match="no such file, and no folder"):
        read_table(tmp_path / "data" / "people.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(TableError, match="cannot be read: Is a directory"):
        read_table(tmp_path / "folder.csv")


# --- frames ----------------------------------------------------------------------------------------------------------


def test_every_pandas_type() -> None:
    frame = as_table(
        pd.DataFrame(
            {
                "object text": pd.Series([" a", None], dtype=object),
                "object mixed": pd.Series(["1", 2.5], dtype=object),
                "object truth": pd.Series([True, None], dtype=object),
                "category": pd.Categorical(["u", None]),
                "Int64": pd.array([1, None], dtype="Int64"),
                "Float64": pd.array([1.5, None], dtype="Float64"),
                "boolean": pd.array([True, None], dtype="boolean"),
                "string": pd.array(["x", pd.NA], dtype="string"),
                "float": [1.5, float("nan")],
                "moment": pd.to_datetime(["2020-01-01", None]),
                "with zone": pd.to_datetime(["2020-01-01T00:00:00+02:00", None]),
                "date": [dt.date(2020, 1, 1), None],
                "duration": pd.to_timedelta([1, None], unit="D"),
                3: [1, 2],
            }
        )
    )
    assert frame.frame.rows() == [
        ("a", 1.0, True, "u", 1.0, 1.5, True, "x", 1.5, dt.datetime(2020, 1, 1), dt.datetime(2019, 12, 31, 22),
         dt.datetime(2020, 1, 1), dt.timedelta(days=1), 1),
        (None, 2.5, None, None, None, None, None, None, None, None, None, None, None, 2),
    ]  # fmt: skip
    assert frame.columns[-1] == "3"


FRAMES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "dict": lambda columns: columns,
    "polars": pl.DataFrame,
    "polars categorical": lambda columns: pl.DataFrame(columns).with_columns(pl.col("job").cast(pl.Categorical)),
    "polars enum": lambda columns: pl.DataFrame(columns).with_columns(pl.col("job").cast(pl.Enum(["clerk", "cook"]))),
    "polars small": lambda columns: pl.DataFrame(columns).with_columns(pl.col("age").cast(pl.Float32)),
    "narwhals": lambda columns: nw.from_native(pl.DataFrame(columns)),
    "table": as_table,
    "pandas": pd.DataFrame,
    "pandas nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas object": lambda columns: pd.DataFrame(columns).astype(object),
    "pandas category": lambda columns: pd.DataFrame(columns).astype({"job": "category", "rich": "category"}),
    "pyarrow": pa.table,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_same_matrices_from_every_frame(kind: str) -> None:
    reference = TableEncoding.fit(people(), "rich")
    frame = FRAMES[kind](people())
    encoding = TableEncoding.fit(frame, "rich")
    assert encoding.input_names == reference.input_names
    for fitted in (encoding, reference):
        np.testing.assert_array_equal(fitted.features(frame), reference.features(people()))
        np.testing.assert_array_equal(fitted.targets(frame), reference.targets(people()))


BAD_FRAMES = [
    (
        np.zeros((3, 2)),
        "expected a table: a path, a data frame (pandas, polars, pyarrow) or a dict of columns, got ndarray",
    ),
    (None, "got NoneType"),
    (pl.LazyFrame({"a": [1]}), "got LazyFrame. Collect a lazy frame first"),
    ({"a": [1], "b": [1, 2]}, 'Columns of different lengths: "a" 1, "b" 2 rows'),
    ({"a": "xy"}, "Column \"a\": expected a sequence of values, got 'xy'"),
    ({"a": 5}, 'Column "a": expected a sequence of values, got 5'),
    ({"a": np.zeros((3, 2))}, 'Column "a": expected one value per row, got an array of shape (3, 2)'),
    ({"3": [1], 3: [1]}, 'The table: the column name "3" occurs 2 times (columns 1, 2)'),
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Expected unique column names, got:\n- 'a' 2 times"),
]


@pytest.mark.parametrize(("data", "message"), BAD_FRAMES)
def test_refuses_frame(data: Any, message: str) -> None:
    with pytest.raises(TableError, match=re.escape(message)):
        as_table(data)


# --- which encoding a column gets ------------------------------------------------------------------------------------

N = 40
CHOICES: dict[str, tuple[list[Any], str | None]] = {
    "numbers": ([i * 0.5 for i in range(N)], "number"),
    "text": (["a", "b"] * (N // 2), "categorical"),
    "truth": ([True, False] * (N // 2), "boolean"),
    "dates": ([dt.date(2020, 1, 1 + i % 28) for i in range(N)], "date"),
    "durations": ([dt.timedelta(hours=i) for i in range(N)], "duration"),
    "times of day": ([dt.time(i % 24) for i in range(N)], "duration"),
    "constant": ([7] * N, "all rows hold the same value, 7"),
    "all missing": ([None] * N, "all values are missing"),
    "constant or missing": ([7, None] * (N // 2), "number"),
    "names": ([f"person {i}" for i in range(N)], "40 different texts in 40 rows, like a name or an identifier"),
    "numbers as text": ([str(i + 0.5) for i in range(N)], "number"),
    "few numbers as text": ([str(i % 5) for i in range(N)], "categorical"),
    "amounts as text": ([f"{i}.250,50 EUR" for i in range(1, N + 1)], "number"),
    "dates as text": ([f"{i % 28 + 1}/3/2024" for i in range(N)], "date"),
    "row numbers": (list(range(N)), "the number of the row"),
    "user_id": (
        [(7919 * i) % 1000 for i in range(N)],
        "40 different integers in 40 rows",
    ),
    "paid": ([(7919 * i) % 1000 for i in range(N)], "number"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_kind_of_column(name: str) -> None:
    values, expected = CHOICES[name]
    y = [0.5 + i for i in range(N)]
    encoding = TableEncoding.fit({name: values, "other": y[::-1], "y": y}, "y")
    note = next(note for note in encoding.describe() if note.column == name)
    assert note.kind == expected or (note.kind == "left out" and expected in note.description)
    assert note.inputs == (0 if note.kind == "left out" else len(range(encoding.inputs)[encoding.columns[name]]))


def test_requested_kinds_override_the_inferred_ones() -> None:
    table = {"id": list(range(N)), "code": [i % 3 for i in range(N)], "name": [f"p{i}" for i in range(N)],
             "text": [str(i % 7) for i in range(N)], "y": [i / 3 for i in range(N)]}  # fmt: skip
    encoding = TableEncoding.fit(table, "y", drop=["text"], categorical=["code", "name"], numeric=["id"])
    assert [(note.column, note.kind) for note in encoding.describe()] == [
        ("id", "number"), ("code", "categorical"), ("name", "categorical"), ("text", "left out"),
    ]  # fmt: skip
    assert TableEncoding.fit(table, "y", numeric=["text"], drop=["name"]).input_names == ("code", "text")


def test_categories_of_a_file_are_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("code,y\n" + "1,a\n10,b\n" * 20)
    encoding = TableEncoding.fit(tmp_path / "a.csv", "y", categorical="code")
    assert (encoding.input_names, encoding.text_columns) == (("code=1", "code=10"), ("code", "y"))
    (tmp_path / "new.csv").write_text("code\n1\n7\n")
    with pytest.warns(TableWarning, match='Column "code", line 3 of the file: "7" is not among the categories'):
        assert encoding.features(tmp_path / "new.csv").tolist() == [[1, 0], [0.5, 0.5]]


def test_declared_categories_of_numbers_are_categories() -> None:
    frame = pd.DataFrame({"c": pd.Categorical([1, 2] * 5), "y": pd.Categorical([30, 40] * 5)})
    encoding = TableEncoding.fit(frame, "y")
    assert (encoding.input_names, encoding.classes) == (("c=1", "c=2"), [30, 40])
    assert encoding.task_reason == 'classification, because "y" is declared a category'


# --- features --------------------------------------------------------------------------------------------------------


def test_features_by_hand() -> None:
    encoding = TableEncoding.fit({"a": [1.0, 3.0, None], "b": ["u", None, "v"], "c": [True, True, False],
                                  "y": ["p", "q", "p"]}, "y")  # fmt: skip
    assert encoding.input_names == ("a", "a is missing", "b=u", "b=v", "b is missing", "c")
    table = {"a": [1, 2, None], "b": ["u", "never seen", None], "c": [1, 0, None], "extra": [0, 0, 0]}
    with pytest.warns(TableWarning) as warned:
        X = encoding.features(table)
    assert str(warned[0].message).splitlines() == [
        'Column "b", row 1: "never seen" is not among the categories of training; taken as the average row.',
        'Column "c", row 2: no value, though none was missing in training; taken as 1.',
    ]
    np.testing.assert_array_equal(encoding.features(table, warn=False), X)
    third = np.float32(1 / 3)
    np.testing.assert_array_equal(
        X, np.array([[-1, 0, 1, 0, 0, 1], [0, 0, third, third, third, 0], [0, 1, 0, 0, 1, 1]], np.float32)
    )
    assert X.dtype == np.float32
    assert X.flags.c_contiguous
    assert encoding.features({"a": [1], "b": ["u"], "c": [True]}, dtype="float64").dtype == np.float64
    assert encoding.columns == {"a": slice(0, 2), "b": slice(2, 5), "c": slice(5, 6)}


def test_missing_values_new_since_training_become_median_and_average_row() -> None:
    encoding = TableEncoding.fit({"a": [1, 2, 9], "b": ["u", "v", "u"], "y": [0.5, 1, 2]}, "y")
    with pytest.warns(TableWarning, match='"a", row 1: no value, .* 2.\nColumn "b", row 0: no value, .* average row'):
        X = encoding.features({"a": [2, None], "b": [None, "u"]}, np.float64)
    assert X[0, 0] == X[1, 0]
    np.testing.assert_allclose(X[:, 1:], [[2 / 3, 1 / 3], [1, 0]])


def test_standardized_and_clipped() -> None:
    values = np.random.default_rng(0).normal(50, 7, 3000)
    encoding = TableEncoding.fit({"a": values, "y": values * 2}, "y")
    X = encoding.features({"a": values}, np.float64)
    np.testing.assert_allclose(X.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(X[:, 0].std(), 1)
    with pytest.warns(TableWarning, match=r'"a", row 1: -1e\+99 is far from training; taken as -26.*\n.*row 0: 1e\+99'):
        far = encoding.features({"a": [1e99, -1e99]})
    assert np.isfinite(far).all()
    assert np.abs(far).max() < 20


def test_skewed_column_gets_a_logarithm_and_common_value_a_knot() -> None:
    rng = np.random.default_rng(0)
    gains = np.where(rng.random(5000) < 0.9, 0, np.exp(rng.normal(8, 1, 5000)))
    column = TableEncoding.fit({"gain": gains, "y": gains}, "y").encoders[0]
    assert isinstance(column, NumericColumn)
    assert column.log_unit > 0
    assert column.knots[0] == 0
    assert column.knots[1] == gains[gains > 0].min()
    assert column.description.startswith("standardized after a logarithm, because it is skewed and in ")


def test_skewed_column_is_standardized_after_the_logarithm() -> None:
    values = np.exp(np.random.default_rng(0).normal(8, 2, 5000))
    encoding = TableEncoding.fit({"a": values, "y": values}, "y")
    column = encoding.encoders[0]
    assert isinstance(column, NumericColumn)
    assert column.log_unit > 0
    encoded = encoding.features({"a": values})[:, 0]
    assert (abs(encoded.mean()) < 1e-5, abs(encoded.std() - 1) < 1e-5) == (True, True)
    clipped = np.clip(values, column.low, column.high)
    expected = (np.arcsinh((clipped - column.fill) / column.log_unit) - column.center) / column.scale
    np.testing.assert_allclose(encoded, expected, rtol=1e-6, atol=1e-6)  # features are float32


def test_description_of_a_column_with_missing_values() -> None:
    encoding = TableEncoding.fit({"a": [1.0, None, 3.0, 2.0] * 10, "y": range(40)}, "y")
    assert encoding.encoders[0].description.endswith("; missing set to 2 and flagged")


def test_rare_categories_share_an_input_with_unknown_ones() -> None:
    jobs = [f"job {i}" for i in range(150) for _ in range(20 if i < 130 else 1)]
    encoding = TableEncoding.fit({"job": jobs, "y": np.arange(len(jobs)) / 2}, "y")
    column = encoding.encoders[0]
    assert isinstance(column, CategoricalColumn)
    assert len(column.categories) == 100
    assert encoding.input_names[-1] == "job=other"
    with pytest.warns(TableWarning, match='row 1: "never seen" is not among .*; taken as job=other'):
        X = encoding.features({"job": ["job 149", "never seen", "job 0"]})
    assert X[:, -1].tolist() == [1, 1, 0]
    assert X.sum(axis=1).tolist() == [1, 1, 1]


def test_few_rare_rows_get_no_input() -> None:
    encoding = TableEncoding.fit({"job": ["a", "b"] * 5000 + ["c"], "y": np.arange(10001) / 2}, "y")
    assert encoding.input_names == ("job=a", "job=b")
    average = [pytest.approx([5000 / 10001] * 2)]
    assert encoding.features({"job": ["c"]}).tolist() == average
    with pytest.warns(TableWarning, match='"d" is not among the categories of training; taken as the average row'):
        assert encoding.features({"job": ["d"]}).tolist() == average


def test_values_too_rare_to_learn_from() -> None:
    words = [f"word {i // 2}" for i in range(1000)]
    table = {"word": ["a"] * 19_990 + ["b"] * 10, "rest": ["a"] * 19_995 + ["b"] * 5, "y": np.arange(20_000) / 2}
    encoding = TableEncoding.fit(table, "y")
    assert encoding.input_names == ("word=a", "word=b")
    assert encoding.left_out == (("rest", "no two of its 2 values occur in at least 10 rows"),)
    assert TableEncoding.fit({"word": words, "y": np.arange(1000) / 2}, "y").input_names[-1] == "word=other"


def test_category_called_other() -> None:
    jobs = ["other"] * 500 + [f"job {i}" for i in range(300)] + ["cook"] * 500
    names = TableEncoding.fit({"job": jobs, "y": np.arange(1300) / 2}, "y", categorical=["job"]).input_names
    assert {"job=other", "job=any other"} <= set(names)
    assert len(set(names)) == len(names)


DAY = dt.date(2020, 1, 1)
SAME = {
    "text for numbers": ({"a": ["1", "2.0", " 3"]}, {"a": [1, 2, 3]}),
    "numbers for text": ({"b": [1, 2, 3]}, {"b": ["1", "2", "3"]}),
    "floats for text": ({"b": [1.0, 2.0, 3.0]}, {"b": ["1", "2", "3"]}),
    "floats for category of numbers": ({"k": [1.0, 2.0, 3.0]}, {"k": [1, 2, 3]}),
    "text for category of numbers": ({"k": ["1", "2.0", "3"]}, {"k": [1, 2, 3]}),
    "1 and 0 for truth": ({"t": [1, 0, 1]}, {"t": [True, False, True]}),
    "text for truth": ({"t": ["true", "FALSE", "1"]}, {"t": [True, False, True]}),
    "truth for text": ({"s": [True, False, True]}, {"s": ["true", "false", "true"]}),
    "text for dates": ({"d": ["2020-01-01", "2020-01-02 00:00:00", None]}, {"d": [DAY, DAY + dt.timedelta(1), None]}),
    "moments for dates": ({"d": [dt.datetime(2020, 1, 1)] * 3}, {"d": [dt.date(2020, 1, 1)] * 3}),
    "nothing at all": ({"a": [None] * 3, "d": ["", "", ""]}, {"a": [2.0] * 3, "d": [dt.date(2020, 1, 2)] * 3}),
}  # fmt: skip
TYPED = {
    "a": [1, 2, 3] * 4, "b": ["1", "2", "3"] * 4, "k": [1, 2, 3] * 4, "t": [True, False, False] * 4,
    "s": ["true", "false", "true"] * 4, "d": [dt.date(2020, 1, i) for i in (1, 2, 3)] * 4, "y": [0.5, 1, 2] * 4,
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_same_meaning_in_another_type(case: str) -> None:
    encoding = TableEncoding.fit(TYPED, "y", categorical=["k"])
    rest = {name: values[:3] for name, values in TYPED.items()}
    given, plain = SAME[case]
    same = [encoding.features(rest | columns, warn=False) for columns in (given, plain)]
    np.testing.assert_array_equal(*same)


def test_dates_as_categories() -> None:
    table = {"d": [DAY, DAY + dt.timedelta(1)] * 20, "t": [dt.timedelta(1), dt.timedelta(2)] * 20, "y": [0, 1] * 20}
    encoding = TableEncoding.fit(table, "y", categorical=["d", "t"])
    assert encoding.input_names[:2] == ("d=2020-01-01", "d=2020-01-02")
    again = TableEncoding.from_dict(json.loads(json.dumps(encoding.to_dict())))
    moments = {"d": [dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 2)] * 20, "t": table["t"]}
    np.testing.assert_array_equal(again.features(moments), encoding.features(table))


BAD_FEATURES = [
    ({"a": ["1", "old", "3"]}, 'Column "a", row 1: expected a number, got "old". Correct the value'),
    ({"a": ["x", "old", "3"]}, 'Column "a", row 0: expected a number, got "x" (2 such rows)'),
    ({"a": [dt.date(2020, 1, 1)] * 3}, 'Column "a", row 0: expected a number, got datetime.date'),
    ({"a": [1, float("inf"), 2]}, 'Column "a": infinity, or a number beyond 1e+100, in row 1'),
    ({"b": [1, 2, 7]}, 'Column "b", row 2: expected text as in training, got numbers, and 7 is not one'),
    ({"b": [True, False, True]}, 'Column "b", row 1: expected text as in training, got booleans'),
    ({"k": ["1", "x", "2"]}, 'Column "k", row 1: expected numbers as in training, got text'),
    ({"t": [0, 1, 2]}, 'Column "t", row 2: expected true or false (or 1 and 0), got 2'),
    ({"t": ["yes", "no", None]}, 'Column "t", row 0: expected true or false, got "yes" (2 such rows)'),
    ({"d": [1, 2, 3]}, 'Column "d", row 0: expected a date, got 1 (a number)'),
    ({"d": ["2020-01-01", "soon", ""]}, 'Column "d", row 1: expected a date, got "soon"'),
]


@pytest.mark.parametrize(("given", "message"), BAD_FEATURES)
def test_refuses_other_types(given: dict[str, Any], message: str) -> None:
    encoding = TableEncoding.fit(TYPED, "y", categorical=["k"])
    with pytest.raises(TableError, match=re.escape(message)):
        encoding.features({name: values[:3] for name, values in TYPED.items()} | given)


def test_refuses_missing_column_and_empty_table() -> None:
    encoding = TableEncoding.fit({"income": [1, 2, 3], "y": [0.5, 1, 2]}, "y")
    with pytest.raises(TableError, match=r'Column "income" is missing from the table. Did you mean "Incme"\?'):
        encoding.features({"Incme": [1]})
    with pytest.raises(TableError, match="The table has no rows"):
        encoding.features({"income": []})


# --- what fit refuses ------------------------------------------------------------------------------------------------

B = {"y": [0, 1] * 20}
A = {"a": list(range(0, 80, 2))}
BAD_FITS: list[tuple[dict[str, Any], Any, dict[str, Any], str]] = [
    (A | {"income": [0.5] * 40}, "incme", {}, 'Target column "incme" does not exist. Did you mean "income"?'),
    (A, (), {}, "Target: expected the name of a column, got none"),
    (A | {"y": [1, 2] * 20}, ["y", "y"], {}, 'Column "y" is named twice, as target and as target'),
    (A | {"y": [1, 2] * 20}, "y", {"drop": ["z"]}, 'drop: column "z" does not exist'),
    (A | {"y": [1, 2] * 20}, "y", {"drop": ["y"]}, 'Column "y" is named twice, as target and as drop'),
    (A | {"y": [1, 2] * 20}, "y", {"numeric": "a", "categorical": "a"}, "as categorical and as numeric"),
    ({"a": [], "y": []}, "y", {}, "The table has no rows"),
    ({"a": [3] * 4, "y": [0.5, 1, 2, 3]}, "y", {}, 'No column is left to learn from. Left out: "a"'),
    ({"y": [0.5, 1, 2, 3]}, "y", {}, "Left out: none"),
    (A | {"y": ["yes"] * 40}, "y", {}, "Target column \"y\": all rows hold 'yes'; expected at least two different"),
    (A | {"y": [0.5] * 40}, "y", {}, 'Target column "y": all rows hold 0.5; expected numbers that differ'),
    (A | {"y": ["a", None] * 20}, "y", {}, 'Target column "y": no value in rows 1, 3, 5, 7, 9 and 15 more'),
    (A | {"y": [0.5, float("nan")] * 20}, "y", {}, 'Target column "y": no value in rows 1'),
    (A | {"y": [0.5, float("inf"), *range(38)]}, "y", {}, 'Column "y": infinity, or a number beyond 1e+100, in row 1'),
    (A | {"y": [f"{i} USD" for i in range(40)]}, "y", {}, 'Target column "y": 40 different values in 40 rows'),
    (A | {"y": [f"no {i}" for i in range(40)]}, "y", {"task": "regression"}, 'row 0: expected a number, got "no 0"'),
    (A | {"y": [dt.date(2020, 1, 1)] * 40}, "y", {}, "expected numbers, text or booleans, got"),
    (A | B | {"z": ["p", "q"] * 20}, ["y", "z"], {}, 'Column "z", row 0: expected a number, got "p"'),
    (A | B | {"z": [0, 3] * 20}, ["y", "z"], {"task": "classification"}, 'column "z": several target'),
    (A | B | {"z": [0] * 40}, ["y", "z"], {}, 'Target column "z": all rows hold 0; expected both'),
    (B | {"a": [1, float("-inf")] * 20}, "y", {}, 'Column "a": infinity, or a number beyond 1e+100'),
    (B | {"a": [[1], [2]] * 20}, "y", {}, 'row 0: expected a number, text, boolean or date, got list'),
    (B | {"a": [*map(str, range(39)), "old"]}, "y", {}, 'all values are numbers, except in row 39: "old"'),
    (B | {"a": ["x"] * 40}, "y", {"numeric": ["a"]}, 'all rows hold the same value'),
    (B | {"a": ["x", "1"] * 20}, "y", {"numeric": ["a"]}, 'row 0: expected a number, got "x" (20'),
    ({"a": [*map(str, range(25))] * 4 + ["old"], "y": [0, 1] * 50 + [0]}, "y", {}, 'numbers, except in row 100: "old"'),
]  # fmt: skip


@pytest.mark.parametrize(("table", "target", "options", "message"), BAD_FITS)
def test_refuses_to_fit(table: dict[str, Any], target: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=re.escape(message)):
        TableEncoding.fit(table, target, **options)


def test_refuses_unknown_task() -> None:
    with pytest.raises(
        ArgumentError, match="task: expected one of 'auto', 'classification', 'regression', got 'ranking'"
    ):
        TableEncoding.fit(people(), "rich", task="ranking")


# --- targets ---------------------------------------------------------------------------------------------------------

TASKS: dict[str, tuple[dict[str, list[Any]], dict[str, Any], str, list[Any], int, str]] = {
    "two texts": ({"y": ["no", "yes"] * 20}, {}, "binary", ["no", "yes"], 1, 'because "y" holds text'),
    "three texts": ({"y": (["c", "a", "b"] * 14)[:40]}, {}, "multiclass", ["a", "b", "c"], 3, 'because "y" holds text'),
    "truth": ({"y": [True, False] * 20}, {}, "binary", [False, True], 1, 'because "y" holds booleans'),
    "0 and 1": ({"y": [1, 0] * 20}, {}, "binary", [0, 1], 1, "holds 2 different integers"),
    "grades": ({"y": [3, 4, 5, 6] * 10}, {}, "multiclass", [3, 4, 5, 6], 4, "holds 4 different integers"),
    "whole floats": ({"y": [3.0, 4.0] * 20}, {}, "binary", [3, 4], 1, "holds 2 different integers"),
    "many whole": ({"y": list(range(40))}, {}, "regression", [], 1, "holds 40 different integers"),
    "floats": ({"y": [0.5, 1.5] * 20}, {}, "regression", [], 1, "holds numbers that are not integers"),
    "asked regression": ({"y": [3, 4] * 20}, {"task": "regression"}, "regression", [], 1, "as requested"),
    "asked classes": ({"y": [0.5, 1.5] * 20}, {"task": "classification"}, "binary", [0.5, 1.5], 1, "as requested"),
    "two numbers": ({"y": [0.5, 2] * 20, "z": [1, 7] * 20}, {}, "regression", [], 2, "there are 2 target columns"),
    "two flags": ({"y": [0, 1] * 20, "z": [True, False] * 20}, {}, "multilabel", [], 2, "hold booleans"),
}  # fmt: skip


@pytest.mark.parametrize("case", TASKS)
def test_task(case: str) -> None:
    columns, options, task, classes, outputs, reason = TASKS[case]
    encoding = TableEncoding.fit(A | columns, list(columns), **options)
    assert (encoding.task, encoding.classes, encoding.outputs) == (task, classes, outputs)
    assert [type(label) for label in encoding.classes] == [type(label) for label in classes]
    assert reason in encoding.task_reason
    y = encoding.targets(columns)
    assert y.shape == ((40,) if classes else (40, outputs))
    assert y.dtype == (np.int64 if classes else np.float32)


@pytest.mark.parametrize("case", TASKS)
def test_decode_inverts_targets(case: str) -> None:
    columns, options, task, classes, outputs, _ = TASKS[case]
    encoding = TableEncoding.fit(A | columns, list(columns), **options)
    y = encoding.targets(columns, np.float64)
    yhat = y if task in ("regression", "multilabel") else (y[:, None] if outputs == 1 else np.eye(outputs)[y])
    answer = encoding.decode(yhat)
    for name, values in columns.items():
        if task == "regression":
            np.testing.assert_allclose(answer[name], values, rtol=1e-14)
        else:
            assert answer[name].tolist() == values
    expected = [f"probability of {label}" for label in (classes or (columns if task == "multilabel" else []))]
    assert [name for name in answer if name.startswith("probability")] == expected


def test_decode_probabilities() -> None:
    encoding = TableEncoding.fit(A | {"y": ["no", "yes"] * 20}, "y")
    answer = encoding.decode(np.array([[0.25], [0.5], [0.75]]))
    assert answer["y"].tolist() == ["no", "no", "yes"]
    assert answer["probability of no"].tolist() == [0.75, 0.5, 0.25]
    assert answer["probability of yes"].tolist() == [0.25, 0.5, 0.75]
    message = "yhat: expected shape (n, 1), the outputs of the network, got (3, 2)"
    with pytest.raises(ShapeError, match=re.escape(message)):
        encoding.decode(np.zeros((3, 2)))


BAD_TARGETS = [
    (
        ["no", "Yess"],
        'column "y", row 1: the label \'Yess\' does not occur in the training table. Did you mean "yes"?',
    ),
    (["no", None], 'Target column "y": no value in row 1'),
    ([1, 0], 'Target column "y", row 0: the label 1 does not occur in the training table. Available: no, yes.'),
]


@pytest.mark.parametrize(("labels", "message"), BAD_TARGETS)
def test_refuses_labels(labels: list[Any], message: str) -> None:
    encoding = TableEncoding.fit(A | {"y": ["no", "yes"] * 20}, "y")
    with pytest.raises(TableError, match=re.escape(message)):
        encoding.targets({"y": labels})
    with pytest.raises(TableError, match='Column "y" is missing from the table'):
        encoding.targets({"x": labels})


@pytest.mark.parametrize(
    ("trained", "given"),
    [
        ([0, 1], ["0", "1.0"]),
        ([0, 1], [False, True]),
        ([False, True], [0, 1]),
        ([False, True], ["False", "true"]),
        (["0", "1"], [0, 1]),
        (["false", "true"], [False, True]),
        ([0.5, 1.5], ["0.5", "1.50"]),
    ],
)
def test_labels_in_another_type(trained: list[Any], given: list[Any]) -> None:
    encoding = TableEncoding.fit(A | {"y": trained * 20}, "y", task="classification")
    assert encoding.targets({"y": given}).tolist() == [0, 1]


def test_leading_zero_is_another_label() -> None:
    encoding = TableEncoding.fit(A | {"y": ["1", "2"] * 20}, "y")
    with pytest.raises(TableError, match="the label '01' does not occur in the training table"):
        encoding.targets({"y": ["01"]})


# --- stored ----------------------------------------------------------------------------------------------------------

CELLS = st.one_of(
    st.lists(st.none() | st.floats(-1e6, 1e6), min_size=30, max_size=30),
    st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=30, max_size=30),
    st.lists(st.none() | st.sampled_from(["a", "b", "other", "É", ""]), min_size=30, max_size=30),
    st.lists(st.none() | st.booleans(), min_size=30, max_size=30),
    st.lists(st.none() | st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)), min_size=30, max_size=30),
)


@settings(deadline=None, max_examples=100)
@given(columns=st.lists(CELLS, min_size=1, max_size=5), task=st.sampled_from(sorted(TASKS)))
def test_stored_encodings_are_read_back_equal(columns: list[list[Any]], task: str) -> None:
    target = {name: values[:30] for name, values in TASKS[task][0].items()}
    table = {f"c{i}": values for i, values in enumerate(columns)} | {"sure": [0.5, 1, 2] * 10} | target
    encoding = TableEncoding.fit(table, list(target), **TASKS[task][1])
    again = TableEncoding.from_dict(json.loads(json.dumps(encoding.to_dict(), allow_nan=False)))
    assert again == encoding
    assert again.input_names == encoding.input_names
    X = encoding.features(table)
    np.testing.assert_array_equal(again.features(table), X)
    assert np.isfinite(X).all()
    assert X.shape == (30, encoding.inputs)
    assert again.describe() == encoding.describe()


def stored() -> dict[str, Any]:
    table = people(900)
    table["age"] = [None if i % 10 == 3 else float(i * i) for i in range(900)]
    return TableEncoding.fit(table, "rich").to_dict()


def regression() -> dict[str, Any]:
    return TableEncoding.fit(A | {"y": [0.5, 2] * 20}, "y").to_dict()


def flags() -> dict[str, Any]:
    return TableEncoding.fit(A | {"y": [0, 1] * 20, "z": [1, 0] * 20}, ["y", "z"]).to_dict()


NONSENSE: list[tuple[Callable[[], dict[str, Any]], tuple[Any, ...], Any, str]] = [
    (stored, ("version",), 1, "encoding: unknown field 'version'; expected encoders, target, task_reason, left_out"),
    (stored, ("encoders",), {}, "encoding.encoders: expected a list, got {}"),
    (stored, ("encoders",), [], "encoding: encoders: expected at least one column"),
    (stored, ("encoders", 0), 7, "encoders[0]: expected an object, got 7"),
    (
        stored,
        ("encoders", 0, "type"),
        "os.system",
        "[0].type: expected one of 'numeric', 'categorical', got 'os.system'",
    ),
    (stored, ("encoders", 0, "name"), "job", "encoders: expected different names"),
    (stored, ("encoders", 0, "name"), "rich", "and none of a target"),
    (stored, ("encoders", 0, "kind"), "picture", "[0]: kind: expected one of 'number', 'boolean', 'date', 'duration'"),
    (stored, ("encoders", 0, "scale"), float("nan"), "encoders[0].scale: expected a finite number, got nan"),
    (stored, ("encoders", 0, "scale"), 0.0, "encoders[0]: scale: expected a finite number above 0, got 0.0"),
    (stored, ("encoders", 0, "scale"), True, "encoders[0].scale: expected a finite number, got True"),
    (stored, ("encoders", 0, "center"), 10**400, "center: expected a finite number"),
    (stored, ("encoders", 0, "low"), 1e9, "high: expected a finite number at least 1e+09"),
    (stored, ("encoders", 0, "log_unit"), -1.0, "log_unit: expected a finite number at least 0"),
    (stored, ("encoders", 0, "flag"), 1, "flag: expected true or false, got 1"),
    (stored, ("encoders", 0, "knots"), [1.0], "knots: expected 2 or more, rising"),
    (stored, ("encoders", 0, "knots"), [2.0, 1.0], "knots: expected 2 or more, rising"),
    (stored, ("encoders", 0, "knots"), ["a"], "knots[0]: expected a finite number, got 'a'"),
    (stored, ("encoders", 0, "means"), [0.0] * 99, "means: expected one per step between knots"),
    (stored, ("encoders", 1, "categories"), ["a", "a"], "encoders[1]: categories: expected different texts"),
    (stored, ("encoders", 1, "categories"), ["a", 1], "categories[1]: expected a string, got 1"),
    (stored, ("encoders", 1, "shares"), [1.0], "shares: expected 3 numbers, one per input"),
    (stored, ("encoders", 1, "kind"), [], "kind: expected a string, got []"),
    (stored, ("encoders", 1, "kind"), "picture", "kind: expected one of 'text', 'number', 'boolean', 'date'"),
    (stored, ("target",), None, "target: expected an object"),
    (stored, ("target", "type"), "builtins.eval", "target.type: expected one of 'class', 'number', 'flags'"),
    (stored, ("target", "classes"), ["no"], "target: classes: expected at least two labels"),
    (stored, ("target", "classes"), ["no", "no"], "classes: expected different labels of the kind text"),
    (stored, ("target", "classes"), ["no", []], "classes[1]: expected a string or an integer of at most 64 bits or"),
    (stored, ("target", "kind"), "number", "classes: expected different labels of the kind number"),
    (stored, ("target", "kind"), "date", "kind: expected one of 'text', 'number', 'boolean', got 'date'"),
    (stored, ("task_reason",), None, "task_reason: expected a string, got None"),
    (stored, ("left_out",), [["a"]], "left_out[0]: expected 2 items, got ['a']"),
    (regression, ("target", "scales"), [float("inf")], "scales[0]: expected a finite number, got inf"),
    (regression, ("target", "scales"), [0.0], "scales: expected 1 numbers above 0"),
    (regression, ("target", "means"), [], "means: expected 1 numbers"),
    (regression, ("target", "names"), [], "names: expected different columns, at least one"),
    (flags, ("target", "kinds"), ["number"], 'kinds: expected 2 of "boolean" and "number"'),
    (flags, ("target", "names"), "yz", "names: expected a list, got 'yz'"),
]


@pytest.mark.parametrize(("make", "path", "value", "message"), NONSENSE)
def test_refuses_nonsense(make: Callable[[], dict[str, Any]], path: tuple[Any, ...], value: Any, message: str) -> None:
    fields = make()
    at: Any = fields
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(ModelFileError, match=re.escape(message)):
        TableEncoding.from_dict(fields)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), value=JSON)
def test_any_field_replaced_is_read_or_refused(data: st.DataObject, value: Any) -> None:
    fields = data.draw(st.sampled_from([stored, regression, flags]))()
    holder = data.draw(st.sampled_from([fields, fields["target"], *fields["encoders"]]))
    key = data.draw(st.sampled_from(sorted(holder)))
    if data.draw(st.booleans()):
        del holder[key]
    else:
        holder[key] = value
    with contextlib.suppress(ModelFileError):
        assert isinstance(TableEncoding.from_dict(fields), TableEncoding)


# --- real tables -----------------------------------------------------------------------------------------------------


def test_adult_from_polars_and_pandas() -> None:
    path = needs("adult_train.csv")
    encoding = TableEncoding.fit(path, "income")
    assert (encoding.task, encoding.classes) == ("binary", ["<=50K", ">50K"])
    X = encoding.features(path)
    assert X.shape == (32561, encoding.inputs)
    assert encoding.inputs < 400
    np.testing.assert_array_equal(encoding.features(pd.read_csv(path)), X)
    assert {"age standardized", "workclass=Private", "workclass is missing"} <= set(encoding.input_names)
    test = needs("adult_test.csv")
    assert len(encoding.features(test)) == len(encoding.targets(test)) == 16281


def test_california() -> None:
    path = needs("california_housing.csv")
    encoding = TableEncoding.fit(path, "median_house_value")
    assert encoding.task == "regression"
    y = encoding.targets(path, np.float64)
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=1e-12)
    value = read_table(path)["median_house_value"].to_numpy()
    np.testing.assert_allclose(encoding.decode(y)["median_house_value"], value, rtol=1e-12)


def test_digits() -> None:
    encoding = TableEncoding.fit(digits(), "digit")
    assert (encoding.task, encoding.classes) == ("multiclass", list(range(10)))
    assert 50 <= encoding.inputs <= 400
