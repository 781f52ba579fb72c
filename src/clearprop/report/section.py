"""What all sections share: the rows that a report is about, and the form of a section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from clearprop.core.objective import Objective
from clearprop.draw.document import Prose, Section, Table
from clearprop.draw.figure import Figure
from clearprop.explain.diagnosis import Diagnosis
from clearprop.fork_safety import cached_property
from clearprop.model.evaluation import Evaluation, evaluate
from clearprop.model.predictions import Predictions
from clearprop.report.values import input_columns

if TYPE_CHECKING:
    from clearprop.model.model import Model


@dataclass(frozen=True)
class Evaluated:
    """A model on the rows of the report: every section takes its numbers from here.

    `row_numbers` (n,) are the indices of the rows in the user's table.
    """

    model: Model
    objective: Objective
    predictions: tuple[Predictions, ...]
    diagnosis: Diagnosis
    row_numbers: np.ndarray
    seed: int = 0

    @property
    def several(self) -> bool:
        """Whether there are several outputs."""
        return len(self.predictions) > 1

    @cached_property
    def is_finite(self) -> bool:
        """Whether the predictions of all outputs are finite on all rows."""
        return all(bool(np.isfinite(each.yhat).all()) for each in self.predictions)

    @cached_property
    def evaluations(self) -> dict[str, Evaluation]:
        """The metrics of each output."""
        return {each.output: evaluate(each) for each in self.predictions}

    @cached_property
    def columns(self) -> dict[str, slice]:
        """The columns of the table, and the inputs of each."""
        return input_columns(self.model)


def section(title: str, reading: str, items: Sequence[Figure | Table | Markup], note: str = "") -> Section:
    """A section: what its numbers mean, in words, a note, then figures and tables."""
    notes = [Prose((note,), "note")] if note else []
    return Section(title, (Prose((reading,), "reading"), *notes, *items))


def titled(title: str, of: str) -> str:
    """The title of a section on one of several outputs or columns; just the title if `of` is empty.

    >>> titled("Calibration", "kind"), titled("Calibration", "")
    ('Calibration: kind', 'Calibration')
    """
    return f"{title}: {of[:60]}" if of else title


def quoted(name: str) -> str:
    """A name of the user's in quotation marks, cut in the middle if it is long.

    >>> quoted("age")
    '“age”'
    """
    return f"“{name if len(name) <= 45 else name[:26] + '…' + name[-18:]}”"


def listed(names: Sequence[str], most: int = 4) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], most=2)
    ('a, b and c', 'a, b and 2 more')
    """
    if len(names) > most:
        return ", ".join(names[:most]) + f" and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
