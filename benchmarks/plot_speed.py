"""The picture of a run of the speed benchmark: microseconds per step of every library, on a logarithmic axis.

python benchmarks/plot_speed.py benchmarks/results/speed-....json docs/images/measured/speed.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from markupsafe import Markup
from peers import WORKLOADS

from clearprop.draw.axes import log_scale
from clearprop.draw.figure import Figure
from clearprop.draw.svg import Drawing, element

LEFT, WIDTH, ROW, TOP = 190.0, 560.0, 36.0, 14.0
CLASSES = {"clearprop": "first", "jax": "ramp7", "torch": "ramp5", "torch.compile": "ramp3", "scikit-learn": "ramp1"}
NAMES = {"torch": "PyTorch", "torch.compile": "PyTorch, compiled", "jax": "JAX, scanned"}


def figure(lines: list[dict], note: str) -> Figure:
    """One row per workload, a dot per library."""
    scale = log_scale([value for line in lines for value in line["step_us"].values()])
    bottom = TOP + ROW * len(lines)

    def x(value: float) -> float:
        return LEFT + WIDTH * float(scale.position(value))

    parts: list[Markup] = []
    for tick, label in zip(scale.ticks, scale.labels, strict=True):
        parts.append(element("line", x1=x(tick), x2=x(tick), y1=TOP, y2=bottom, class_="grid"))
        parts.append(element("text", label, x=x(tick), y=bottom + 18, class_="tick mid"))
    parts.append(
        element("text", "microseconds per training step", x=LEFT + WIDTH / 2, y=bottom + 38, class_="title mid")
    )
    for place, line in enumerate(lines):
        y = TOP + ROW * (place + 0.5)
        batch, units, _ = WORKLOADS[line["workload"]]
        parts.append(element("text", line["workload"], x=0, y=y - 1, class_="name"))
        parts.append(element("text", f"{batch} rows, {'-'.join(map(str, units))}", x=0, y=y + 14, class_="note"))
        steps = line["step_us"]
        parts.append(element("line", x1=x(min(steps.values())), x2=x(max(steps.values())), y1=y, y2=y, class_="axis"))
        for peer, value in reversed(steps.items()):
            parts.append(element("circle", cx=x(value), cy=y, r=7 if peer == "clearprop" else 5, class_=CLASSES[peer]))
    legend = tuple(
        (element("circle", cx=24, cy=7, r=5, class_=name), NAMES.get(peer, peer))
        for peer, name in CLASSES.items()
        if any(peer in line["step_us"] for line in lines)
    )
    panel = Drawing("Microseconds per step", LEFT + WIDTH + 20, bottom + 48, tuple(parts))
    return Figure("A training step of clearprop and of its peers", (panel,), note, legend)


def table(lines: list[dict]) -> str:
    """Microseconds of clearprop with their share of the peak, and of each peer with its ratio."""
    peers = [peer for peer in CLASSES if peer != "clearprop" and any(peer in line["step_us"] for line in lines)]
    heads = ["", "batch, layers", "clearprop", "of the peak", *(NAMES.get(peer, peer) for peer in peers)]
    rows = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for line in lines:
        batch, units, _ = WORKLOADS[line["workload"]]
        own = line["step_us"]["clearprop"]
        cores = "1 core" if line["threads"] == 1 else f"{line['threads']} cores"
        share = "" if line["workload"] == "tiny" else f"{line['share_of_peak']:.0%} of {cores}"
        cells = [line["workload"], f"{batch}, {'-'.join(map(str, units))}", _microseconds(own), share]
        for peer in peers:
            value, void = line["step_us"].get(peer), not line["agreed"].get(peer, True)
            ratio = "void" if void else f"{line['ratio'].get(peer, 0):.1f}x"
            cells.append("" if value is None else f"{_microseconds(value)} ({ratio})")
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _microseconds(value: float) -> str:
    return f"{value:,.1f} µs" if value < 100 else f"{value:,.0f} µs"


def main(source: str, target: str) -> None:
    record = json.loads(Path(source).read_text())
    lines = [
        line for line in record["lines"] if (line["dtype"], line["optimizer"], line["hidden"])
        == ("float32", "momentum", "relu")
    ]  # fmt: skip
    machine, versions = record["machine"], record["versions"]
    peers = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()) if name != "numpy")
    where = f"{machine['cores']} cores of an {machine['processor']}, {record['date'][:10]}"
    note = f"float32, momentum, ReLU; {where}; {peers}."
    figure(lines, note).save(target)
    print(table(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
