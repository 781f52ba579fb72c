"""The style sheets: one palette, in which every colour that is used is defined."""

from __future__ import annotations

import re

import pytest

from clearprop.draw.style import contrasting, layer_classes, ramp, style_sheet


@pytest.mark.parametrize("pages", [(), ("page", "report"), ("page", "solution")])
def test_every_colour_that_is_used_is_defined(pages):
    sheet = style_sheet(*pages)
    defined = set(re.findall(r"(--\w+):", sheet)) | {"--w"}  # the width of a drawing is set by the drawing
    assert set(re.findall(r"var\((--\w+)", sheet)) <= defined


def test_colours_are_written_only_in_the_palette():
    palette, rules = style_sheet("page", "report").split("svg.clearprop.figure", 1)
    assert not re.search(r"#[0-9a-f]{3,8}\b", rules)
    light, dark, _ = palette.split("@media")
    names = [set(re.findall(r"(--\w+): #", part)) for part in (light, dark)]
    assert names[0] == names[1]


def test_classes_of_colours_have_rules():
    sheet = style_sheet()
    for count in range(1, 20):
        for class_ in (*ramp(count), *contrasting(count), *layer_classes(count)):
            assert re.search(rf"\.clearprop \.{class_}[ ,]", sheet)


def test_layers_end_with_the_colour_of_outputs():
    assert layer_classes(0) == ["output"]
    assert layer_classes(2, 2) == ["ramp1", "ramp5", "output", "output"]
