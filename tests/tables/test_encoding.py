"""What messages call the rows, how columns and inputs are called, and texts kept as they are written."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clearprop.errors import TableError, TableWarning
from clearprop.tables import TableEncoding, as_table

GOOD = {"a": [1.5, 2.5, 4.5] * 10, "b": ["u", "v", "u"] * 10, "y": ["p", "q", "p"] * 10}
BAD = "a,b,y\n1,u,p\n2,u,q\nx,v,p\n"

#: a file with one bad cell, and the line that a text editor shows it in
FILES: dict[str, tuple[str, bytes, str]] = {
    "plain": ("t.csv", BAD.encode(), 'Column "a", line 4 of the file: expected a number, got "x"'),
    "a blank line": ("t.csv", b"a,b,y\n1,u,p\n\n2,u,q\nx,v,p\n", "line 5 of the file"),
    "a blank line above the header": ("t.csv", b"\na,b,y\n1,u,p\nx,u,q\n", "line 4 of the file"),
    "a cell of two lines before": ("t.csv", b'a,b,y\n1,"u\nu",p\nx,u,q\n', "line 4 of the file"),
    "a cell of two lines within": ("t.csv", b'a,b,y\n1,u,p\nx,"u\nu",q\n2,u,p\n', "line 3 of the file"),
    "windows line ends": ("t.csv", BAD.replace("\n", "\r\n").encode(), "line 4 of the file"),
    "byte order mark": ("t.csv", b"\xef\xbb\xbf" + BAD.encode(), "line 4 of the file"),
    "gzip": ("t.csv.gz", gzip.compress(BAD.encode()), "line 4 of the file"),
    "semicolons": ("t.csv", BAD.replace(",", ";").encode(), "line 4 of the file"),
    "tabs": ("t.tsv", BAD.replace(",", "\t").encode(), "line 4 of the file"),
}


@pytest.mark.parametrize("case", FILES)
def test_an_error_names_the_line_of_the_file(case: str, tmp_path: Path) -> None:
    name, content, message = FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError) as error:
        TableEncoding.fit(GOOD, "y").features(tmp_path / name)
    assert message in str(error.value)


FRAMES: dict[str, Any] = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table, "dict": dict}


@pytest.mark.parametrize("kind", FRAMES)
def test_an_error_about_a_frame_counts_its_rows_from_0(kind: str) -> None:
    frame = FRAMES[kind]({"a": ["1", "2", "x"], "b": ["u", "u", "v"]})
    with pytest.raises(TableError, match='Column "a", row 2: expected a number, got "x"'):
        TableEncoding.fit(GOOD, "y").features(frame)


def test_rows_of_a_parquet_file_count_from_0(tmp_path: Path) -> None:
    pl.DataFrame({"a": ["1", "2", "x"], "b": ["u", "u", "v"]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match='Column "a", row 2: expected a number'):
        TableEncoding.fit(GOOD, "y").features(tmp_path / "t.parquet")


def test_some_rows_of_a_table_keep_their_numbers(tmp_path: Path) -> None:
    encoding = TableEncoding.fit(GOOD, "y")
    (tmp_path / "t.csv").write_text(BAD)
    for data, place in (({"a": ["1", "2", "x"], "b": ["u"] * 3}, "row 2"), (tmp_path / "t.csv", "line 4 of the file")):
        with pytest.raises(TableError, match=f'Column "a", {place}: expected a number'):
            encoding.features(as_table(data).take([1, 2]))
        with pytest.raises(TableError, match=f'Column "a", {place}: expected a number'):
            encoding.features(as_table(data).take([2, 1]).take([0]))


# --- names -----------------------------------------------------------------------------------------------------------

X = [i * 0.5 for i in range(30)]
WORDS, Y = ["a", "b", "b"] * 10, ["p", "q", "p"] * 10
GAPPY = [None if i % 5 == 3 else v for i, v in enumerate(X)]

#: columns beside a target "y", and the names of the inputs
INPUTS: dict[str, tuple[dict[str, list[Any]], tuple[str, ...]]] = {
    "column called like a category": (
        {"job": WORDS, "job=a": X},
        ('job=a (column "job")', "job=b", 'job=a (column "job=a")'),
    ),
    "column called like a flag": (
        {"age": GAPPY, "age is missing": X},
        ("age", 'age is missing (column "age")', 'age is missing (column "age is missing")'),
    ),
    "two columns with the same categories": (
        {"a": [f"b={word}" for word in WORDS], "a=b": WORDS},
        ('a=b=a (column "a")', 'a=b=b (column "a")', 'a=b=a (column "a=b")', 'a=b=b (column "a=b")'),
    ),
    "nameless": ({"size": X, "": X[::-1]}, ("size", "column 2")),
    "white space around": ({" size ": X}, ("size",)),
}


@pytest.mark.parametrize("case", INPUTS)
def test_inputs_have_different_names_that_are_the_same_from_a_file(case: str, tmp_path: Path) -> None:
    columns, expected = INPUTS[case]
    pl.DataFrame(columns | {"y": Y}).write_csv(tmp_path / "t.csv")
    for data in (
        columns | {"y": Y},
        pl.DataFrame(columns | {"y": Y}),
        pd.DataFrame(columns | {"y": Y}),
        tmp_path / "t.csv",
    ):
        encoding = TableEncoding.fit(data, "y")
        assert encoding.input_names == expected
        assert encoding.features(tmp_path / "t.csv").shape == (30, len(expected))


def test_steps_that_print_alike_have_different_names() -> None:
    values = np.repeat(1.0 + np.arange(12) * 1e-15, 1000)
    names = TableEncoding.fit({"a": values, "y": values > 1}, "y").input_names
    assert len(names) == len(set(names)) == 12


def test_names_made_of_numbers_and_tuples() -> None:
    frame = pd.DataFrame({0: X, 1: X[::-1], 2: Y})
    assert TableEncoding.fit(frame, 2, drop=[1]).input_names == ("0",)
    wide = pd.DataFrame({("mean", "t"): X, ("mean", "w"): X[::-1], ("y", ""): Y})
    encoding = TableEncoding.fit(wide, ("y", ""), drop=[("mean", "w")])
    assert (encoding.target_names, encoding.input_names) == (("('y', '')",), ("('mean', 't')",))


def test_a_nameless_column_beside_one_of_that_name_is_refused() -> None:
    with pytest.raises(TableError, match=r'The table: the column name "column 1" occurs 2 times \(columns 1, 2\)'):
        as_table(pl.DataFrame({"": X, "column 1": X}))


def test_columns_of_the_answer_have_different_names() -> None:
    table = {"x": X, "probability of big": ["big", "small", "big"] * 10}
    answer = TableEncoding.fit(table, "probability of big").decode(np.array([[0.75]]))
    assert {name: values.tolist() for name, values in answer.items()} == {
        "probability of big": ["small"], "probability of big (2)": [0.25], "probability of small": [0.75],
    }  # fmt: skip
    flags = {"x": X, "b": [0, 1, 1] * 10, "probability of b": [1, 0, 1] * 10}
    answer = TableEncoding.fit(flags, ["b", "probability of b"]).decode(np.array([[0.75, 0.25]]))
    assert {name: values.tolist() for name, values in answer.items()} == {
        "b": [1], "probability of b (2)": [0.75], "probability of b": [0], "probability of probability of b": [0.25],
    }  # fmt: skip


# --- texts kept as they are written ----------------------------------------------------------------------------------


def written(tmp_path: Path, kind: str, columns: dict[str, list[Any]]) -> Any:
    """The columns as a frame of some kind, or as a file."""
    if kind in FRAMES:
        return FRAMES[kind](columns)
    path = tmp_path / f"t.{kind}"
    getattr(pl.DataFrame(columns), f"write_{kind}")(path)
    return path


@pytest.mark.parametrize("kind", [*FRAMES, "csv", "parquet"])
def test_none_and_na_as_classes_and_categories(kind: str, tmp_path: Path) -> None:
    columns = {"zone": ["NA", "EU", "AS"] * 10, "x": X, "y": ["None", "Apnea", " Insomnia "] * 10}
    data = written(tmp_path, kind, columns)
    encoding = TableEncoding.fit(data, "y", text=["y", "zone"])
    assert encoding.classes == ["Apnea", "Insomnia", "None"]
    assert encoding.input_names == ("zone=AS", "zone=EU", "zone=NA", "x")
    again = TableEncoding.from_dict(encoding.to_dict())
    assert again.features(data)[:3, :3].tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    assert again.targets(data)[:3].tolist() == [2, 0, 1]


@pytest.mark.parametrize("kind", [*FRAMES, "csv", "parquet"])
def test_a_target_that_holds_marks_for_missing_values_says_so(kind: str, tmp_path: Path) -> None:
    data = written(tmp_path, kind, {"x": X, "y": ["None", "Apnea", "NA"] * 10})
    places = "lines 2, 4, 5, 7, 8 and 15 more of the file" if kind == "csv" else "rows 0, 2, 3, 5, 6 and 15 more"
    with pytest.raises(TableError) as error:
        TableEncoding.fit(data, "y")
    assert str(error.value) == (
        f'Target column "y": "NA" and "None" were read as missing in {places}; expected a value in every row. '
        'If it is a class, keep the texts as they are written: text="y" (--text "y"). If not, fill the value in, or '
        "remove the rows."
    )


def test_numbers_as_texts() -> None:
    table = {"x": X, "y": [7, 8, 9] * 10, "z": [0.5, None, float("nan")] * 10}
    encoding = TableEncoding.fit(table, "y", text=["y", "z"])
    assert (encoding.classes, encoding.input_names) == (["7", "8", "9"], ("x", "z=0.5", "z is missing"))


BAD_TEXT = [
    ({"text": "z"}, 'text: column "z" does not exist'),
    ({"text": "x", "numeric": "x"}, 'Column "x" is named as text and as numeric.'),
    ({"text": "y", "task": "regression"}, 'Column "y" is named as text and as a target of regression.'),
]


@pytest.mark.parametrize(("options", "message"), BAD_TEXT)
def test_refuses_text_where_it_contradicts(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        TableEncoding.fit({"x": X, "y": Y}, "y", **options)


# --- whole numbers of more than 53 bits ------------------------------------------------------------------------------

BASE = 1582218195625938940
CODES: dict[str, Callable[[], tuple[Any, list[str]]]] = {
    "integers": lambda: ([BASE + i % 5 for i in range(30)], [str(BASE + i) for i in range(5)]),
    "negative": lambda: ([-BASE - i % 5 for i in range(30)], [str(-BASE - i) for i in range(5)]),
    "beyond 64 bits": lambda: ([10**20 + i % 5 for i in range(30)], [str(10**20 + i) for i in range(5)]),
    "decimals": lambda: ([Decimal(BASE + i % 5) for i in range(30)], [str(BASE + i) for i in range(5)]),
    "texts": lambda: ([str(10**20 + i % 5) for i in range(30)], [str(10**20 + i) for i in range(5)]),
    "with a gap": lambda: ([None, *(BASE + i % 5 for i in range(1, 30))], [str(BASE + i) for i in range(5)]),
    "unsigned": lambda: (np.uint64(2**63) + np.arange(30, dtype=np.uint64) % 5, [str(2**63 + i) for i in range(5)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["dict", "pandas", "pandas Int64", "polars", "pyarrow", "csv"])
@pytest.mark.parametrize("case", CODES)
def test_codes_are_told_apart(case: str, kind: str, tmp_path: Path) -> None:
    values, expected = CODES[case]()
    columns: dict[str, Any] = {"code": values, "x": X, "y": Y}
    if kind == "pandas Int64":
        if case not in ("integers", "with a gap"):
            return
        columns["code"] = pd.array(values, dtype="Int64")
        data: Any = pd.DataFrame(columns)
    elif kind == "polars" and case == "beyond 64 bits":
        data = pl.DataFrame({**columns, "code": pl.Series(values, dtype=pl.Int128)})
    elif kind in ("pyarrow", "csv") and case == "beyond 64 bits":
        data = written(tmp_path, kind, {**columns, "code": list(map(str, values))})
    elif kind == "pandas" and case == "with a gap":
        data = pd.DataFrame({**columns, "code": pd.Series(values, dtype=object)})
    else:
        data = written(tmp_path, kind, columns)
    encoding = TableEncoding.fit(data, "y")
    assert sorted(n.removeprefix("code=") for n in encoding.input_names if n.startswith("code=")) == sorted(expected)
    assert encoding.features(data)[:5, :5].sum() == (4 if case == "with a gap" else 5)
    as_target = TableEncoding.fit(data, "code", task="classification", drop="y") if case != "with a gap" else None
    assert as_target is None or sorted(map(str, as_target.classes)) == sorted(expected)


def test_codes_as_numbers_are_refused_by_column() -> None:
    codes = [BASE + i % 5 for i in range(30)]
    with pytest.raises(TableError, match=f'Column "code": holds whole numbers beyond 2\\^53, such as {BASE}, which'):
        TableEncoding.fit({"code": codes, "y": Y}, "y", numeric="code")
    with pytest.raises(TableError, match='Target column "code": holds integers beyond 2\\^53, such as'):
        TableEncoding.fit({"code": codes, "x": X}, "code", task="regression")
    spread = [BASE + 10_000_000 * i for i in range(30)]
    assert TableEncoding.fit({"moment": spread, "y": Y}, "y").input_names == ("moment",)


def test_words_read_as_missing_are_reported(tmp_path: Path) -> None:
    columns = {"zone": ["NA", "EU", ""] * 10, "x": X, "y": Y}
    for kind in ("dict", "csv"):
        data = written(tmp_path, kind, columns)
        encoding = TableEncoding.fit(data, "y")
        assert encoding.words_read_as_missing(as_table(data)) == [
            'zone: "NA" is read as missing (10 rows); text="zone" (--text "zone") keeps it as a category'
        ]
        kept = TableEncoding.fit(data, "y", text="zone")
        assert kept.input_names == ("zone=EU", "zone=NA", "zone is missing", "x")
        assert kept.words_read_as_missing(as_table(data, exact=["zone"])) == []


@pytest.mark.parametrize("count", [3, 1500])
def test_rare_categories_of_the_training_rows_are_not_reported_as_new(count):
    """Of more than a thousand rare ones not all are stored, and then none is reported."""
    cities = ["Bern"] * 5000 + ["Ulm"] * 5000 + [f"village {i}" for i in range(count)]
    encoding = TableEncoding.fit({"city": cities, "y": range(len(cities))}, "y")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoding.features({"city": cities})
        if count > 1000:
            encoding.features({"city": ["Atlantis"]})
    if count < 1000:
        assert encoding.encoders[0].rare == tuple(f"village {i}" for i in range(count))
        with pytest.warns(TableWarning, match='"Atlantis" is not among the categories of training'):
            encoding.features({"city": ["village 1", "Atlantis"]})
