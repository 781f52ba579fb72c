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
    """Epoch and step (from 0; None if only the end of the epoch shows it) of the first value that is not finite.

    `first` is that value, `largest` the largest weighted sum before that epoch. `last_finite` are the parameters before
    the last epoch whose first step had a finite cost.
    """

    epoch: int
    step: int | None
    steps: int
    first: FirstNonFinite | None
    largest: str
    last_finite: Parameters

    @property
    def location(self) -> str:
        """Epoch and step as text, counted from 1."""
        return f"epoch {self.epoch + 1}" + ("" if self.step is None else f", step {self.step + 1} of {self.steps}")

    @property
    def explanation(self) -> str:
        """What stopped being finite, and what the largest weighted sum was before."""
        first = f"There {self.first}. " if self.first else ""
        return f"{first}Before that epoch the largest weighted sum was {self.largest}."

    @property
    def details(self) -> dict[str, object]:
        """What a TrainingDiverged carries of it."""
        layer = None if self.first is None else self.first.layer
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
    """Reset `params` to those before the epoch, and find where values stopped being finite.

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
    first = find_nonfinite(training.objective, after, batch, masks)
    if first is not None and first.sample is None:  # a parameter; the values it was computed from come first
        rows = batches.orders[0, : batches.edges[last + 1]] if batches else None
        first = find_nonfinite(training.objective, params, rows) or first
    return Divergence(
        epoch,
        step,
        steps,
        first,
        largest_weighted_sum(training.objective, params),
        Parameters(params.net, (earlier if step == 0 else before).copy()),
    )
