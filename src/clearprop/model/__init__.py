"""A trained model of a table: fit, predict, evaluate, save and load."""

from clearprop.model.evaluation import Evaluation
from clearprop.model.model import Model, fit

__all__ = ["Evaluation", "Model", "fit"]
