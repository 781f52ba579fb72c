"""Parquet files to data frames, decoded first in a separate process (docs/decisions/0014)."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl

from clearprop.errors import TableError
from clearprop.tables.contents import PARQUET

_LEAST_BOUND, _MOST_BOUND = 2**26, 2**30
#: No decoder asks for this much at once unless the file is damaged.
_NEVER_NEEDED = 2**40
#: Decimals of more digits are not read by Polars.
MOST_DIGITS = 38


def read_parquet(content: bytes, file: Path) -> pl.DataFrame:
    """The table in a Parquet file. Raises TableError for one that is damaged or cannot be read within the bounds."""
    _try_in_a_process(content, file)
    try:
        return pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as reason:
        raise TableError(_refusal(str(reason), content, file)) from None


def most_decoded(size: int) -> int:
    """The memory that decoding a file of this size may take: 100 times as much, but 64 MiB to 1 GiB at the least.

    A column that is nearly always 0 packs to almost nothing, so that the least bound is half of the free memory.
    """
    try:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        free = 0  # a system that does not tell
    return max(100 * size + _LEAST_BOUND, min(_MOST_BOUND, free // 2))


def _try_in_a_process(content: bytes, file: Path) -> None:
    """Raise TableError if a separate process cannot decode the file.

    A damaged file may claim sizes at which the decoder aborts its process, which no `except` can catch.
    """
    damaged = f"{file}: expected a Parquet file, but it is damaged or not one"
    if len(content) < 12 or content[:4] != PARQUET or content[-4:] != PARQUET:
        raise TableError(f"{damaged}: it does not begin and end with PAR1.")
    most = most_decoded(len(content))
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "RUST_BACKTRACE": "0"}
    seconds = 5 + len(content) // 2_000_000
    command = [sys.executable, str(Path(__file__).with_name("parquet_trial.py")), str(most), str(seconds)]
    try:
        done = subprocess.run(
            command, input=content, env=environment, capture_output=True, timeout=60 + 10 * seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise TableError(f"{damaged}: decoding did not finish within {60 + 10 * seconds} seconds.") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["the decoder exited without a message"]
        raise TableError(_refusal(lines[0], content, file, f" (the decoder may use {most:,} bytes and {seconds} s)"))


def _refusal(reason: str, content: bytes, file: Path, bounds: str = "") -> str:
    asked = re.search(r"memory allocation of (\d+) bytes failed|^MemoryError()|capacity overflow()", reason)
    if asked and int(asked[1] or 0) and int(asked[1]) < _NEVER_NEEDED:
        return (
            f"{file}: {len(content):,} bytes need more memory to decode than is plausible for a table{bounds}. If it "
            "is one, save it as CSV, or pass the data frame in Python: polars.read_parquet(path)."
        )
    if "precision must be between" in reason:
        wide = [
            f'"{name}" ({dtype.precision} digits)'
            for name, dtype in pl.read_parquet_schema(io.BytesIO(content)).items()
            if isinstance(dtype, pl.Decimal) and (dtype.precision or 0) > MOST_DIGITS
        ]
        return (
            f"{file}: column {', '.join(wide)}: decimals of a precision of more than {MOST_DIGITS} digits cannot be "
            "read. Save the column as float64 or text, or leave it out of the file."
        )
    if repeated := re.search(r"column with name '(.*)' has more than one occurrence", reason):
        return f'{file}: several columns have the name "{repeated[1]}"; give each column its own name.'
    return f"{file}: expected a Parquet file, but it is damaged or not one: {reason[:200]}{bounds}."
