"""A player for recorded training: one HTML file with the network, its output and its cost at every recorded epoch.

Each frame is drawn as SVG with the same elements. The page has the last frame, and for each attribute that changes its
values by frame, which its script sets; an attribute that stays the same from frame to frame is written once.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from markupsafe import Markup, escape

from clearprop.core.network import Network
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace
from clearprop.draw.axes import Plot, linear_scale, log_scale
from clearprop.draw.document import items_html, page_html
from clearprop.draw.figure import Figure
from clearprop.draw.network import is_small
from clearprop.draw.svg import Drawing, element, number
from clearprop.draw.units import animate_units
from clearprop.errors import ArgumentError
from clearprop.explain.derivation.names import Names
from clearprop.serialization.atomic import write_atomically
from clearprop.views.planes import boundary_frames, has_boundary
from clearprop.views.recorder import Recorder, retrace, spread_out
from clearprop.views.validation import check_parameters, check_recorded, check_trace

_MOST_FRAMES, _SECONDS = 120, 12.0
_KEYS = "Keys: space plays and pauses, the arrows step, Home and End go to the first and the last frame."


@dataclass(frozen=True)
class Player:
    """A page that plays a training run; `save(path)` writes it, and a notebook displays it."""

    title: str
    figures: tuple[Figure, ...]  #: those of the last frame
    names: tuple[str, ...]  #: of the frames
    tracks: tuple[tuple[int, int, str, list[str | None]], ...]  #: panel, element, attribute, values by frame
    note: str

    def html(self) -> str:
        """The page, which needs nothing outside it; without scripts it shows the last frame."""
        milliseconds = round(max(40, min(400, 1000 * _SECONDS / len(self.names))))
        data = json.dumps(
            {"names": self.names, "tracks": self.tracks, "milliseconds": milliseconds},
            ensure_ascii=False, separators=(",", ":"), allow_nan=False,
        )  # fmt: skip
        for character in "<>&":  # nothing in the data can end the script or be taken for an entity
            data = data.replace(character, f"\\u{ord(character):04x}")
        controls = element(
            "div",
            element("button", "Play", type="button"),
            element("input", type="range", min=0, max=len(self.names) - 1, value=len(self.names) - 1, step=1,
                    aria_label="recorded epoch"),
            element("output", self.names[-1]),
            element("p", _KEYS, class_="keys"),
            class_="controls", hidden="",
        )  # fmt: skip
        frames = element("script", Markup(data), type="application/json", id="frames")
        silent = element("noscript", element("p", "Without scripts the page shows the last recorded epoch."))
        body = Markup("\n").join([silent, controls, *items_html(self.figures), frames])
        return page_html(
            "player", "Recorded training", self.title, element("p", self.note), body, "Drawn by clearprop."
        )

    def save(self, path: str | Path) -> None:
        """Write the page in one atomic step. Raises ArgumentError unless the name ends in .html."""
        if Path(path).suffix.lower() != ".html":
            raise ArgumentError(f"{path}: a player is a page; expected a name that ends in .html.")
        write_atomically(str(path), self.html().encode())

    def __repr__(self) -> str:
        return f'<Player: {len(self.names)} frames; save("name.html") writes it>'

    def _repr_html_(self) -> str:
        """A frame with the page in it, so that its script and style do not touch the notebook."""
        page = escape(self.html())
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 760px; border: 0" title="{self.title}"></iframe>'


def player(
    recorder: Recorder | Mapping[int, Parameters],
    trace: Trace,
    names: Mapping[str, Sequence[str]] | None = None,
) -> Player:
    """A page that plays the recorded epochs: the weights, the decision boundary, the cost with a marker.

    `trace` has the data of the cost. The network is drawn if it has at most 16 units in a layer; the decision boundary
    if it has two inputs, one output layer and targets that are classes. Of more than 120 recorded epochs 120 are shown.
    `names` are names of units by layer, such as {"input": ["age", "income"]}. Raises ArgumentError for fewer than two
    recorded epochs, DataError for parameters that are not finite.

    >>> import numpy as np, clearprop as cp
    >>> from clearprop import views
    >>> net = cp.Network.sequential(2, 1, output="sigmoid")
    >>> params = net.initialize(seed=0)
    >>> recorder = views.Recorder(params)
    >>> run = {"loss": "binary_cross_entropy", "callbacks": recorder, "epochs": 3}
    >>> history = cp.train(net, params, np.eye(2), [[0.0], [1.0]], **run)
    >>> trace = cp.backpropagate(net, params, np.eye(2), [[0.0], [1.0]], loss="binary_cross_entropy")
    >>> page = views.player(recorder, trace)
    >>> page, [figure.title for figure in page.figures]
    (<Player: 4 frames; save("name.html") writes it>, ['Weights', 'Decision boundary', 'Cost'])
    """
    net = check_trace(trace, "player").params.net
    recorded = check_recorded(recorder, net, "player")
    if len(recorded) < 2:
        raise ArgumentError("player: expected at least two recorded epochs; train with callbacks=recorder first.")
    frames = spread_out(recorded, _MOST_FRAMES)
    for _, params in frames:
        check_parameters(params, "player")
    costs = np.array([retrace(trace, params).cost for _, params in frames])
    figures = [*_weights(net, frames, names or {}), *_boundaries(trace, frames, names or {})]
    figures.append(_costs([epoch for epoch, _ in frames], costs))
    tracks = [(panel, *track) for panel, drawn in enumerate(figures) for track in _tracks([f.panels[0] for f in drawn])]
    labels = tuple(f"epoch {epoch:,}: cost {number(J)}" for (epoch, _), J in zip(frames, costs, strict=True))
    note = _note(net, trace, len(frames), len(recorded))
    return Player("Training, epoch by epoch", tuple(drawn[-1] for drawn in figures), labels, tuple(tracks), note)


def _note(net: Network, trace: Trace, shown: int, recorded: int) -> str:
    parts = [f"{shown:,} of {recorded:,} recorded epochs." if shown < recorded else f"{shown:,} recorded epochs."]
    if not is_small(net):
        parts.append("The network has too many units to draw each of them.")
    if not has_boundary(trace):
        parts.append("A decision boundary needs two inputs, one output layer, and targets that are classes.")
    return " ".join(parts)


Frames = list[tuple[int, Parameters]]


def _weights(net: Network, frames: Frames, names: Mapping[str, Sequence[str]]) -> list[list[Figure]]:
    if not is_small(net):
        return []
    drawings = animate_units(net, [params for _, params in frames], Names(net, names).given, "Units and weights")
    note = "All frames share one scale: the widest link is the largest weight of all."
    return [[Figure("Weights", (drawing,), note, size="wide") for drawing in drawings]]


def _boundaries(trace: Trace, frames: Frames, names: Mapping[str, Sequence[str]]) -> list[list[Figure]]:
    if not has_boundary(trace):
        return []
    drawings, note, legend = boundary_frames(trace, [params for _, params in frames], names)
    return [[Figure("Decision boundary", (drawing,), note, legend) for drawing in drawings]]


def _costs(epochs: Sequence[int], costs: np.ndarray) -> list[Figure]:
    """The cost curve, with a marker at each epoch in turn."""
    finite = costs[np.isfinite(costs)]
    log = len(finite) > 0 and finite.min() > 0 and finite.max() > 25 * finite.min()
    y_scale = log_scale(finite) if log else linear_scale([0.0, *finite])
    figures = []
    for epoch, J in zip(epochs, costs, strict=True):
        plot = Plot("cost", linear_scale(epochs, tight=True), y_scale, "epochs done", width=420, height=300)
        plot.line(epochs, costs, "first", "cost", "cost")
        x, y = float(plot.x(epoch)), float(plot.y(J)) if np.isfinite(J) else plot.area[1]
        plot.add(element("line", x1=x, x2=x, y1=plot.area[1], y2=plot.area[3], class_="mark"))
        plot.add(element("circle", cx=x, cy=y, r=5.5, class_="spot last"))
        figures.append(Figure("Cost", (plot.drawing(),), "Of the data of the trace, without penalties."))
    return figures


def _tracks(drawings: Sequence[Drawing]) -> list[tuple[int, str, list[str | None]]]:
    """Element, attribute ("" for its text) and values by frame of all that changes; None where it stays the same."""
    trees = [list(ET.fromstring(str(drawing.svg())).iter()) for drawing in drawings]
    if any([node.tag for node in a] != [node.tag for node in b] for a, b in pairwise(trees)):
        raise AssertionError("the frames of a player must have the same elements")
    tracks = []
    for index, nodes in enumerate(zip(*trees, strict=True)):
        values = {"": [node.text or "" for node in nodes]}
        keys = dict.fromkeys(key for node in nodes for key in node.attrib)
        values |= {key: [node.get(key, "") for node in nodes] for key in keys}
        tracks += [
            (index, key, [each[0], *(b if b != a else None for a, b in pairwise(each))])
            for key, each in values.items()
            if len(set(each)) > 1
        ]
    return tracks
