"""The fitted attributes that record training: what a fit sets, and the next one continues from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.estimators.protocol import NoImprovement
from clearprop.training.run import Run

#: Attributes that a new fit removes.
_FORGOTTEN = (
    "loss_curve_", "validation_scores_", "best_validation_score_", "best_loss_", "validation_loss_curve_", "_best",
)  # fmt: skip


@dataclass(frozen=True)
class Earlier:
    """What the fits before this one have left, if it continues them: counts, curves, and the best so far."""

    t: int = 0
    count: int = 0
    best_loss: float = math.inf
    best_score: float | None = None
    losses: Sequence[float] = ()
    scores: list[float] | None = None
    costs: Sequence[float] = ()
    best: np.ndarray | None = None

    @property
    def lowest(self) -> float:
        """The best score with the other sign, so that less is better."""
        return math.inf if self.best_score is None else -self.best_score

    @classmethod
    def of(cls, estimator: Any) -> Earlier:
        """What an estimator has of earlier fits."""
        best_loss = getattr(estimator, "best_loss_", None)
        return cls(
            estimator.t_,
            estimator._no_improvement_count,
            math.inf if best_loss is None else best_loss,
            getattr(estimator, "best_validation_score_", None),
            getattr(estimator, "loss_curve_", ()),
            getattr(estimator, "validation_scores_", None),
            getattr(estimator, "validation_loss_curve_", ()),
            getattr(estimator, "_best", None),
        )


def set_attributes(
    estimator: Any, run: Run, earlier: Earlier, rows: int, *, first: bool, minimum: tuple[int, float] | None = None
) -> None:
    """Set the attributes after a run on so many rows; `minimum` are iterations and cost of L-BFGS.

    `first` is false if the run continues earlier fits.
    """
    est, history, stopping = estimator, run.history, run.stopping
    if first:
        for name in _FORGOTTEN:
            vars(est).pop(name, None)
    est.n_iter_, est.t_, est._no_improvement_count = history.epochs, earlier.t, earlier.count
    if history.epochs:
        est.loss_ = history.cost[-1]
    if minimum is not None:
        est.n_iter_, est.loss_ = minimum
    if isinstance(stopping, NoImprovement):
        est.t_ += history.epochs * rows
        est.loss_curve_ = [*earlier.losses, *history.cost]
        est._no_improvement_count = stopping.patience.count
        est.best_loss_ = None if est.early_stopping else stopping.patience.best
        est.validation_scores_, est.best_validation_score_ = earlier.scores, earlier.best_score
    if run.validation is not None:
        scores = history.columns.get("validation score", [])
        est.validation_scores_ = [*(earlier.scores or []), *scores]
        est.validation_loss_curve_ = [*earlier.costs, *history.columns.get("validation cost", [])]
        best = -math.inf if earlier.best_score is None else earlier.best_score
        est.best_validation_score_ = max([best, *(score for score in scores if score > best)])
    if run.restore and run.best is not None:
        est._best = run.best
