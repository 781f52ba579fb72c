"""Diagnosis: problems of a network and its training, described with numbers. `diagnose` runs all checks."""

from clearprop.explain.diagnosis.diagnose import diagnose, diagnose_outputs
from clearprop.explain.diagnosis.evidence import Evidence
from clearprop.explain.diagnosis.findings import SEVERITIES, Check, Diagnosis, Finding

__all__ = ["SEVERITIES", "Check", "Diagnosis", "Evidence", "Finding", "diagnose", "diagnose_outputs"]
