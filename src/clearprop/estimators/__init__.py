"""scikit-learn's interface: MLPClassifier and MLPRegressor. They validate and delegate; no algorithm lives here."""

from clearprop.estimators.classifier import MLPClassifier
from clearprop.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
