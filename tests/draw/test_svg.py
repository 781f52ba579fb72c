"""Elements, numbers, scales and plots."""

from __future__ import annotations

import itertools
import math
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearprop.draw.axes import Plot, epoch_scale, linear_scale, log_scale, share_scale, spread
from clearprop.draw.svg import element, number, percent, shorten, text_width

numbers = st.floats(-1e12, 1e12, allow_nan=False)


@given(st.lists(numbers, min_size=1, max_size=20))
def test_linear_scale_covers_its_values_with_few_ticks(values):
    scale = linear_scale(values)
    assert scale.low <= min(values)
    assert scale.high >= max(values)
    assert 2 <= len(scale.ticks) <= 8
    assert len(scale.labels) == len(set(scale.labels)) or max(values) - min(values) < 1e-3 * max(map(abs, values))
    positions = scale.position(values)
    assert ((positions >= 0) & (positions <= 1)).all()


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=20))
def test_log_scale_covers_its_values_with_few_ticks(values):
    scale = log_scale(values)
    assert scale.low <= min(values) * (1 + 1e-9)
    assert scale.high >= max(values) * (1 - 1e-9)
    assert 2 <= len(scale.ticks) <= 8
    assert all(0 <= position <= 1 for position in scale.position(scale.ticks))


@pytest.mark.parametrize("values", [[], [0.0], [-1.0, 0.0], [math.nan]])
def test_log_scale_without_positive_values_is_still_valid(values):
    assert log_scale(values).low < log_scale(values).high


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 30, 100, 99_999])
def test_epoch_ticks_are_integers_and_start_at_one(epochs):
    scale = epoch_scale(epochs)
    assert scale.ticks[0] == 1
    assert all(tick == int(tick) and 1 <= tick <= epochs for tick in scale.ticks)
    assert len(scale.ticks) <= 7


def test_share_scale_begins_at_zero_and_ends_at_one():
    assert (share_scale().low, share_scale().high) == (0, 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1, "1"), (-1.5, "−1.5"), (1234.5678, "1,235"), (0.00012345, "0.000123"), (1e-12, "10⁻¹²"),
        (3e10, "3×10¹⁰"), (math.nan, "–"), (math.inf, "∞"), (-math.inf, "−∞"), (999.9, "1,000"), (100, "100"),
    ],
)  # fmt: skip
def test_numbers_for_people(value, text):
    assert number(value) == text.replace("10⁻¹²", "1×10⁻¹²")


def test_percent_shows_one_decimal():
    assert [percent(share) for share in (0, 0.5, 0.1234, 1, math.nan)] == ["0%", "50%", "12.3%", "100%", "–"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_makes_a_well_formed_element(content, attribute):
    node = ElementTree.fromstring(element("text", content, title_=attribute, x=1.0))
    assert node.attrib["x"] == "1"


def test_markup_in_text_is_only_text():
    node = element("text", "<script>alert('&')</script>", class_='"><script>')
    assert "<script" not in node
    assert ElementTree.fromstring(node).text == "<script>alert('&')</script>"


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float32("nan")])
def test_a_coordinate_must_be_finite(value):
    with pytest.raises(ValueError, match="a coordinate must be a finite number, got"):
        element("circle", cx=value)


@given(st.text(max_size=80), st.floats(20, 200))
def test_shortened_text_fits(text, width):
    assert text_width(shorten(text, width)) <= max(width, text_width("…"))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
def test_spread_labels_do_not_overlap_and_stay_inside(wanted):
    positions = spread(wanted, apart=12, low=0, high=100)
    ordered = sorted(positions)
    assert all(b - a >= 12 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert ordered[0] >= -1e-9
    assert ordered[-1] <= 100 + 1e-9
    assert [positions[i] for i in np.argsort(wanted, kind="stable")] == ordered


def test_line_breaks_where_there_is_no_number_and_shows_a_lone_point():
    plot = Plot("p", epoch_scale(6), log_scale([0.1, 1]))
    plot.line([1, 2, 3, 4, 5, 6], [0.5, 0.4, math.nan, 0.3, 0.0, 0.2], "first", "tip")
    path, *dots = plot.parts
    assert path.count("M") == 3
    assert len(dots) == 2
