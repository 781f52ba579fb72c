"""A trained model of a table: fit, predict, evaluate, save and load."""

from clearprop.model.evaluation import Evaluation
from clearprop.model.fit import fit
from clearprop.model.model import HeldOut, Model
from clearprop.model.predictions import Predictions

__all__ = ["Evaluation", "HeldOut", "Model", "Predictions", "fit"]
