"""Diagnosis: problems of a network and its training, described with numbers. `diagnose` runs all checks."""

from clearprop.explain.diagnosis.diagnose import diagnose, diagnose_outputs
from clearprop.explain.diagnosis.findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose", "diagnose_outputs"]
