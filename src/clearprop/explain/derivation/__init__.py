"""The derivation of any gradient by the chain rule, in symbols and in numbers."""

from clearprop.explain.derivation.chain_rule import Path
from clearprop.explain.derivation.derivation import Derivation, derive

__all__ = ["Derivation", "Path", "derive"]
