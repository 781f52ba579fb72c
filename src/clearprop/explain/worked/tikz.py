"""The drawing of a network as TikZ, for LaTeX."""

from __future__ import annotations

from clearprop.draw.figure import Figure
from clearprop.draw.svg import clean
from clearprop.draw.units import Link, Node, UnitDrawing
from clearprop.explain.derivation.latex import escape


def tikz_figure(figure: Figure) -> str:
    """The drawings of a figure, at most as wide as the text, with its note below."""
    drawings = "\n\n".join(_picture(panel) for panel in figure.panels if isinstance(panel, UnitDrawing))
    return f"\\begin{{center}}\n{drawings}\n\n\\small {escape(figure.note)}\n\\end{{center}}"


def _picture(drawing: UnitDrawing) -> str:
    scale = min(0.72, 455 / drawing.width)
    lines = [rf"\begin{{tikzpicture}}[x={scale:.3f}pt, y=-{scale:.3f}pt, font=\scriptsize]"]
    lines += [_link(link) for link in drawing.links]
    lines += [_label(link) for link in drawing.links if link.label]
    lines += [part for node in drawing.nodes for part in _node(node, drawing.look.radius, scale)]
    return "\n".join([*lines, r"\end{tikzpicture}"])


def _link(link: Link) -> str:
    dash = {"frozen": ", dashed", "identity": ", densely dotted", "wired": ", dash dot"}.get(link.style, "")
    points = [f"({x:.1f},{y:.1f})" for x, y in link.points]
    joined = (" -- " if len(points) == 2 else " to[out=0,in=180] ").join(points)
    return rf"\draw[{link.sign or 'gray'}, line width={0.35 * link.width:.2f}pt{dash}] {joined};"


def _label(link: Link) -> str:
    x, y, angle = link.label_at
    look = f"rotate={-angle:.1f}, fill=white, fill opacity=0.8, text opacity=1, inner sep=0.8pt"
    return rf"\node[{look}] at ({x:.1f},{y:.1f}) {{{_number(link.label)}}};"


def _number(text: str) -> str:
    if "⁻" not in text:
        return escape(text).replace("·10", r"\ensuremath{\cdot}10")
    mantissa, _, power = text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")).partition("·10")
    return rf"${mantissa} \cdot 10^{{{power}}}$"


def _node(node: Node, radius: float, scale: float) -> list[str]:
    x, y = node.at
    colour, size = node.kind.split()[-1], 2 * radius * scale
    look = f"circle, draw={colour}, semithick, fill=white, minimum size={size:.1f}pt, inner sep=0pt"
    return [
        rf"\node[{look}] at ({x:.1f},{y:.1f}) {{{_number(node.number)}}};",
        rf"\node[above] at ({x:.1f},{y - radius:.1f}) {{{escape(clean(node.name)[:24])}}};",
        rf"\node[below, text=gray] at ({x:.1f},{y + radius:.1f}) {{{_number(node.below)}}};",
    ]
