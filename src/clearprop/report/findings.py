"""The section on the findings of the diagnosis, and their badge in the header."""

from __future__ import annotations

from collections import Counter

from markupsafe import Markup

from clearprop.draw.document import Section, Table
from clearprop.draw.svg import element
from clearprop.explain.diagnosis import SEVERITIES, Diagnosis
from clearprop.report.section import section

TITLE = "Findings"


def findings_section(diagnosis: Diagnosis) -> Section | None:
    """The findings of a diagnosis; None without any."""
    if diagnosis.ok:
        return None
    rows = tuple((finding.severity, finding.name, finding.words, finding.advice) for finding in diagnosis)
    problems = f"{len(rows)} possible problem{'s' * (len(rows) > 1)}"
    reading = f"The diagnosis found {problems} in the data, the network or its training."
    head = ("severity", "finding", "evidence", "what to try")
    return section(TITLE, reading, [Table(head, rows, TITLE, left=4, size="broad stacked")])


def badge(diagnosis: Diagnosis, href: str) -> Markup:
    """How many findings there are, with a link to them; the colour is that of the worst."""
    if diagnosis.ok:
        return element("span", "Diagnosis: no findings", class_="badge fine")
    counts = Counter(finding.severity for finding in diagnosis)
    present = [severity for severity in SEVERITIES if severity in counts]
    listed = ", ".join(
        f"{counts[severity]} {severity}{'s' * (severity != 'serious' and counts[severity] > 1)}" for severity in present
    )
    worst = present[0]
    return element("a", f"Diagnosis: {listed}", href=href, class_=f"badge {worst}")
