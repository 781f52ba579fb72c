"""Findings of the diagnosis: a badge in the header, and a table with its head."""

from __future__ import annotations

from clearprop.draw.document import Table
from clearprop.explain.diagnosis import Diagnosis, Finding
from clearprop.report.findings import badge, findings_section

WORSE = Finding("8 of 10 units are dead.", "Lower the learning rate.", code="dead-units", severity="serious")
CAUSE = Finding("x has a large range.", "Scale it.", code="unscaled-inputs", severity="warning")
HINT = Finding("x is twice in the table.", "Keep one.", code="duplicate-columns", severity="hint")


def test_badge_counts_findings_by_severity_and_links_to_them():
    assert badge(Diagnosis((CAUSE, WORSE, HINT, HINT)), "#section-1") == (
        '<a href="#section-1" class="badge serious">Diagnosis: 1 serious, 1 warning, 2 hints</a>'
    )
    assert badge(Diagnosis(()), "") == '<span class="badge fine">Diagnosis: no findings</span>'


def test_findings_are_a_table_with_a_head():
    section = findings_section(Diagnosis((WORSE, HINT)))
    (table,) = [item for item in section.items if isinstance(item, Table)]
    assert table.head == ("severity", "finding", "evidence", "what to try")
    assert [row[:2] for row in table.rows] == [("serious", "dead units"), ("hint", "duplicate columns")]
    assert findings_section(Diagnosis(())) is None
