"""The derivation of any gradient by the chain rule, in symbols and in numbers."""

from clearprop.derivation.chain_rule import Path
from clearprop.derivation.derivation import Derivation, derive

__all__ = ["Derivation", "Path", "derive"]
