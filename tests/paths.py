"""Folders that tests read from."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
EXAMPLES = ROOT / "examples"
DOCS = ROOT / "docs"
#: Data sets beside the checkout; tests that use them skip where the folder is absent.
SHARED_DATA = ROOT.parent / "shared" / "data"
