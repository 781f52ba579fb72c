"""The parameters and fitted attributes of the estimators with their types; __init__ and fit set the values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from clearprop.activations import Activation
from clearprop.core.network import Network
from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.estimators.frames import FrameEncoder
from clearprop.losses import Loss
from clearprop.optimizers import LBFGS, Optimizer
from clearprop.penalties import Penalty
from clearprop.schedules import Schedule


class Attributes(ABC):
    """Parameters (scikit-learn's and the library's own), fitted attributes, and abstract methods of the estimators."""

    hidden_layer_sizes: int | Sequence[int]
    activation: str | Activation | Sequence[str | Activation]
    solver: str | Optimizer | LBFGS
    alpha: float
    batch_size: int | str
    learning_rate: str | Schedule
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: bool | int
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    network: Network | None
    skip: bool
    dropout: float | Sequence[float]
    penalty: Penalty | Sequence[Penalty] | None
    max_norm: float | None
    clip_norm: float | None
    clip_value: float | None
    scoring: Any
    restore_best: bool
    categorical_features: Any
    n_networks: int
    n_jobs: int | None
    dtype: Any
    engine: str

    n_features_in_: int
    n_outputs_: int
    n_iter_: int
    n_layers_: int
    t_: int
    out_activation_: str
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    loss_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    validation_loss_curve_: list[float]
    network_: Network
    members_: list[Any]

    _encoder: FrameEncoder | None
    _no_improvement_count: int

    # --- implemented by the two estimators ---------------------------------------------------------------------------

    @abstractmethod
    def _outputs(self) -> list[tuple[int, Activation, Loss]]:
        """Units, activation and loss of each output layer; needs the attributes that describe the target."""

    @abstractmethod
    def _fit_target(self, y: Any, weight: np.ndarray | None, incremental: bool) -> np.ndarray:
        """The checked target as a matrix (n, o); sets the attributes that describe it."""

    @abstractmethod
    def _targets(self, y: np.ndarray, loss: Loss, dtype: np.dtype) -> np.ndarray:
        """The matrix (n, o) in the form that a loss expects."""

    @abstractmethod
    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        """Predictions from the concatenated activations of the output layers."""

    @abstractmethod
    def _score_of(self, y: np.ndarray, outputs: np.ndarray, weight: np.ndarray | None) -> float:
        """The validation score of scikit-learn's early stopping."""

    def _hint(self, objective: Objective, params: Parameters) -> str | None:
        """What to change after a fit whose predictions are poor, if that is known."""
        return None

    @abstractmethod
    def _labels(self, y: np.ndarray) -> np.ndarray:
        """The matrix (n, o) in the form of the user's y."""

    @abstractmethod
    def _check_target(self, y: np.ndarray) -> np.ndarray:
        """The checked target of a validation set as a matrix (n, o)."""

    # --- needed by the inspection ------------------------------------------------------------------------------------

    @abstractmethod
    def _parameters(self) -> Parameters:
        """The parameters with the present values of coefs_ and intercepts_."""

    @abstractmethod
    def _check_rows(self, X: Any) -> Any:
        """The checked X of a prediction: a dense or sparse matrix."""

    @abstractmethod
    def _sweep(self, params: Parameters, X: Any) -> np.ndarray:
        """Concatenated activations of the output layers, (n, outputs)."""
