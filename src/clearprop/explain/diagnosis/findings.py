"""The classes `Finding`, `Diagnosis` and `Check`: what the checks are, and their results."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clearprop.checks import check_choice, check_function, check_text
from clearprop.display import Displayed
from clearprop.errors import ArgumentError, unknown

if TYPE_CHECKING:
    from clearprop.explain.diagnosis.evidence import Evidence

#: From the worst to the least. Hints are what may be intended.
SEVERITIES = ("serious", "warning", "hint")
#: What a diagnosis may lack, and a check may need.
OPTIONAL = ("history", "optimizer", "validation")
#: The page that has a section for each code, with the code as its anchor.
PAGE = "docs/how-to/find-out-why-training-fails.md"


@dataclass(frozen=True)
class Finding:
    """One problem: a description with its numbers, and advice.

    `where` names the layers, columns or rows concerned, `numbers` the values that the description is based on. The
    check that found it sets `code`, `docs` (where the documentation describes it) and, unless given, `severity`.

    >>> print(Finding("8 of 10 units of hidden are 0.", "Use leaky_relu.", code="dead-units", severity="warning"))
    warning: dead units
      8 of 10 units of hidden are 0.
      To try: Use leaky_relu.
    """

    words: str
    advice: str
    where: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    severity: str = ""
    code: str = ""
    docs: str = ""

    @property
    def name(self) -> str:
        """The code in words."""
        return self.code.replace("-", " ")

    def __str__(self) -> str:
        """Name, description and advice, one line each."""
        return f"{self.severity}: {self.name}\n  {self.words}\n  To try: {self.advice}"


@dataclass(frozen=True)
class Check:
    """A check of a diagnosis: from the evidence, findings of one code.

    `look` is a function that takes the `Evidence` and yields a `Finding` for each problem. `code` is lower-case words
    joined by hyphens; it does not change between versions. `severity` is that of its findings: "serious", "warning" or
    "hint". `needs` lists the arguments of `cp.diagnose` without which it is left out, such as "history" or
    "history or optimizer". The checks of clearprop are objects of this class too.

    >>> import clearprop as cp
    >>> def few_rows(evidence):
    ...     if evidence.samples < evidence.params.flat.size:
    ...         yield cp.explain.diagnosis.Finding(f"There are only {evidence.samples} rows.", "Collect more rows.")
    >>> check = cp.explain.diagnosis.Check("few-rows", "hint", few_rows)
    >>> net = cp.Network.sequential(2, 8, 1)
    >>> X, y = [[0.0, 1.0], [1.0, 0.0]], [[0.5], [-1.0]]
    >>> print(cp.diagnose(net, net.initialize(seed=0), X, y, loss="squared_error", checks=[check]))
    hint: few rows
      There are only 2 rows.
      To try: Collect more rows.
    """

    code: str
    severity: str
    look: Callable[[Evidence], Iterable[Finding]]
    needs: tuple[str, ...] = ()
    docs: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", check_text(self.code, "Check code")):
            raise ArgumentError(f"Check code: expected lower-case words joined by hyphens, got {self.code!r}.")
        check_choice(self.severity, "Check severity", SEVERITIES)
        check_function(self.look, "Check look")
        if not {name for need in self.needs for name in need.split(" or ")} <= set(OPTIONAL):
            raise ArgumentError(f"Check needs: expected some of {', '.join(OPTIONAL)}, got {self.needs}.")

    def can_run(self, evidence: Evidence) -> bool:
        """Whether the evidence has what the check needs."""
        given = {name for name in OPTIONAL if getattr(evidence, name) is not None}
        return all(given & set(need.split(" or ")) for need in self.needs)

    def __call__(self, evidence: Evidence) -> Iterator[Finding]:
        """The findings, with code, severity and documentation."""
        findings = self.look(evidence)
        if not isinstance(findings, Iterable):
            raise ArgumentError(f"check {self.code}: expected findings, got {findings!r}. Use yield, or return a list.")
        for finding in findings:
            if not isinstance(finding, Finding):
                raise ArgumentError(f"check {self.code}: expected findings, got {type(finding).__name__}.")
            yield replace(finding, code=self.code, severity=finding.severity or self.severity, docs=self.docs)


def check(
    code: str, severity: str, needs: tuple[str, ...] = ()
) -> Callable[[Callable[[Evidence], Iterable[Finding]]], Check]:
    """A decorator that makes a check of clearprop from a function; its code is its anchor in the documentation."""
    return lambda look: Check(code, severity, look, needs, f"{PAGE}#{code}")


@dataclass(frozen=True)
class Diagnosis(Displayed):
    """The findings of `cp.diagnose`: causes before their effects, and hints last.

    `ok` is True if there are none; `looked_for` lists the codes of the checks that ran.

    >>> print(Diagnosis((), ("dead-units",)))
    Nothing looks wrong (looked for: dead units).
    """

    findings: tuple[Finding, ...]
    looked_for: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the findings, which are their codes in words."""
        return tuple(finding.name for finding in self.findings)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the findings."""
        return tuple(finding.code for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, name: str) -> Finding:
        """The first finding of that code or name. Raises KeyError if there is none."""
        for finding in self.findings:
            if name in (finding.code, finding.name):
                return finding
        raise KeyError(f"{unknown('finding', name, [finding.code for finding in self.findings])}")

    def __str__(self) -> str:
        """The findings, or a sentence that there are none."""
        if self.ok:
            return f"Nothing looks wrong (looked for: {', '.join(self.looked_for).replace('-', ' ')})."
        return "\n".join(map(str, self.findings))
