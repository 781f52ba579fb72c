"""Sixty kills at random times; tests/trust/kills.py does as many as one likes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
@pytest.mark.timeout(600)
def test_sixty_kills_at_random_times():
    script = Path(__file__).with_name("kills.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("60 kills in ")
