"""The section on what looks wrong, only there when something does."""

from __future__ import annotations

from clearprop.explain.diagnosis import Diagnosis
from clearprop.report.sections import Section, Table


def diagnosis_section(found: Diagnosis) -> Section | None:
    """The findings of a diagnosis; None without any."""
    if found.ok:
        return None
    rows = [(finding.severity, finding.name, finding.words, finding.advice) for finding in found]
    count = f"{len(rows)} thing{'s' * (len(rows) > 1)}"
    reading = f"{count} about the network or its training may be worth a look: {', '.join(found.names)}."
    table = Table("Findings", ("", "what", "the numbers behind it", "what to try"), rows, left=4, size="broad")
    return Section("What to look at", reading, (), (table,))
