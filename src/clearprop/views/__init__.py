"""Figures of networks and of their training, drawn from a trace, parameters or a history.

Each function returns a `Figure`: a notebook displays it, `save(path)` writes it as SVG, PNG or PDF, and as SVG
its colours follow the reader's light or dark setting.
"""

from clearprop.draw.figure import Figure
from clearprop.views.cost_curve import cost_curve
from clearprop.views.hinton import hinton
from clearprop.views.histograms import histograms
from clearprop.views.network import network
from clearprop.views.over_time import history, weight_trajectory
from clearprop.views.planes import decision_boundary, hidden_space
from clearprop.views.player import Player, player
from clearprop.views.recorder import Recorder
from clearprop.views.surface import cost_surface

__all__ = [
    "Figure",
    "Player",
    "Recorder",
    "cost_curve",
    "cost_surface",
    "decision_boundary",
    "hidden_space",
    "hinton",
    "histograms",
    "history",
    "network",
    "player",
    "weight_trajectory",
]
