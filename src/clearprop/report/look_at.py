"""The section on what looks wrong, only there when something does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clearprop.core.objective import Objective
from clearprop.explain.diagnosis import diagnose
from clearprop.report.sections import Section, Table

if TYPE_CHECKING:
    from clearprop.model.model import Model


def diagnosis_section(model: Model, objective: Objective) -> Section | None:
    """The findings of `cp.diagnose` on the rows of the report, with the history of the training; None without any."""
    columns = None if model.encoding is None else model.encoding.input_names
    found = diagnose(
        *(model.net, model.params, objective.X, dict(objective.targets), dict(objective.losses)),
        history=model.history,
        columns=columns,
    )
    if found.ok:
        return None
    rows = [(finding.severity, finding.name, finding.words, finding.advice) for finding in found]
    count = f"{len(rows)} thing{'s' * (len(rows) > 1)}"
    reading = f"{count} about the network or its training may be worth a look: {', '.join(found.names)}."
    table = Table("Findings", ("", "what", "the numbers behind it", "what to try"), rows, left=4, size="broad")
    return Section("What to look at", reading, (), (table,))
