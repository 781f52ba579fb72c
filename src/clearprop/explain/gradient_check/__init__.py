"""Gradient checking: is a gradient right, where is it wrong, and which mistake would explain it?"""

from clearprop.explain.gradient_check.check import check_gradients
from clearprop.explain.gradient_check.kinks import Kink
from clearprop.explain.gradient_check.mistakes import Mistake
from clearprop.explain.gradient_check.verdict import BlockCheck, GradientCheck

__all__ = ["BlockCheck", "GradientCheck", "Kink", "Mistake", "check_gradients"]
