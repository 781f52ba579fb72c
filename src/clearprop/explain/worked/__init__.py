"""Worked solutions: one training step of a small network in full, as a page or as LaTeX."""

from clearprop.explain.worked.solution import WorkedSolution, worked_solution

__all__ = ["WorkedSolution", "worked_solution"]
