"""Exercise sheets, units counted from 1, the letters of a lecture, contents and folding."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import clearprop as cp
from clearprop.errors import ArgumentError
from tests.explain.worked.test_solution import EXAMPLE, NAMES, PUBLISHED, balanced, skipping


@pytest.fixture(scope="module")
def trace() -> cp.Trace:
    params = EXAMPLE["NET"].initialize(given=EXAMPLE["START"])
    return cp.backpropagate(EXAMPLE["NET"], params, EXAMPLE["X"], EXAMPLE["TARGET"], loss=cp.SquaredError())


GIVEN, RESULTS = PUBLISHED[:14], PUBLISHED[14:]


def test_an_exercise_sheet_has_what_is_given_and_no_result(trace):
    page = cp.worked_solution(trace, learning_rate=0.5, answers=False).html()
    numbers = set(re.findall(r"<mn>([\d.]+)</mn>", page))
    assert {f"{float(number):g}" for number in GIVEN} <= numbers
    assert not {f"{abs(float(number)):.9f}".rstrip("0") for number in RESULTS} & numbers
    assert not [n for n in numbers if len(n) > 6]
    drawn = re.findall(r"<text[^>]*>([^<]*)</text>", page)
    assert not [text for text in drawn if re.search(r"\d\.\d{3}", text)]
    units, parameters = 4, 12
    assert page.count('class="blank"') == units * 2 + units * 2 + 2 + parameters + 3 * parameters + 1
    ET.fromstring(page[page.index("<body") : page.index("</body>") + len("</body>")])


def test_an_exercise_sheet_does_not_give_away_signs_or_slopes():
    page = cp.worked_solution(skipping(), answers=False).html()
    assert "because" not in page
    assert "agree" not in page
    assert "The cost fell" not in page
    assert "The cost after the step: " in page


def test_an_exercise_sheet_in_latex_is_balanced(trace):
    latex = cp.worked_solution(trace, answers=False).latex()
    assert balanced(latex)
    assert latex.count(r"\underline{\hspace{6em}}") == 16 + 2 + 12 + 36 + 1
    assert "0.593269992" not in latex


def test_units_and_samples_are_counted_from_one():
    page = cp.worked_solution(skipping(), count_from=1).html()
    for text in ("Sample 1", "Sample 2", "input[1]", "input[2]", "hidden[2]", "output[3]"):
        assert text in page, text
    assert "Sample 0" not in page
    assert "[0]" not in page
    named = cp.worked_solution(skipping(), names=NAMES, count_from=1).html()
    assert "age &amp; &lt;co&gt;" in named
    assert "hidden[1]" in named


LETTERS = {"z": "net", "a": "o", "J": "E", "alpha": "η", "delta": "ϑ", "b": "θ"}


def test_the_letters_of_a_lecture():
    solution = cp.worked_solution(skipping(), learning_rate=0.2, letters=LETTERS)
    page, latex = solution.html(), solution.latex()
    letters = set(re.findall(r"<mi>([^<]*)</mi>", page))
    assert set(LETTERS.values()) <= letters
    assert not {"z", "a", "J", "α", "δ", "b"} & letters
    assert "because net" in page
    for command in (r"\mathrm{\text{net}}", r"\eta", r"\theta", r"\vartheta"):
        assert command in latex
    assert balanced(latex)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"letters": {"dleta": "d"}}, "letters: unknown quantity 'dleta'; did you mean 'delta'?"),
        ({"letters": {"z": ""}}, "letters[\"z\"]: expected a letter or a short text, got ''."),
        ({"letters": "z"}, "letters: expected texts by quantity, a dict, got 'z'."),
        ({"count_from": 2}, "count_from: expected"),
        ({"answers": "no"}, "answers: expected"),
    ],
)
def test_options_out_of_range(trace, options, message):
    with pytest.raises(ArgumentError) as caught:
        cp.worked_solution(trace, **options)
    assert message in str(caught.value)


def test_sections_are_listed_and_fold(trace):
    page = cp.worked_solution(trace).html()
    links = re.findall(r'<a href="#(section-\d)">([^<]*)</a>', page)
    assert links[0][1] == "What is given"
    assert len(links) == page.count("<section") == 6
    assert all(f'id="{target}"' in page for target, _ in links)
    assert page.count('<details open="open"><summary><h2>') == 6
    batch = cp.worked_solution(skipping()).html()
    assert batch.count("<summary><h3>Sample ") == 4  # two samples, forward and backward


def test_formulas_scroll_on_narrow_screens(trace):
    page = cp.worked_solution(trace).html()
    assert page.count('<table class="equation">') == page.count('<div class="scroll"><table class="equation">') > 20


def test_blank_numbers_are_those_of_the_solution(trace):
    """The formulas of the exercise are those of the solution."""
    solved, asked = (cp.worked_solution(trace, answers=answers).sections for answers in (True, False))
    assert [section.title for section in solved] == [section.title for section in asked]
    np.testing.assert_array_equal([len(s.items) for s in solved[:5]], [len(s.items) for s in asked[:5]])
