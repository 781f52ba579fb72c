"""Compiled code works on plain pointers: it reads and writes nothing outside its arrays, for any network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from paths import ROOT


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, str(ROOT / "tests" / "engine" / "compiled" / script), *arguments],
        env=os.environ | environment | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_plain_code_on_arrays_with_checked_bounds() -> None:
    done = run("bounds_plain.py", "12", NUMBA_DISABLE_JIT="1")
    assert done.stdout == "inside True\n", done.stderr


posix = pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="pages are protected by POSIX calls")


@posix
def test_compiled_code_on_arrays_between_protected_pages() -> None:
    done = run("bounds_fenced.py", "150")
    assert (done.returncode, done.stdout) == (0, "inside\n"), done.stderr


@posix
@pytest.mark.parametrize("where", ["beyond", "before"])
def test_access_to_a_protected_page_ends_the_process(where: str) -> None:
    assert run("bounds_fenced.py", "1", where).returncode in (-signal.SIGSEGV, -signal.SIGBUS)
