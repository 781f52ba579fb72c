"""Try to decode a Parquet file in a separate process: python parquet_trial.py BYTES SECONDS < file

The process may use BYTES of memory beyond what it has at the start, and SECONDS of processor time. It exits with 0 if
the file can be decoded, with 3 and the reason on standard error if not, and with another status if the decoder
crashes or exceeds a limit. It imports nothing from clearprop, so that it starts quickly.
"""

import contextlib
import io
import sys

import polars as pl


def _set_limits(most: int, seconds: int) -> None:
    try:
        import resource
        from pathlib import Path

        now = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    except (ImportError, OSError):
        return  # a system without such limits (Windows)
    # Data, not address space: allocators reserve hundreds of MB of address space for each thread and never use them.
    _, highest = resource.getrlimit(resource.RLIMIT_DATA)
    most += now
    most = most if highest == resource.RLIM_INFINITY else min(most, highest)
    with contextlib.suppress(ValueError):  # a lower limit is already set
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _main() -> int:
    content = sys.stdin.buffer.read()
    _set_limits(int(sys.argv[1]), int(sys.argv[2]))
    try:
        pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError, MemoryError) as reason:
        print(reason, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(_main())
