"""The classes `Finding` and `Diagnosis`: results of the checks, to print or to show in a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clearprop.display import Displayed

#: From the worst to the least.
SEVERITIES = ("serious", "warning", "hint")


@dataclass(frozen=True)
class Finding:
    """One problem: its name, severity ("serious", "warning" or "hint"), a description, and advice.

    `where` names the layers or columns concerned, `numbers` the values that the description is based on.

    >>> print(
    ...     Finding("dead units", "warning", "8 of 10 units of hidden are 0 on every row.", "Lower the learning rate.")
    ... )
    warning: dead units
      8 of 10 units of hidden are 0 on every row.
      To try: Lower the learning rate.
    """

    name: str
    severity: str
    words: str
    advice: str
    where: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """Name, description and advice, one line each."""
        return f"{self.severity}: {self.name}\n  {self.words}\n  To try: {self.advice}"


@dataclass(frozen=True)
class Diagnosis(Displayed):
    """The findings of `cp.diagnose`, the worst first; `ok` if there are none; `looked_for` lists the checks.

    >>> print(Diagnosis((), ("dead units",)))
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
        """The names of the findings."""
        return tuple(finding.name for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, name: str) -> Finding:
        """The first finding of that name. Raises KeyError if there is none."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def __str__(self) -> str:
        """The findings, or a sentence that there are none."""
        if self.ok:
            return f"Nothing looks wrong (looked for: {', '.join(self.looked_for)})."
        return "\n".join(map(str, self.findings))
