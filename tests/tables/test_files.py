"""Files as people have them: told by their content, read right, or refused by what they are with the way out."""

from __future__ import annotations

import bz2
import decimal
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clearprop.errors import TableError
from clearprop.tables import TableEncoding, as_table, read_table

PLAIN = b"a,b,y\n1,2,u\n3,4,v\n"
ROWS = [(1, 2, "u"), (3, 4, "v")]
WESTERN = "Größe;Straße;y\n1,5;Weg „A“;u\n2,5;Café 5€;v\n"


def zipped(*members: tuple[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return memory.getvalue()


def parquet(**columns: Any) -> bytes:
    memory = io.BytesIO()
    pq.write_table(pa.table(columns), memory)
    return memory.getvalue()


READ: dict[str, tuple[str, bytes, list[str], list[tuple[Any, ...]]]] = {
    "pipes": ("t.csv", b"a|b|y\n1|2|u\n3|4|v\n", ["a", "b", "y"], ROWS),
    "tabs in a csv": ("t.csv", b"a\tb\ty\n1\t2\tu\n3\t4\tv\n", ["a", "b", "y"], ROWS),
    "tabs and commas in texts": ("t.txt", b"a\tb\n1\tx, y\n2\tz\n", ["a", "b"], [(1, "x, y"), (2, "z")]),
    "semicolons in a tsv": ("t.tsv", b"a;b;y\n1;2;u\n3;4;v\n", ["a", "b", "y"], ROWS),
    "commas between semicolons": (
        "t.csv", b"Umsatz, netto;Alter;Klasse\n1,40;6;y\n4,50;5;n\n", ["Umsatz, netto", "Alter", "Klasse"],
        [(1.4, 6, "y"), (4.5, 5, "n")]),
    "quoted commas between semicolons": (
        "t.csv", b'"Umsatz, netto";"Klasse"\n1,40;y\n4,50;n\n', ["Umsatz, netto", "Klasse"], [(1.4, "y"), (4.5, "n")]),
    "semicolons between commas": ("t.csv", b'a,b\n"x; y; z",1\n"u",2\n', ["a", "b"], [("x; y; z", 1), ("u", 2)]),
    "a comma in every text": (
        "t.csv", b"a;b\nx, y;1\nu, v;2\n", ["a", "b"], [("x, y", 1), ("u, v", 2)]),
    "a cell of two lines": ("t.csv", b'a;b\n"x,\ny";1\n"u, v";2\n', ["a", "b"], [("x,\ny", 1), ("u, v", 2)]),
    "sep=;": ("t.csv", b"sep=;\r\na;b;y\r\n1;2;u\r\n3;4;v\r\n", ["a", "b", "y"], ROWS),
    "sep= with a byte order mark": ("t.csv", b"\xef\xbb\xbfSEP=,\na,b,y\n1,2,u\n3,4,v\n", ["a", "b", "y"], ROWS),
    "sep= a rare sign": ("t.csv", b"sep=^\na^b^y\n1^2^u\n3^4^v\n", ["a", "b", "y"], ROWS),
    "a title": ("t.csv", b"Sales of 2024\n" + PLAIN, ["a", "b", "y"], ROWS),
    "a title and a blank line": ("t.csv", b"Sales of 2024\n\n" + PLAIN, ["a", "b", "y"], ROWS),
    "a title with empty cells": ("t.csv", b"Sales of 2024,,\n" + PLAIN, ["a", "b", "y"], ROWS),
    "two lines of title": ("t.csv", b"Sales\nby region\n" + PLAIN, ["a", "b", "y"], ROWS),
    "comments": ("t.csv", b"# made on 3 May\n# by hand\n" + PLAIN, ["a", "b", "y"], ROWS),
    "a comment with commas": ("t.csv", b"# made on 3 May, by hand, twice\n" + PLAIN, ["a", "b", "y"], ROWS),
    "names behind a sign": ("t.csv", b"#a,b,y\n1,2,u\n3,4,v\n", ["#a", "b", "y"], ROWS),
    "carriage returns": ("t.csv", PLAIN.replace(b"\n", b"\r"), ["a", "b", "y"], ROWS),
    "UTF-16": ("t.csv", PLAIN.decode().encode("utf-16"), ["a", "b", "y"], ROWS),
    "UTF-16, big endian": ("t.csv", b"\xfe\xff" + PLAIN.decode().encode("utf-16-be"), ["a", "b", "y"], ROWS),
    "UTF-16 without a mark": ("t.csv", PLAIN.decode().encode("utf-16-le"), ["a", "b", "y"], ROWS),
    "big endian without a mark": ("t.csv", PLAIN.decode().encode("utf-16-be"), ["a", "b", "y"], ROWS),
    "UTF-16 and tabs": ("t.txt", "ä\tb\n1\t2\n".encode("utf-16"), ["ä", "b"], [(1, 2)]),
    "UTF-32": ("t.csv", PLAIN.decode().encode("utf-32"), ["a", "b", "y"], ROWS),
    "Windows-1252": (
        "t.csv", WESTERN.encode("cp1252"), ["Größe", "Straße", "y"], [(1.5, "Weg „A“", "u"), (2.5, "Café 5€", "v")]),
    "gzip": ("t.csv.gz", gzip.compress(PLAIN), ["a", "b", "y"], ROWS),
    "bz2": ("t.csv.bz2", bz2.compress(PLAIN), ["a", "b", "y"], ROWS),
    "xz": ("t.csv.xz", lzma.compress(PLAIN), ["a", "b", "y"], ROWS),
    "zip": ("t.zip", zipped(("t.csv", PLAIN)), ["a", "b", "y"], ROWS),
    "zip of a Mac": ("t.zip", zipped(("t.csv", PLAIN), ("__MACOSX/._t.csv", b"\0")), ["a", "b", "y"], ROWS),
    "a packed Parquet file": ("t.zip", zipped(("t.parquet", parquet(a=[1], b=["u"]))), ["a", "b"], [(1, "u")]),
    "no ending": ("t", PLAIN, ["a", "b", "y"], ROWS),
    "unsigned numbers": ("t.parquet", parquet(a=pa.array([2**40, 1], pa.uint64())), ["a"], [(2**40,), (1,)]),
    "large unsigned numbers": (
        "t.parquet", parquet(a=pa.array([2**64 - 1, 1], pa.uint64())), ["a"], [("18446744073709551615",), ("1",)]),
    "short decimals": (
        "t.parquet", parquet(a=pa.array([decimal.Decimal("1.5")], pa.decimal128(20, 2))), ["a"], [(1.5,)]),
    "half precision": ("t.parquet", parquet(a=pa.array(np.array([1.5], np.float16))), ["a"], [(1.5,)]),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_files_are_read(case: str, tmp_path: Path) -> None:
    name, content, columns, rows = READ[case]
    (tmp_path / name).write_bytes(content)
    read = read_table(tmp_path / name)
    assert (read.columns, read.rows()) == (columns, rows)


WORKBOOK = zipped(("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>"), ("xl/sheet1.xml", b"<x/>"))
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "gzip under another name": ("t.csv", gzip.compress(PLAIN), 'is packed with gzip, which its name "t.csv" does not'),
    "zip under another name": (
        "t.csv", zipped(("t.csv", PLAIN)), 'packed with zip, which its name "t.csv" does not tell'),
    "xz under another name": ("t.csv.gz", lzma.compress(PLAIN), 'Rename it to "t.csv.gz.xz"'),
    "Parquet under another name": ("t.csv", parquet(a=[1]), 'is a Parquet file, which its name "t.csv" does not tell'),
    "text called Parquet": ("t.parquet", PLAIN, "expected a Parquet file, but it is damaged or not one"),
    "zstd": ("t.csv.zst", b"\x28\xb5\x2f\xfd" + bytes(9), "is a file packed with zstd, not a table in CSV or Parquet"),
    "workbook": ("t.xlsx", WORKBOOK, "is an Excel workbook (a zip file of XML). Save the sheet as CSV, or pass pandas"),
    "workbook under another name": ("t.csv", WORKBOOK, "is an Excel workbook"),
    "old workbook": ("t.csv", b"\xd0\xcf\x11\xe0" + bytes(99), "is an old Excel workbook (.xls)"),
    "two files in a zip": (
        "t.zip", zipped(("a.csv", PLAIN), ("b.csv", PLAIN)), "is a zip file of 2 files (a.csv, b.csv)"),
    "an empty zip": ("t.zip", zipped(), "is a zip file of 0 files"),
    "a damaged zip": ("t.zip", b"PK\x03\x04" + bytes(50), "expected a zip file, but it is damaged or not one"),
    "Feather": ("t.csv", b"ARROW1" + bytes(50), "is an Arrow (Feather) file, not a table in CSV or Parquet"),
    "SQLite": ("t.csv", b"SQLite format 3\0" + bytes(50), "is an SQLite database"),
    "PDF": ("t.csv", b"%PDF-1.4\n", "is a PDF document"),
    "web page": ("t.csv", b"\n<!DOCTYPE html>\n<html>", "is a web page or XML"),
    "JSON": ("t.csv", b'[{"a": 1}, {"a": 2}]', "is JSON, not a table in CSV or Parquet"),
    "JSON lines": ("t.csv", b'{"a": 1}\n{"a": 2}\n', "is JSON, not a table in CSV or Parquet"),
    "Cyrillic": ("t.csv", "город;y\nМосква;1\n".encode("cp1251"), "line 1 is not UTF-8 text (byte 0xe3)"),
    "a damaged byte": ("t.csv", "ä,y\nü,1\n".encode() + b"\xe9,2\n", "line 3 is not UTF-8 text (byte 0xe9)"),
    "Japanese": ("t.csv", "都市,y\n東京,1\n".encode("shift-jis"), 'name its own: read_table(path, encoding="...")'),
    "an unclear title": ("t.csv", b"Sales, 2024\na,b,y\n1,2,u\n3,4,v\n", 'line 1 ("Sales, 2024") has 2 cells, but the'),
    "a name too few": (
        "t.csv", b"a,b\n1,2,u\n3,4,v\n", "the lines after it have 3, separated by comma. Expected a line of"),
    "names or a comment": ("t.csv", b"# city,zone\nParis,EU\nRome,EU\n", 'line 1 ("# city,zone") begins with "#"'),
    "a short line between pipes": (
        "t.csv", b"a|b|y\n1|2|u\n3|4\n5|6|v\n", "line 3: expected 3 cells as in the line of"),
    "a short line after a title": (
        "t.csv", b"Sales\n" + PLAIN * 4 + b"1,2\n", "line 14: expected 3 cells as in the line"),
    "wide decimals": (
        "t.parquet", parquet(c=pa.array([decimal.Decimal("1.5")], pa.decimal256(50, 2)), y=["u"]),
        'column "c" (50 digits): decimals of a precision of more than 38 digits cannot be read'),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_other_files_are_refused_by_what_they_are(case: str, tmp_path: Path) -> None:
    name, content, message = REFUSED[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=re.escape(message)) as caught:
        read_table(tmp_path / name)
    assert "truncate_ragged_lines" not in str(caught.value)


@pytest.mark.parametrize("address", ["https://example.org/t.csv", "s3://bucket/t.parquet", "file:///tmp/t.csv"])
@pytest.mark.parametrize("kind", [str, Path])
def test_addresses_are_refused(address: str, kind: Callable[[str], Any]) -> None:
    with pytest.raises(TableError, match=r"is an address \(URL\), and clearprop reads files. Download it first"):
        read_table(kind(address))


def test_a_parquet_file_with_a_name_twice(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r'several columns have the name "a"; give each column its own name'):
        read_table(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "values", [[[1, 2], [3]] * 20, [{"k": 1}, {"k": 2}] * 20, [b"ab", b"cd"] * 20], ids=["lists", "structs", "bytes"]
)
def test_nested_columns_of_a_parquet_file_are_refused_by_name_or_left_out(values: list[Any], tmp_path: Path) -> None:
    table = pa.table({"a": [i % 7 for i in range(40)], "c": values, "y": ["u", "v"] * 20})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r'Column "c", row 0: expected a number, text, boolean or date'):
        TableEncoding.fit(tmp_path / "t.parquet", "y")
    assert TableEncoding.fit(tmp_path / "t.parquet", "y", drop="c").inputs == 1


def test_flags_that_are_nearly_always_0(tmp_path: Path) -> None:
    rng = np.random.default_rng(15)
    flags = {f"f{i}": (rng.random(300_000) < 1e-4).astype(np.int64) for i in range(20)}
    pl.DataFrame(flags).write_parquet(tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 100_000
    assert read_table(tmp_path / "t.parquet").shape == (300_000, 20)


@pytest.mark.parametrize("gap", ["5", ""])
def test_a_long_cell(gap: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,n\nshort,1\n" + "word " * 28_000 + f",2\nshort,{gap}\n")
    read = read_table(tmp_path / "t.csv")
    assert read.shape == (3, 2)
    assert len(read["text"][1]) == 139_999


def test_a_long_quoted_cell_of_many_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('n;text\n1;"' + "word, word\n" * 20_000 + '"\n2;"a, b"\n3;c\n')
    assert read_table(tmp_path / "t.csv")["n"].to_list() == [1, 2, 3]


def test_what_was_done_with_a_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"Sales of 2024\n" + WESTERN.encode("cp1252"))
    assert as_table(path).notes == (
        f"{path}: read as Windows-1252, because it is not UTF-8",
        f'{path}: line 1 is skipped ("Sales of 2024"); line 2 has the column names',
        "Größe: read as numbers written with decimal commas",
    )


def test_messages_name_the_lines_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "Title\n\na;y\n" + "".join(f"{i},5;u\n{'x' if i == 3 else i};v\n" for i in range(40))
    )
    with pytest.raises(TableError, match=r'except in line 11 of the file: "x"'):
        TableEncoding.fit(tmp_path / "t.csv", "y")


def test_separator_and_encoding_can_be_told(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("город:y\nМосква:1\n".encode("cp1251"))
    assert read_table(tmp_path / "t.csv", separator=":", encoding="cp1251").rows() == [("Москва", 1)]
    with pytest.raises(TableError, match='unknown encoding "klingon"; expected one such as "utf-8"'):
        read_table(tmp_path / "t.csv", encoding="klingon")


def test_a_table_of_one_column_asks_for_the_separator(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a~b~y\n1~2~u\n3~4~v\n")
    with pytest.raises(TableError, match=r"The table has only this column: is the separator another one\?"):
        TableEncoding.fit(tmp_path / "t.csv", "y")
