"""Pictures of networks and of their training, from functions that take a trace, parameters or a history.

Each returns a `Figure`: it shows itself in a notebook, `save(path)` writes it as SVG, and it follows the reader's light
or dark setting.
"""

from clearprop.views.figure import Figure
from clearprop.views.hinton import hinton
from clearprop.views.histograms import histograms
from clearprop.views.network import network
from clearprop.views.over_time import history, way_of_weight
from clearprop.views.planes import decision_boundary, hidden_space
from clearprop.views.recorder import Recorder
from clearprop.views.surface import cost_surface

__all__ = [
    "Figure",
    "Recorder",
    "cost_surface",
    "decision_boundary",
    "hidden_space",
    "hinton",
    "histograms",
    "history",
    "network",
    "way_of_weight",
]
