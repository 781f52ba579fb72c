"""The style sheets: one palette, in which every colour that is used is defined."""

from __future__ import annotations

import re

import pytest

from clearprop import Network
from clearprop.draw.confusion_charts import shade
from clearprop.draw.style import colours_of_layers, contrasting, layer_classes, ramp, script, style_sheet


@pytest.mark.parametrize("pages", [(), ("page", "report"), ("page", "equations", "solution")])
def test_every_colour_that_is_used_is_defined(pages):
    sheet = style_sheet(*pages)
    defined = set(re.findall(r"(--\w+):", sheet)) | {
        "--w",
        "--s",
    }  # the width of a drawing and a shade are set by the drawing
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


def test_layers_have_one_colour_in_all_pictures():
    assert colours_of_layers(Network.sequential(2, 3, 1)) == {"input": "input", "hidden": "hidden", "output": "output"}
    assert colours_of_layers(Network.sequential(2, 3, 3, 1))["hidden2"] == "hidden ramp5"


@pytest.mark.parametrize("pages", [(), ("page", "report"), ("page", "equations", "solution")])
def test_every_rule_is_scoped(pages):
    rules = re.sub(r"@media[^{]*\{|@page[^}]*\}", "", style_sheet(*pages))
    selectors = [selector.strip() for selector in re.findall(r"([^{}]+)\{[^}]*\}", rules)]
    assert len(selectors) > 50
    scope = ("clearprop", ".report", ".solution")
    loose = [s for s in selectors if not any(name in s for name in scope)]
    assert loose == []


def luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """The contrast of two colours by WCAG 2.2."""
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def palettes() -> list[dict[str, tuple[float, ...]]]:
    """Light and dark."""
    blocks = re.findall(r"\.clearprop \{(.*?)\}", style_sheet(), re.DOTALL)[:2]
    return [
        {
            name: tuple(int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))
            for name, code in re.findall(r"--(\w+): #(\w{6})", block)
        }
        for block in blocks
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_texts_have_the_contrast_of_wcag(dark):
    palette = palettes()[dark]
    for text in ("ink", "soft", "first", "second", "wrong", "fine"):
        for ground in ("card", "page"):
            assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground)
    for graphic in (f"ramp{i}" for i in range(8)):
        assert contrast(palette[graphic], palette["card"]) >= 3, graphic


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("kind", ["first", "second"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_counts_on_shaded_cells_can_be_read(dark, kind, share):
    palette = palettes()[dark]
    most = float(re.findall(r"--most: ([.\d]+);", style_sheet())[dark])
    opacity = shade(share) * most
    cell = tuple(opacity * c + (1 - opacity) * g for c, g in zip(palette[kind], palette["card"], strict=True))
    assert contrast(palette["ink"], cell) >= 4.5


def test_the_script_needs_no_escapes():
    assert not re.search("[<&]", script("report"))
    assert "/*" not in script("report")
