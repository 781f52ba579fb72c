"""Areas and lines of a function of two variables, as paths of a chart."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from contourpy import FillType, LineType, contour_generator
from markupsafe import Markup

from clearprop.draw.svg import Plot, element


class Contours:
    """Where z (rows y, columns x) lies between levels, drawn with the scales of a chart."""

    def __init__(self, chart: Plot, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> None:
        z = np.ma.masked_invalid(z)
        self._chart = chart
        self._maker: Any = contour_generator(x, y, z, fill_type=FillType.OuterOffset, line_type=LineType.Separate)

    def area(self, low: float, high: float, class_: str, opacity: float | None = None) -> list[Markup]:
        """The area where low <= z <= high, as one path; nothing where there is none."""
        polygons, offsets = self._maker.filled(low, high)
        path = "".join(
            self._path(points[start:stop]) + "Z"
            for points, starts in zip(polygons, offsets, strict=True)
            for start, stop in pairwise(starts)
        )
        shade = None if opacity is None else float(opacity)
        return [element("path", d=path, class_=class_, fill_rule="evenodd", fill_opacity=shade)] if path else []

    def line(self, level: float, class_: str) -> list[Markup]:
        """The lines on which z is `level`."""
        path = "".join(self._path(points) for points in self._maker.lines(level))
        return [element("path", d=path, class_=f"line {class_}")] if path else []

    def _path(self, points: np.ndarray) -> str:
        xs, ys = self._chart.x(points[:, 0]), self._chart.y(points[:, 1])
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True))
