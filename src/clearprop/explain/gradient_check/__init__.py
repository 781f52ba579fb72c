"""Gradient checking: whether a gradient is right, where it is wrong, and which mistake explains it."""

from clearprop.explain.gradient_check.check import check_gradients
from clearprop.explain.gradient_check.mistakes import Mistake
from clearprop.explain.gradient_check.verdict import BlockCheck, GradientCheck, Kink

__all__ = ["BlockCheck", "GradientCheck", "Kink", "Mistake", "check_gradients"]
