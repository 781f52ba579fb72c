"""The report: one HTML file on the training of a network and on the quality of its predictions."""

from clearprop.report.page import render_report, write_report

__all__ = ["render_report", "write_report"]
