"""Engines: what runs the steps of an epoch. All give the same result to rounding."""

from clearprop.engine.textbook import EpochResult, TextbookEngine, Training

__all__ = ["EpochResult", "TextbookEngine", "Training"]
