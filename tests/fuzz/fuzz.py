"""Coverage-guided fuzzing of the readers with atheris (pip install atheris), outside the usual test run:

    python tests/fuzz/fuzz.py csv -max_total_time=3600

Options are libFuzzer's. New inputs go to a folder beside the corpus that git ignores; what crashes, hangs for 5 seconds
or takes more than 1 GB is written to the present folder. Put it into tests/fuzz/corpus/<target> once it is mended.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["clearprop", "csv", "json", "targets"]):
    import targets


def main() -> None:
    target = sys.argv.pop(1)
    found = targets.CORPUS.parent / "found" / target
    found.mkdir(parents=True, exist_ok=True)
    options = ["-timeout=5", "-rss_limit_mb=1024", "-max_len=4096"]
    options = [option for option in options if not any(a.startswith(option.split("=")[0]) for a in sys.argv)]
    atheris.Setup(
        [sys.argv[0], *sys.argv[1:], *options, str(found), str(targets.CORPUS / target)],
        lambda content: targets.attempt(target, content),
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
