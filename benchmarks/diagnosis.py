"""False alarms of `cp.diagnose` on healthy trainings, and how often sick ones get the right finding first.

Run from the project's folder: python -m benchmarks.diagnosis
"""

from __future__ import annotations

from collections import Counter

from tests.explain.diagnosis.sick_trainings import SICK
from tests.explain.diagnosis.trainings import HEALTHY


def main() -> None:
    """Print both tables."""
    alarms: Counter[str] = Counter()
    for name, make in HEALTHY.items():
        run = make()
        run.train()
        for rows, found in (("training rows", run.diagnose()), ("held-out rows", run.diagnose_held_out())):
            alarms.update(f"{finding.severity} ({rows})" for finding in found)
            if not found.ok:
                cost = f"cost {run.history.cost[0]:.3g} -> {run.history.cost[-1]:.3g}"
                print(f"false alarm on {rows}: {name}, {cost}: {found.codes}")
    print(f"{len(HEALTHY)} healthy trainings: {dict(alarms) or 'no finding'}\n")
    first = anywhere = 0
    for name, (code, make) in SICK.items():
        run = make()
        run.train()
        codes = run.diagnose().codes
        first, anywhere = first + (codes[:1] == (code,)), anywhere + (code in codes)
        print(
            f"{'first' if codes[:1] == (code,) else 'named' if code in codes else 'MISSED':6s} {name} ({code}): {codes}"
        )
    print(f"{len(SICK)} sick trainings: right finding first {first}, among the findings {anywhere}")


if __name__ == "__main__":
    main()
