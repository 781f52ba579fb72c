"""Findings have codes that the documentation explains, and users add checks of their own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import clearprop as cp
from clearprop.errors import ArgumentError
from clearprop.explain.diagnosis import Check, Diagnosis, Evidence, Finding
from clearprop.explain.diagnosis.diagnose import CHECKS
from clearprop.explain.diagnosis.findings import PAGE, SEVERITIES

X = np.random.default_rng(0).normal(size=(40, 2))
Y = X @ [[1.0], [-1.0]]
NET = cp.Network.sequential(2, 4, 1, hidden="tanh")
PARAMS = NET.initialize(seed=0)


def test_every_code_has_a_section_of_the_page_and_every_section_a_code():
    text = (Path(__file__).parents[3] / PAGE).read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### ([a-z-]+)\n\n?(.+?)(?=^##|\Z)", text, flags=re.DOTALL | re.MULTILINE))
    assert list(sections) == [check.code for check in CHECKS]
    assert len(sections) >= 22
    for check in CHECKS:
        assert check.docs == f"{PAGE}#{check.code}"
        assert check.severity in SEVERITIES
        section = sections[check.code]
        assert f"*{check.severity.capitalize()}.*" in section
        for part in ("Measured:", "What to do:"):
            assert part in section, check.code


def test_a_finding_knows_its_check():
    params = PARAMS.copy()
    params["hidden"].W["input"] = np.zeros((2, 4))
    finding = cp.diagnose(NET, params, X, Y, "squared_error")["zero-weights"]
    assert (finding.code, finding.name, finding.severity) == ("zero-weights", "zero weights", "serious")
    assert finding.docs == "docs/how-to/find-out-why-training-fails.md#zero-weights"


def few_rows(evidence: Evidence):
    if evidence.samples < 50:
        yield Finding(f"There are {evidence.samples} rows.", "Collect more.", numbers={"rows": evidence.samples})


def test_a_check_of_the_user():
    check = Check("few-rows", "warning", few_rows, docs="https://example.org/few-rows")
    found = cp.diagnose(NET, PARAMS, X, Y, "squared_error", checks=[check])
    assert found.codes == ("few-rows",)
    assert str(found) == "warning: few rows\n  There are 40 rows.\n  To try: Collect more."
    assert found["few-rows"].docs == "https://example.org/few-rows"
    assert found["few rows"].numbers == {"rows": 40}
    assert found.looked_for[-1] == "few-rows"
    many = np.tile(X, (2, 1))
    assert cp.diagnose(NET, PARAMS, many, np.tile(Y, (2, 1)), "squared_error", checks=[check]).ok


def test_a_check_may_be_an_object_with_settings_and_choose_the_severity():
    class LargeCost:
        def __init__(self, limit):
            self.limit = limit

        def __call__(self, evidence):
            if evidence.cost > self.limit:
                yield Finding(f"The cost is {evidence.cost:.3g}.", "Train.", severity="hint")

    check = Check("large-cost", "serious", LargeCost(0.01))
    assert [f.severity for f in cp.diagnose(NET, PARAMS, X, Y, "squared_error", checks=[check])] == ["hint"]


def test_a_check_that_needs_the_history_is_left_out_without_it():
    def last_cost(evidence):
        yield Finding(f"The last cost is {evidence.history.cost[-1]}.", "Look at it.")

    check = Check("last-cost", "hint", last_cost, needs=("history",))
    assert "last-cost" not in cp.diagnose(NET, PARAMS, X, Y, "squared_error", checks=[check]).looked_for
    history = cp.History({"cost": [2.0, 1.5]})
    found = cp.diagnose(NET, PARAMS, X, Y, "squared_error", history=history, checks=[check])
    assert found["last-cost"].words == "The last cost is 1.5."


def test_what_was_not_looked_for_is_not_claimed():
    without = cp.diagnose(NET, PARAMS, X, Y, "squared_error")
    assert "overfitting" not in without.looked_for
    assert "learning rate" not in str(without)
    assert "learning-rate-too-high" in cp.diagnose(NET, PARAMS, X, Y, "squared_error", optimizer="sgd").looked_for
    history = cp.train(NET, PARAMS.copy(), X, Y, loss="squared_error", epochs=1)
    assert "overfitting" in cp.diagnose(NET, PARAMS, X, Y, "squared_error", history=history).looked_for


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Check("Few rows", "hint", few_rows), "Check code: expected lower-case words joined by hyphens"),
        (lambda: Check("few-rows", "bad", few_rows), "Check severity: expected one of"),
        (lambda: Check("few-rows", "hint", 3), "Check look: expected a function"),
        (lambda: Check("few-rows", "hint", few_rows, needs=("luck",)), "Check needs: expected some of"),
        (lambda: diagnose(checks=3), "checks: expected a list of cp.explain.diagnosis.Check, got int"),
        (lambda: diagnose(checks=[few_rows]), "checks: expected cp.explain.diagnosis.Check, got function"),
        (lambda: diagnose(checks=[Check("dead-units", "hint", few_rows)]), "the code 'dead-units' is taken"),
        (
            lambda: diagnose(checks=[Check("text", "hint", lambda e: ["words"])]),
            "check text: expected findings, got str",
        ),
        (lambda: diagnose(checks=[Check("none", "hint", lambda e: None)]), "check none: expected findings, got None"),
        (lambda: diagnose(validation=X), r"validation: expected \(X, y\) or \(X, y, sample_weight\)"),
        (lambda: diagnose(validation=(X, Y[:3])), "validation y: expected shape"),
    ],
)
def test_bad_checks(make, text):
    with pytest.raises((ArgumentError, cp.ClearpropError), match=text):
        make()


def diagnose(**arguments):
    return cp.diagnose(NET, PARAMS, X, Y, "squared_error", **arguments)


def test_hints_come_last():
    found = Diagnosis((Finding("a", "b", code="x", severity="hint"),))
    assert found.codes == ("x",)
    leaking = np.c_[X, 3 * Y + 1]
    net = cp.Network.sequential(3, 4, 1, initializer="zeros")
    found = cp.diagnose(net, net.initialize(), np.tile(leaking, (2, 1)), np.tile(Y, (2, 1)), "squared_error")
    assert found.codes[-1] == "leaking-column"
    assert [f.severity == "hint" for f in found] == sorted(f.severity == "hint" for f in found)
