"""Drawing: SVG, axes, charts and networks."""
