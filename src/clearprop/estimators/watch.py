"""What is watched during fit: the loss or a score, epochs without improvement, and the best parameters so far."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from clearprop.core.objective import Objective
from clearprop.core.parameters import Parameters
from clearprop.engine.api import Evaluation, Patience
from clearprop.engine.textbook import TextbookEvaluation
from clearprop.errors import TrainingDiverged


@dataclass(frozen=True)
class HeldOut:
    """Rows that training does not touch: their objective, and a score by its cost and its outputs (n, o)."""

    objective: Objective
    score: Callable[[float, np.ndarray], float]


class Watch:
    """Counts epochs without improvement in the way of scikit-learn, in the attributes of the estimator.

    With early stopping the score has to rise by `tol`, otherwise the training loss has to fall by it. The best
    parameters are those of the highest score; `keep` asks for them.
    """

    def __init__(self, estimator: Any, params: Parameters, held_out: HeldOut | None, keep: bool) -> None:
        self.estimator, self.params, self.held_out, self.keep = estimator, params, held_out, keep
        if held_out is not None and getattr(estimator, "validation_scores_", None) is None:
            estimator.validation_scores_, estimator.best_validation_score_ = [], -np.inf
            estimator.validation_loss_curve_ = []
        self.best = getattr(estimator, "_best", None)
        if self.best is not None and self.best.shape != params.flat.shape:
            self.best = None
        self.lowest: tuple[float, np.ndarray | None] = (np.inf, None)
        self.evaluation: Evaluation | None = None
        if held_out is not None:
            self.evaluation = TextbookEvaluation(held_out.objective, params)

    @property
    def looks_each_epoch(self) -> bool:
        """Whether the parameters after each epoch are looked at, and not its loss alone."""
        return self.held_out is not None or self.estimator.on_divergence == "keep"

    @property
    def patience(self) -> Patience:
        """How long training may go on without a lower loss."""
        est = self.estimator
        return Patience(est.best_loss_, est.n_iter_no_change, est.tol, est._no_improvement_count)

    def end_epochs(self, losses: Sequence[float]) -> bool:
        """Look at the epochs that have just ended, one alone where each is looked at.

        True when there has been no improvement for too long.
        """
        est = self.estimator
        if self.held_out is not None:
            self._score(self.held_out)
        elif est.on_divergence == "keep" and losses[-1] < self.lowest[0]:
            self.lowest = losses[-1], self.params.flat.copy()
        if est.early_stopping:
            improved = est.validation_scores_[-1] >= self.before + est.tol
            est._no_improvement_count = 0 if improved else est._no_improvement_count + 1
        else:
            patience = self.patience.after(losses)
            est.best_loss_, est._no_improvement_count = patience.best, patience.count
        return self.patience.is_exhausted

    def _score(self, held_out: HeldOut) -> None:
        assert self.evaluation is not None
        cost, outputs = self.evaluation.cost_and_outputs()
        if isinstance(outputs, dict):
            outputs = np.concatenate(list(outputs.values()), axis=1)
        est, score = self.estimator, float(held_out.score(cost, outputs))
        est.validation_scores_.append(score)
        est.validation_loss_curve_.append(cost)
        self.before = est.best_validation_score_
        if score > self.before:
            est.best_validation_score_ = score
            if self.keep:
                self.best = self.params.flat.copy()

    def keep_finite(self, reason: TrainingDiverged) -> None:
        """Warn and keep the best parameters that were finite, or raise, as `on_divergence` says."""
        wanted, best = self.estimator.on_divergence, self.best if self.keep else None
        if best is None:
            best = self.lowest[1]
        reason.best = None if best is None else Parameters(self.params.net, best.copy())
        if wanted == "raise" or (wanted is None and best is None):
            raise reason
        kept = "The best" if best is not None else "No epoch was finished: the first"
        self.params.flat[...] = best if best is not None else reason.last_finite.flat
        warnings.warn(f"{reason} {kept} parameters before that are kept.", ConvergenceWarning, stacklevel=6)

    def restore(self) -> None:
        """Put the best parameters back, where that was asked for and there are any."""
        if self.keep and self.best is not None:
            self.params.flat[...] = self.best
            self.estimator._best = self.best
