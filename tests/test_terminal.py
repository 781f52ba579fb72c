"""Text fits into the terminal: its width, wrapped lines, tables, and all that prints arrays of numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

import clearprop as cp
from clearprop.cli.app import main
from clearprop.gallery import scripts
from clearprop.terminal import format_table, terminal_width, wrap


def test_a_pipe_has_80_columns_whatever_the_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert terminal_width() == 80
    monkeypatch.setattr(sys, "stdout", None)
    assert terminal_width() == 80


def test_a_terminal_has_its_own_width(terminal: Callable[[int], None]):
    terminal(123)
    assert terminal_width() == 123


def test_wrapped_lines_keep_their_indent_and_long_words(terminal: Callable[[int], None]):
    terminal(20)
    assert wrap("one two three four five\n\n  six seven eight nine").split("\n") == [
        "one two three four",
        "  five",
        "",
        "  six seven eight",
        "    nine",
    ]
    path = "/a/path/of/more/than/twenty/characters"
    assert wrap(f"in {path}", indent=4) == f"in\n    {path}"


NAMES = ["epoch", "cost", "validation cost", "validation log loss"]
ROWS = [["1", 1234.5678, 1e-5 / 3, 0.5], ["1,000", -0.25, 2.0, 1 / 3]]

#: The table at widths that need names in two lines, fewer digits, and several tables.
TABLES = {
    80: """\
epoch     cost  validation cost  validation log loss
    1  1234.57      3.33333e-06                  0.5
1,000    -0.25                2             0.333333""",
    40: """\
                validation  validation
epoch     cost         cost    log loss
    1  1234.57  3.33333e-06         0.5
1,000    -0.25            2    0.333333""",
    38: """\
              validation  validation
epoch   cost        cost    log loss
    1   1235   3.333e-06         0.5
1,000  -0.25           2      0.3333""",
    25: """\
              validation
epoch   cost        cost
    1   1235   3.333e-06
1,000  -0.25           2

       validation
epoch    log loss
    1         0.5
1,000      0.3333""",
}


@pytest.mark.parametrize("columns", TABLES)
def test_tables_that_fit(columns: int, terminal: Callable[[int], None]):
    terminal(columns)
    shown = format_table(NAMES, ROWS)
    assert [line.split() for line in shown.splitlines()] == [line.split() for line in TABLES[columns].splitlines()]
    assert max(map(len, shown.splitlines())) <= columns


def test_the_least_width_gives_way_and_texts_can_be_on_the_left(terminal: Callable[[int], None]):
    terminal(80)
    assert format_table(["a", "b"], [["x", 1.0]], least=6, left=[0]) == "a       b\nx       1"
    terminal(8)
    assert format_table(["a", "b"], [["x", 1.0]], least=6) == "\na  b\nx  1"


def wide_history() -> cp.History:
    names = ["cost", "validation cost", "accuracy", "validation accuracy", "learning rate", "gradient norm", "seconds"]
    return cp.History({name: [1 / (3e4 * i + 7) for i in range(2_000)] for name in names}, stopped="finished. " * 20)


NET = cp.Network.sequential(30, 12, 1_500, 11, hidden="tanh")
EARLIER = ["input", *(f"layer{i}" for i in range(9))]
WIRED = cp.Network(2, [cp.Layer(f"layer{i}", 1_200, sources=EARLIER[: i + 1]) for i in range(9)])
X = np.random.default_rng(0).normal(size=(1_234, 30))

#: What prints numbers, and a text that has to be in it.
PRINTED: dict[str, tuple[Callable[[], object], str]] = {
    "history": (wide_history, "2,000"),
    "network": (lambda: WIRED, "11,523,600 parameters"),
    "params": (lambda: NET.initialize(seed=0), "1,492 more rows and"),
    "trace": (lambda: cp.backpropagate(NET, NET.initialize(), X, X[:, :11], "squared_error"), "1,230 more samples"),
}
assert len(PRINTED) == 4


@pytest.mark.parametrize("columns", [60, 80, 100, 140])
@pytest.mark.parametrize("name", PRINTED)
def test_nothing_printed_is_wider_than_the_terminal(name: str, columns: int, terminal: Callable[[int], None]):
    make, part = PRINTED[name]
    terminal(columns)
    text = str(make())
    assert part in text
    assert max(map(len, text.splitlines())) <= columns


@pytest.mark.parametrize(("columns", "numbers"), [(60, 4), (80, 5), (110, 8), (300, 8)])
def test_as_many_columns_of_a_matrix_as_fit(columns: int, numbers: int, terminal: Callable[[int], None]):
    terminal(columns)
    row = str(NET.initialize(seed=0)).splitlines()[2]
    assert len(row.removesuffix(" ...").split()) == numbers
    assert row.endswith(" ...")


def test_errors_are_broken_at_spaces_in_a_terminal_only(
    terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    terminal(40)
    shown = []
    for is_terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda is_terminal=is_terminal: is_terminal)
        with pytest.raises(SystemExit) as ended:
            main(["gallery", "--seeds", "3"])
        assert ended.value.code == 2
        shown.append(capsys.readouterr().err)
    assert shown[0] == "clearprop: gallery: --seeds and --picture need the name of an example.\n"
    assert shown[1] == "clearprop: gallery: --seeds and\n  --picture need the name of an example.\n"


@pytest.mark.parametrize("columns", [60, 80])
def test_the_list_of_the_gallery_fits(
    columns: int, terminal: Callable[[int], None], capsys: pytest.CaptureFixture[str]
):
    terminal(columns)
    with pytest.raises(SystemExit) as ended:
        main(["gallery"])
    assert ended.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert sum(not line.startswith(" ") for line in lines) == len(scripts())
