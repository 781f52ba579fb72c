"""The report: one HTML file that shows how a network learnt and how good it is."""

from clearprop.report.page import render_report, write_report

__all__ = ["render_report", "write_report"]
