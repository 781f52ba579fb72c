"""Numbers, dates and marks for missing values as people write them: read right, or refused by column and cell."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from clearprop.errors import ArgumentError, TableError
from clearprop.tables import TableEncoding, as_table, read_table
from clearprop.tables.notation import ReadingRules

SPACE, THIN, MINUS = "\u00a0", "\u202f", "\u2212"


def written(folder: Path, separator: str, columns: dict[str, list[str]], name: str = "t.csv") -> Path:
    """A file of columns; cells with the separator are quoted."""
    lines = [list(columns), *zip(*columns.values(), strict=True)]
    quoted = [[f'"{cell}"' if separator in cell else cell for cell in line] for line in lines]
    (folder / name).write_text("\n".join(separator.join(line) for line in quoted) + "\n", encoding="utf-8")
    return folder / name


#: separator, column "a" as it is written, the numbers it holds, other columns of the file that decide.
NUMBERS: dict[str, tuple[str, list[str], list[float | None], dict[str, list[str]]]] = {
    "thousands points, decided by another column": (
        ";", ["950", "1.299", "12.500"], [950, 1299, 12500], {"b": ["1,5", "0,25", "3,75"]}),
    "three decimals, decided by another column": (
        ";", ["1.299", "12.500", "3.125"], [1.299, 12.5, 3.125], {"b": ["0.5", "0.25", "3.75"]}),
    "three decimals, decided by zero": (";", ["1.299", "0.125", "2.375"], [1.299, 0.125, 2.375], {}),
    "three decimals, decided by a long number": (";", ["1.299", "12500", "2.375"], [1.299, 12500, 2.375], {}),
    "two thousands points": (";", ["1.299.000", "950", "2.450.100"], [1299000, 950, 2450100], {}),
    "thousands points and decimal commas": (";", ["1.299,99", "-950", "12,5"], [1299.99, -950, 12.5], {}),
    "decimal commas": (";", ["1,5", "-0,25", "3"], [1.5, -0.25, 3], {}),
    "decimal commas in a comma file": (",", ["1,5", "-0,25", "3"], [1.5, -0.25, 3], {}),
    "decimal commas and exponents": (";", ["1,5e3", "2E-1", "3"], [1500, 0.2, 3], {}),
    "quoted thousands": (",", ["1,299", "12,500", "950"], [1299, 12500, 950], {}),
    "quoted thousands with decimals": (",", ["1,299.50", "12,500", "0.5"], [1299.5, 12500, 0.5], {}),
    "three decimals in a comma file": (",", ["1.299", "12.500", "3.125"], [1.299, 12.5, 3.125], {}),
    "thousands points in a comma file": (
        ",", ["1.299", "12.500", "950"], [1299, 12500, 950], {"b": ["1,5", "0,25", "3,75"]}),
    "decimal commas between tabs": ("\t", ["1,299", "12,5", "3"], [1.299, 12.5, 3], {}),
    "lakhs": (",", ["12,34,567.5", "1,00,000", "999"], [1234567.5, 100000, 999], {}),
    "no-break spaces": (";", [f"1{SPACE}234,5", f"12{SPACE}000{SPACE}000", "7"], [1234.5, 12000000, 7], {}),
    "narrow spaces": (",", [f"1{THIN}234.5", f"12{THIN}000", "7"], [1234.5, 12000, 7], {}),
    "apostrophes": (",", ["1'234.5", "12’000", "7"], [1234.5, 12000, 7], {}),
    "underscores": (",", ["1_234.5", "12_000", "7"], [1234.5, 12000, 7], {}),
    "minus sign": (",", [f"{MINUS}1.5", "2", f"{MINUS}3"], [-1.5, 2, -3], {}),
    "en dash": (",", ["–1.5", "2", "–3"], [-1.5, 2, -3], {}),
    "percent": (",", ["12.5%", "-1 %", "+3%"], [12.5, -1, 3], {}),
    "dollars": (",", ["$1,299.50", "-$3", "$-7"], [1299.5, -3, -7], {}),
    "euros after": (";", [f"1.299,50{SPACE}€", "-3 €", "7€"], [1299.5, -3, 7], {}),
    "euros before": (";", ["€1.299,50", "€ -3,5", "€7"], [1299.5, -3.5, 7], {}),
    "prices without cents": (";", ["1.299,-", "12,50", "3,–"], [1299, 12.5, 3], {}),
    "prices in francs": (",", ["1'200.-", "12.50", "12.-"], [1200, 12.5, 12], {}),
    "two letters mu": (",", ["5 µg/l", "6.5 \u03bcg/l", "7 µg/l"], [5, 6.5, 7], {}),
    "code before": (",", ["CHF 1'234.50", "CHF 5", "CHF 6"], [1234.5, 5, 6], {}),
    "code after": (",", ["1234.50 EUR", "5 EUR", "6 EUR"], [1234.5, 5, 6], {}),
    "reais": (";", ["R$ 1.234,50", "R$ 5,00", "R$ 6,25"], [1234.5, 5, 6.25], {}),
    "kilograms": (",", ["12 kg", "1.5kg", "3 kg"], [12, 1.5, 3], {}),
    "speed": (",", ["12 km/h", "80 km/h", "3.5 km/h"], [12, 80, 3.5], {}),
    "area": (",", ["45 m²", "80 m²", "30.5 m²"], [45, 80, 30.5], {}),
    "area in ASCII": (",", ["45 m2", "80 m2", "30.5 m2"], [45, 80, 30.5], {}),
    "degrees": (",", ["4.5 °C", "-3 °C", "0 °C"], [4.5, -3, 0], {}),
    "parentheses": (",", ["(1,234.50)", "3", "5.5"], [-1234.5, 3, 5.5], {}),
    "dollars in parentheses": (",", ["($1,234.50)", "$3", "$5.5"], [-1234.5, 3, 5.5], {}),
    "minus behind": (";", ["12,5-", "3,25", "1.000,00-"], [-12.5, 3.25, -1000], {}),
    "marks": (",", ["1.5", "n/a", "2"], [1.5, None, 2], {}),
    "other marks": (",", ["<NA>", ".", "2"], [None, None, 2], {}),
    "mark among decimal commas": (";", ["1,5", "n.a.", "2"], [1.5, None, 2], {}),
    "mark of databases": ("\t", ["\\N", "1.5", "2"], [None, 1.5, 2], {}),
    "mark beside a unit": (",", ["12 kg", "not available", "3 kg"], [12, None, 3], {}),
}  # fmt: skip


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_are_read(case: str, tmp_path: Path) -> None:
    separator, cells, expected, others = NUMBERS[case]
    assert read_table(written(tmp_path, separator, {"a": cells} | others | {"y": ["u", "v", "u"]}))["a"].to_list() == (
        pytest.approx(expected)
    )


#: What stays text: no notation fits all of it.
TEXTS = {
    "two units": ["12 kg", "500 g", "3 kg"],
    "with and without a unit": ["$5", "7", "$3"],
    "codes": ["00123", "00456", "12"],
    "both signs": ["1,5", "2.5", "3"],
    "letters before": ["Q1", "Q2", "Q3"],
    "ranges": ["1-5", "6-10", "11-15"],
    "versions": ["3.11.7", "3.12.0", "3.9.18"],
    "all in parentheses": ["(a)", "(b)", "(c)"],
    "fractions": ["1/2", "3/4", "5/8"],
    "bounds": ["<5", "7", ">9"],
    "a dash may be zero": ["1.5", "-", "2"],
    "digits of another script": ["١٢", "٣٤", "٥٦"],
    "phone numbers": ["+49 170 12", "0170/123", "110"],
    "impossible dates": ["2024-02-30", "2024-13-01", "2024-01-01"],
    "impossible times": ["25:61", "10:75", "12:00"],
    "addresses": ["12 Oak Street", "14 Oak Street", "16 Oak Street"],
    "codes of 20 digits": ["12345678901234567890", "12345678901234567891", "1"],
}


@pytest.mark.parametrize("case", TEXTS)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_other_texts_stay_text(case: str, separator: str, tmp_path: Path) -> None:
    read = read_table(written(tmp_path, separator, {"a": TEXTS[case], "y": ["u", "v", "w"]}))
    assert read["a"].to_list() == TEXTS[case]


day = dt.date
at = dt.datetime
DATES: dict[str, tuple[list[str], list[Any]]] = {
    "day first": (["13/02/2024", "01/03/2024"], [day(2024, 2, 13), day(2024, 3, 1)]),
    "month first": (["02/13/2024", "01/03/2024"], [day(2024, 2, 13), day(2024, 1, 3)]),
    "month first with times": (["2/13/2024 0:00", "1/3/2024 14:05"], [at(2024, 2, 13), at(2024, 1, 3, 14, 5)]),
    "points": (["01.02.2024", "3.4.2024"], [day(2024, 2, 1), day(2024, 4, 3)]),
    "two digits": (["01.02.24", "13.12.99"], [day(2024, 2, 1), day(1999, 12, 13)]),
    "slashes, year first": (["2024/01/31", "2023/12/1"], [day(2024, 1, 31), day(2023, 12, 1)]),
    "the same day and month": (["01/01/2024", "02/02/2024"], [day(2024, 1, 1), day(2024, 2, 2)]),
    "names of months": (["3 Jan 2024", "14 March 2023"], [day(2024, 1, 3), day(2023, 3, 14)]),
    "month before day": (["Jan 3, 2024", "March 14, 2023"], [day(2024, 1, 3), day(2023, 3, 14)]),
    "German": (["3. März 2024", "14. Dez. 2023"], [day(2024, 3, 3), day(2023, 12, 14)]),
    "Spanish": (["3 de marzo de 2024", "14 de diciembre de 2023"], [day(2024, 3, 3), day(2023, 12, 14)]),
    "French": (["1 février 2024", "31 décembre 2024"], [day(2024, 2, 1), day(2024, 12, 31)]),
    "databases": (["03-JAN-24", "14-MAR-99"], [day(2024, 1, 3), day(1999, 3, 14)]),
    "weekday, half days": (
        ["Wed, Jan 3, 2024 10:30 PM", "Thu, Mar 14, 2024 12:05 am"], [at(2024, 1, 3, 22, 30), at(2024, 3, 14, 0, 5)]),
    "mail": (["Mon, 02 Jan 2006 15:04:05 GMT", "Tue, 03 Jan 2006 15:04:05 +0100"],
             [at(2006, 1, 2, 15, 4, 5), at(2006, 1, 3, 14, 4, 5)]),
    "offsets": (["2024-02-02 10:00:00+00", "2024-02-02T10:00:00.5+02:00"],
                [at(2024, 2, 2, 10), at(2024, 2, 2, 8, 0, 0, 500_000)]),
    "Zulu": (["2024-02-02T10:00:00Z", "2024-02-03T10:00:00Z"], [at(2024, 2, 2, 10), at(2024, 2, 3, 10)]),
    "dates and moments": (["2024-02-02", "2024-02-03 10:30"], [at(2024, 2, 2), at(2024, 2, 3, 10, 30)]),
    "no date": (["2024-02-02", "0000-00-00"], [day(2024, 2, 2), None]),
    "no date, day first": (["13.02.2024", "00.00.0000", "n/a"], [day(2024, 2, 13), None, None]),
    "months": (["2024-01", "2023-12"], [day(2024, 1, 1), day(2023, 12, 1)]),
    "names and years": (["Jan 2024", "Dec 2023"], [day(2024, 1, 1), day(2023, 12, 1)]),
    "times of day": (["08:30", "23:59"], [dt.timedelta(hours=8, minutes=30), dt.timedelta(hours=23, minutes=59)]),
    "half days": (["8:30 AM", "11:59 PM"], [dt.timedelta(hours=8, minutes=30), dt.timedelta(hours=23, minutes=59)]),
    "durations": (["1:00:30", "2 days 03:04:05"], [dt.timedelta(seconds=3630), dt.timedelta(2, 11045)]),
}  # fmt: skip


@pytest.mark.parametrize("case", DATES)
def test_dates_are_read(case: str, tmp_path: Path) -> None:
    cells, expected = DATES[case]
    assert read_table(written(tmp_path, ";", {"a": cells, "y": ["u"] * len(cells)}))["a"].to_list() == expected


AMBIGUOUS: dict[str, tuple[str, list[str], str, dict[str, Any], list[Any]]] = {
    "points": (";", ["950", "1.299"], 'Column "a", line 3 of the file: "1.299" is 1.299 or 1299, and no value',
               {"decimal": ","}, [950, 1299]),
    "points as decimals": (";", ["1.250", "1.299"], '"1.250" is 1.25 or 1250', {"decimal": "."}, [1.25, 1.299]),
    "points with a unit": (";", ["1.250 €", "1.299 €"], '"1.250 €" is 1.25 or 1250', {"decimal": ","}, [1250, 1299]),
    "points among whole numbers": (
        ",", ["950", "1.299", "12.500", "1.750"], 'line 3 of the file: "1.299" is 1.299 or 1299', {"decimal": ","},
        [950, 1299, 12500, 1750]),
    "decimals among whole numbers": (
        ",", ["950", "1.299", "12.500", "1.750"], '"1.299" is 1.299 or 1299', {"decimal": "."},
        [950, 1.299, 12.5, 1.75]),
    "commas": ("\t", ["950", "1,299"], '"1,299" is 1.299 or 1299', {"decimal": "."}, [950, 1299]),
    "commas as decimals": ("|", ["1,250", "1,299"], '"1,250" is 1.25 or 1250', {"decimal": ","}, [1.25, 1.299]),
    "kept as text": (";", ["950", "1.299"], '"1.299" is', {"text": ["a"]}, ["950", "1.299"]),
    "days": (",", ["03/04/2024", "05/06/2024"], '"03/04/2024" may be day, month, year or month, day, year, and no date',
             {"day_first": True}, [day(2024, 4, 3), day(2024, 6, 5)]),
    "months": (",", ["03/04/2024", "05/06/2024"], "day_first=True or day_first=False (--day-first or --month-first)",
               {"day_first": False}, [day(2024, 3, 4), day(2024, 5, 6)]),
    "two digits": (",", ["03-04-05", "06-07-08"], '"03-04-05" may be', {"day_first": True},
                   [day(2005, 4, 3), day(2008, 7, 6)]),
}  # fmt: skip


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_ambiguous_columns_are_refused_until_told(case: str, tmp_path: Path) -> None:
    separator, cells, message, options, expected = AMBIGUOUS[case]
    path = written(tmp_path, separator, {"a": cells, "y": ["u"] * len(cells)})
    with pytest.raises(TableError, match=re.escape(message)):
        read_table(path)
    assert read_table(path, **options)["a"].to_list() == expected


def test_dates_with_points_are_taken_day_first_and_said(tmp_path: Path) -> None:
    path = written(tmp_path, ",", {"a": ["01.02.2024", "03.04.2024"], "y": ["u", "v"]})
    assert as_table(path).notes == (
        "a: read as dates written as day, month, year; day_first=False reads the month first",
    )
    assert read_table(path, day_first=False)["a"].to_list() == [day(2024, 1, 2), day(2024, 3, 4)]


def test_refuses_unknown_rules(tmp_path: Path) -> None:
    path = written(tmp_path, ",", {"a": ["1", "2"], "y": ["u", "v"]})
    with pytest.raises(ArgumentError, match=r'decimal: expected "." or ",", got \';\'.'):
        read_table(path, decimal=";")
    with pytest.raises(ArgumentError, match=r"day_first: expected True or False, got 'yes'."):
        read_table(path, day_first="yes")  # pyright: ignore[reportArgumentType]


# --- learnt from, in every kind of table, and read in the same way afterwards ---------------------------------------

rng = np.random.default_rng(5)
VALUES = rng.normal(0, 4000, 60).round(2)
WAYS: dict[str, tuple[Callable[[float], str], str]] = {
    "thousands points and decimal commas": (
        lambda v: f"{v:,.2f}".translate(str.maketrans(",.", ".,")), "with thousands points and decimal commas"),
    "decimal commas": (lambda v: str(v).replace(".", ","), "numbers written with decimal commas"),
    "dollars": (lambda v: f"{'-' if v < 0 else ''}${abs(v):,.2f}", 'thousands commas and decimal points, in "$"'),
    "minus sign": (lambda v: str(v).replace("-", MINUS), ""),
    "kilograms": (lambda v: f"{v} kg", 'decimal points, in "kg"'),
    "parentheses": (lambda v: f"({-v:,.2f})" if v < 0 else f"{v:,.2f}", "negative ones in parentheses"),
}  # fmt: skip
TABLES: dict[str, Callable[[dict[str, list[Any]], Path], Any]] = {
    "file": lambda columns, folder: written(folder, ";", columns | {"b": ["x"] * len(columns["a"])}),
    "dict": lambda columns, folder: columns,
    "pandas": lambda columns, folder: pd.DataFrame(columns),
    "pandas object": lambda columns, folder: pd.DataFrame(columns).astype(object),
    "polars": lambda columns, folder: pl.DataFrame(columns),
    "pyarrow": lambda columns, folder: pa.table(columns),
}


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("way", WAYS)
def test_same_inputs_from_every_kind_of_table(way: str, kind: str, tmp_path: Path) -> None:
    write, words = WAYS[way]
    labels = ["u", "v"] * (len(VALUES) // 2)
    encoding = TableEncoding.fit(TABLES[kind]({"a": [write(v) for v in VALUES], "y": labels}, tmp_path), "y")
    numbers = TableEncoding.fit({"a": VALUES.tolist(), "y": labels}, "y")
    assert words in encoding.describe()[0].description
    again = TableEncoding.from_dict(encoding.to_dict())
    for few in (VALUES, [1299.0, 950.5], [1299.0], [-1299.5]):
        table = TABLES[kind]({"a": [write(float(v)) for v in few]}, tmp_path)
        np.testing.assert_array_equal(again.features(table), numbers.features({"a": list(map(float, few))}))


def test_one_later_row_is_read_as_the_training_rows_were(tmp_path: Path) -> None:
    cells = [f"{v:,}".replace(",", ".") for v in range(900, 20900, 500)]
    labels = ["u", "v"] * 20
    encoding = TableEncoding.fit(written(tmp_path, ";", {"a": cells, "y": labels}), "y", decimal=",")
    assert encoding.rules.notations["a"].form == "1.234,5"
    expected = TableEncoding.fit({"a": list(range(900, 20900, 500)), "y": labels}, "y").features({"a": [1299, 12500]})
    for table in (written(tmp_path, ";", {"a": ["1.299", "12.500"]}), {"a": ["1.299", "12.500"]}):
        np.testing.assert_array_equal(encoding.features(table), expected)
    expected_words = "expected numbers written with thousands points and decimal commas, as in training"
    message = f'Column "a", row 1: {expected_words}, got "12,500.5"'
    with pytest.raises(TableError, match=re.escape(message)):
        encoding.features({"a": ["1.299", "12,500.5"]})


def test_later_rows_of_decimals_are_not_in_doubt(tmp_path: Path) -> None:
    cells = [f"{v:.3f}" for v in np.linspace(0.5, 20, 40)]
    encoding = TableEncoding.fit(written(tmp_path, ",", {"a": cells, "y": ["u", "v"] * 20}), "y")
    later = written(tmp_path, ",", {"a": ["9", "1.299", "12.500", "1.750"], "b": ["x"] * 4})
    np.testing.assert_array_equal(encoding.features(later), encoding.features({"a": [9, 1.299, 12.5, 1.75]}))


def test_dates_of_later_rows_are_read_in_the_order_of_the_training_rows(tmp_path: Path) -> None:
    cells = [f"{d}/{m}/2024" for d in range(1, 29) for m in range(1, 13)]
    labels = ["u", "v"] * (len(cells) // 2)
    encoding = TableEncoding.fit({"a": cells, "y": labels}, "y")
    dates = TableEncoding.fit({"a": [day(2024, m, d) for d in range(1, 29) for m in range(1, 13)], "y": labels}, "y")
    for table in (written(tmp_path, ",", {"a": ["03/04/2024"]}), {"a": ["3/4/2024"]}):
        np.testing.assert_array_equal(encoding.features(table), dates.features({"a": [day(2024, 4, 3)]}))


def test_regression_on_prices_in_any_notation(tmp_path: Path) -> None:
    prices = [f"{v:,.2f} €".translate(str.maketrans(",.", ".,")) for v in np.linspace(900, 5000, 40)]
    for table in (
        written(tmp_path, ";", {"a": [str(i % 7) for i in range(40)], "y": prices}),
        {"a": [i % 7 for i in range(40)], "y": prices},
    ):
        encoding = TableEncoding.fit(table, "y", task="regression")
        np.testing.assert_allclose(
            encoding.decode(encoding.targets(table))["y"], np.linspace(900, 5000, 40).round(2), rtol=1e-6
        )


# --- strays: refused by column, row and cell ------------------------------------------------------------------------

TENTHS = [f"{v:.1f}".replace(".", ",") for v in np.linspace(-20, 20, 200)]
STRAYS: dict[str, tuple[list[str], str]] = {
    "a dash among decimal commas": (
        ["-" if i == 7 else c for i, c in enumerate(TENTHS)],
        'all values are numbers written with decimal commas, except in line 9 of the file: "-"'),
    "a dash in most cells": (
        ["-" if i % 5 else c for i, c in enumerate(TENTHS)],
        'except in lines 3, 4, 5, 6, 8 and 155 more of the file: "-"'),
    "another decimal sign": (
        ["1.5" if i == 7 else c for i, c in enumerate(TENTHS)], 'except in line 9 of the file: "1.5"'),
    "another unit": (
        [f"{i} {'lb' if i == 7 else 'kg'}" for i in range(200)], 'in "kg", except in line 9 of the file: "7 lb"'),
    "an impossible date": (
        [f"2024-{i % 12 + 1:02}-{i % 28 + 1 if i != 7 else 32}" for i in range(200)],
        'except in line 9 of the file: "2024-08-32"'),
    "two orders of dates": (
        [f"{i % 28 + 1}/{i % 12 + 1}/2024" if i % 2 else f"{i % 12 + 1}/{i % 28 + 1}/2024" for i in range(200)],
        "two notations: most values are dates written as day, month, year, but those in lines "),
    "two decimal signs": (
        [c if i % 2 else c.replace(",", ".") for i, c in enumerate(TENTHS)],
        'such as "-19,8", are numbers written with decimal commas. Write all in one way, or keep'),
    "two units": (
        [f"{i / 2} {'kg' if i % 3 else 'lb'}" for i in range(200)],
        'are numbers written with decimal points, in "lb"'),
    "a word in a third of the rows": (["sold out" if i % 3 == 0 else c for i, c in enumerate(TENTHS)], '"sold out"'),
    "the sum below": ([*TENTHS[:199], "Total"], 'except in line 201 of the file: "Total"'),
    "a word among few values": (
        ["many" if i == 7 else str(i % 4) for i in range(200)], 'except in line 9 of the file: "many"'),
}  # fmt: skip


@pytest.mark.parametrize("case", STRAYS)
def test_stray_cells_are_refused_by_row(case: str, tmp_path: Path) -> None:
    cells, message = STRAYS[case]
    path = written(tmp_path, ";", {"a": cells, "b": [str(i % 7) for i in range(200)], "y": ["u", "v"] * 100})
    with pytest.raises(TableError, match=re.escape(message)):
        TableEncoding.fit(path, "y")
    assert TableEncoding.fit(path, "y", drop="a").inputs == 1


def test_a_dash_is_missing_when_told(tmp_path: Path) -> None:
    path = written(tmp_path, ";", {"a": STRAYS["a dash among decimal commas"][0], "y": ["u", "v"] * 100})
    encoding = TableEncoding.fit(path, "y", missing="-")
    assert encoding.input_names == ("a", "a is missing")
    again = TableEncoding.from_dict(encoding.to_dict())
    np.testing.assert_array_equal(again.features({"a": ["-"]})[:, 1], [1])


@pytest.mark.parametrize("mark", ["n/a", ".", "<null>", "NULL", "#N/A", "missing", "None", "NaT"])
@pytest.mark.parametrize("times", [1, 10, 120])
def test_marks_are_missing_at_any_share(mark: str, times: int, tmp_path: Path) -> None:
    cells = [mark if i < times else str(v) for i, v in enumerate(rng.normal(0, 5, 200).round(2))]
    path = written(tmp_path, ",", {"a": cells, "y": ["u", "v"] * 100})
    assert read_table(path)["a"].null_count() == times
    assert TableEncoding.fit(path, "y").input_names == ("a", "a is missing")


def test_marks_are_missing_among_truths(tmp_path: Path) -> None:
    path = written(tmp_path, ",", {"a": ["true", "n/a", "FALSE"], "y": ["u", "v", "u"]})
    assert read_table(path)["a"].to_list() == [True, None, False]


def test_marks_stay_texts_among_texts(tmp_path: Path) -> None:
    path = written(tmp_path, ",", {"a": ["missing", "low", "."], "y": ["u", "v", "u"]})
    assert read_table(path)["a"].to_list() == ["missing", "low", "."]


def test_ranges_among_few_numbers_are_categories() -> None:
    table = {"a": [("1", "2", "3 or more")[i % 3] for i in range(60)], "y": ["u", "v"] * 30}
    assert TableEncoding.fit(table, "y").input_names == ("a=1", "a=2", "a=3 or more")


JOINED = {"a": [str(i % 10) for i in range(100)], "b": [str(i % 4) for i in range(100)], "y": ["hi", "lo"] * 50}


def test_the_line_of_names_among_the_rows_is_refused(tmp_path: Path) -> None:
    again = {name: [*values[:50], name, *values[50:], name] for name, values in JOINED.items()}
    with pytest.raises(
        TableError, match=r'the column names "a", "b" ... stand again among the rows, in line 52 of the'
    ):
        TableEncoding.fit(written(tmp_path, ",", again), "y")
    for table in (again, pd.DataFrame(again), pl.DataFrame(again)):
        with pytest.raises(TableError, match=r"stand again among the rows, in row 50 \(and 1 more\)"):
            TableEncoding.fit(table, "y")
    assert TableEncoding.fit(written(tmp_path, ",", JOINED), "y").inputs == 2


def test_a_report_of_what_was_read(tmp_path: Path) -> None:
    columns = {
        "a": ["1.299,5", "n/a", "3"],
        "b": ["12 kg", "13 kg", "14 kg"],
        "c": ["1", "2", "3"],
        "y": ["u", "v", "u"],
    }
    assert as_table(written(tmp_path, ";", columns)).notes == (
        'a: read as numbers written with thousands points and decimal commas; "n/a" is missing (1 row)',
        'b: read as numbers written with decimal commas, in "kg"',
    )


SHORT_YEARS = [
    (range(40, 99), 1940, 1998),  # birthdays: the hundred years begin where no year is
    ([70, 80, 99, 5, 20], 1970, 2020),
    ([5, 20, 40], 2005, 2040),
    ([70, 85], 1970, 1985),
    (range(100), 1969, 2068),  # every year: POSIX
]


@pytest.mark.parametrize(("years", "first", "last"), SHORT_YEARS)
def test_years_of_two_digits_are_of_one_range_that_is_reported_and_kept(tmp_path, years, first, last):
    file = tmp_path / "born.csv"
    rows = [f"{i % 28 + 1:02d}/{i % 12 + 1:02d}/{year:02d},{i}" for i, year in enumerate([*years] * 5)]
    file.write_text("born,y\n" + "\n".join(rows))
    table = as_table(file)
    born = table["born"].dt.year()
    assert (born.min(), born.max()) == (first, last)
    assert table.notes[-1].endswith(f"; years of two digits are {first} to {last}")
    encoding = TableEncoding.fit(file, "y")
    short, full = {"born": [rows[0][:8]]}, {"born": [rows[0][:6] + str(born[0])]}
    np.testing.assert_array_equal(encoding.features(short), encoding.features(full))
    assert TableEncoding.from_dict(encoding.to_dict()) == encoding


@pytest.mark.parametrize("missing", [["-999"], [-999], "-999.0", -999.0])
@pytest.mark.parametrize("kind", ["frame", "file"])
def test_numbers_may_mean_a_missing_value(tmp_path, kind, missing):
    table = pl.DataFrame({"temp": [20.5, -999.0, 18.0] * 10, "y": range(30)})
    if kind == "file":
        table.write_csv(tmp_path / "t.csv")
    data = table if kind == "frame" else tmp_path / "t.csv"
    encoding = TableEncoding.fit(data, "y", missing=missing)
    assert encoding.input_names == ("temp", "temp is missing")
    np.testing.assert_array_equal(encoding.features({"temp": [-999.0]}), encoding.features({"temp": [None]}))
    assert encoding.encoders[0].name == "temp"
    if kind == "file":
        assert read_table(data, missing=missing)["temp"].null_count() == 10


def test_a_mark_that_no_cell_has_is_reported():
    rules = ReadingRules.check(missing=["-99"])
    assert as_table({"temp": [20.5, -999.0]}, rules=rules).notes == ('missing: no cell of the table is "-99"',)


def test_two_forms_of_unicode_are_one_name_and_one_category():
    composed, combined = "Gr\u00f6\u00dfe", "Gro\u0308\u00dfe"
    city = ["K\u00f6ln", "Ulm"] * 10
    encoding = TableEncoding.fit({composed: city, "y": range(20)}, "y", categorical=[combined])
    same = encoding.features({combined: ["Ko\u0308ln"]})
    np.testing.assert_array_equal(same, encoding.features({composed: ["K\u00f6ln"]}))
    assert TableEncoding.fit({"a": range(20), combined: city}, composed).target_names == (composed,)
