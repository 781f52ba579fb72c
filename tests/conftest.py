"""Set-up of the whole suite: the tables of cases are importable, and hypothesis always draws the same examples."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # so that every test file can say `from cases import ...`

settings.register_profile(
    "clearprop",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.load_profile("clearprop")
