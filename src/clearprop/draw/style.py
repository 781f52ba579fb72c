"""The style sheets with their CSS classes for colours, and the script of the report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clearprop.core.network import Network


@cache
def style_sheet(*pages: str) -> str:
    """The style sheet of all drawings, followed by those of `pages`, without comments."""
    folder = resources.files("clearprop.draw")
    sheets = [folder.joinpath(f"{name}.css").read_text(encoding="utf-8") for name in ("style", *pages)]
    return re.sub(r"/\*.*?\*/\n", "", "".join(sheets)).strip()


@cache
def script(page: str) -> str:
    """The script of a page, without comments."""
    text = resources.files("clearprop.draw").joinpath(f"{page}.js").read_text(encoding="utf-8")
    return re.sub(r" */\*.*?\*/\n", "", text).strip()


def light_colour(name: str) -> str:
    """The six digits of a colour of the light palette, for notations without style sheets.

    >>> light_colour("first"), light_colour("input") == light_colour("ramp0")
    ('1F6FB4', True)
    """
    value = re.findall(rf"--{name}: (?:#(\w+)|var\(--(\w+)\));", style_sheet())[0]
    return value[0].upper() or light_colour(value[1])


def ramp(count: int) -> list[str]:
    """Classes of colours for `count` things that follow each other.

    >>> ramp(3)
    ['ramp0', 'ramp4', 'ramp7']
    """
    return [f"ramp{round(i * 7 / max(1, count - 1))}" for i in range(count)]


def contrasting(count: int) -> Sequence[str]:
    """Classes of colours for `count` things: two opposite colours, or a ramp."""
    return ("second", "first")[2 - count :] if count <= 2 else ramp(count)


def colours_of_layers(net: Network) -> dict[str, str]:
    """The classes of each layer by name: its kind and its colour, the same in all pictures of a network.

    >>> from clearprop import Network
    >>> colours_of_layers(Network.sequential(2, 3, 3, 1))
    {'input': 'input', 'hidden1': 'hidden ramp1', 'hidden2': 'hidden ramp5', 'output': 'output'}
    """
    outputs = net.outputs or ()
    hidden = [layer.name for layer in net.layers if layer.name not in outputs]
    shades = ["hidden" if shade == "hidden" else f"hidden {shade}" for shade in layer_classes(len(hidden), 0)]
    return {"input": "input"} | dict(zip(hidden, shades, strict=True)) | dict.fromkeys(outputs, "output")


def layer_classes(hidden: int, outputs: int = 1) -> list[str]:
    """Classes of colours for layers from the input to the output; a single hidden layer has the colour of its kind.

    >>> layer_classes(1), layer_classes(3)
    (['hidden', 'output'], ['ramp1', 'ramp3', 'ramp5', 'output'])
    """
    shades = ["hidden"] if hidden == 1 else [f"ramp{1 + round(i * 4 / max(1, hidden - 1))}" for i in range(hidden)]
    return shades + ["output"] * outputs
