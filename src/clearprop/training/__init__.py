"""Gradient descent over epochs: the loop, its history, stopping rules, callbacks and metrics."""

from clearprop.training.callbacks import EpochEnd
from clearprop.training.checkpoint import Checkpoint
from clearprop.training.history import History
from clearprop.training.loop import train
from clearprop.training.metrics import METRICS
from clearprop.training.stepper import Stepper
from clearprop.training.stopping import Convergence, EarlyStopping, StoppingRule

__all__ = [
    "METRICS",
    "Checkpoint",
    "Convergence",
    "EarlyStopping",
    "EpochEnd",
    "History",
    "Stepper",
    "StoppingRule",
    "train",
]
