"""Areas and lines of a function of two variables, as paths in a plot."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from contourpy import FillType, LineType, contour_generator
from markupsafe import Markup

from clearprop.draw.axes import Plot
from clearprop.draw.svg import element, polyline


class Contours:
    """Contours of z (y values, x values), drawn with the scales of a plot."""

    def __init__(self, plot: Plot, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> None:
        z = np.ma.masked_invalid(z)
        self._plot = plot
        self._generator: Any = contour_generator(x, y, z, fill_type=FillType.OuterOffset, line_type=LineType.Separate)

    def area(self, low: float, high: float, class_: str, opacity: float | None = None) -> list[Markup]:
        """The area where low <= z <= high, as one path; an empty list if there is none."""
        polygons, offsets = self._generator.filled(low, high)
        path = "".join(
            self._path(points[start:stop]) + "Z"
            for points, starts in zip(polygons, offsets, strict=True)
            for start, stop in pairwise(starts)
        )
        shade = None if opacity is None else float(opacity)
        return [element("path", d=path, class_=class_, fill_rule="evenodd", fill_opacity=shade)] if path else []

    def line(self, level: float, class_: str) -> list[Markup]:
        """The lines on which z equals `level`."""
        path = "".join(self._path(points) for points in self._generator.lines(level))
        return [element("path", d=path, class_=f"line {class_}")] if path else []

    def _path(self, points: np.ndarray) -> str:
        return polyline(self._plot.x(points[:, 0]), self._plot.y(points[:, 1]))
