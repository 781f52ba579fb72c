"""Divergence: the epoch, the step and the layer in which numbers stopped being finite."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from clearprop.core.nonfinite import FirstNonFinite, find_nonfinite, largest_weighted_sum
from clearprop.core.parameters import Parameters
from clearprop.engine.api import EpochResult, Epochs, Training


@dataclass(frozen=True)
class Divergence:
    """Where it began: epoch and step (from 0; None where only the end of the epoch shows it), the first such number.

    `last_finite` are the parameters before the last epoch whose first step had a finite cost.
    """

    epoch: int
    step: int | None
    steps: int
    born: FirstNonFinite | None
    largest: str
    last_finite: Parameters

    @property
    def place(self) -> str:
        """Epoch and step in words, counted from 1."""
        return f"epoch {self.epoch + 1}" + ("" if self.step is None else f", step {self.step + 1} of {self.steps}")

    @property
    def words(self) -> str:
        """What stopped being finite, and what the largest weighted sum was before."""
        born = f"There {self.born}. " if self.born else ""
        return f"{born}Before that epoch the largest weighted sum was {self.largest}."

    @property
    def details(self) -> dict[str, object]:
        """What a TrainingDiverged carries of it."""
        layer = None if self.born is None else self.born.layer
        return {"epoch": self.epoch, "step": self.step, "layer": layer, "last_finite": self.last_finite}


def is_finite(result: EpochResult, params: Parameters) -> bool:
    """Whether the steps had finite costs and outputs, and left finite parameters."""
    overflow = math.isinf(result.cost + result.penalty)  # NaN where several epochs were run
    finite = result.failed_step is None and result.is_verified and not overflow
    return finite and all(map(math.isfinite, result.losses.tolist())) and bool(np.isfinite(params.flat).all())


def find_divergence(
    training: Training,
    params: Parameters,
    before: np.ndarray,
    earlier: np.ndarray,
    result: EpochResult | None,
    epoch: int,
    batches: Epochs | None,
) -> Divergence:
    """Put `params` back to those before the epoch, and say where they stopped being finite.

    `earlier` are those before the epoch that came before; in the first epoch the same as `before`. Without a result and
    batches, for a rule of descent that takes all rows, it is looked for among all of them.
    """
    after = params.copy()
    params.flat[...] = before
    step = None if result is None else result.failed_step
    steps = batches.steps if batches else 0
    last = steps - 1 if step is None else step
    batch = batches.batch(last) if batches else None
    masks = training.dropout_masks(after, batches.first, batches.batch(last)) if batches and step is not None else None
    born = find_nonfinite(training.objective, after, batch, masks)
    if born is not None and born.sample is None:  # a parameter; what it was made from comes before it
        rows = batches.orders[0, : batches.edges[last + 1]] if batches else None
        born = find_nonfinite(training.objective, params, rows) or born
    return Divergence(
        epoch,
        step,
        steps,
        born,
        largest_weighted_sum(training.objective, params),
        Parameters(params.net, (earlier if step == 0 else before).copy()),
    )
