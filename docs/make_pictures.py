"""Write docs/images/*.svg: the pictures that the pages of the documentation save, by running the code of those pages.

So a picture is always that of the code above it. Run it after such code or a view has changed:
python docs/make_pictures.py
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
#: The pages whose code saves pictures.
PAGES = (
    "tutorials/from-perceptron-to-network.md",
    "how-to/draw-a-network.md",
    "how-to/explain-a-weight.md",
    "explanation/networks-of-1986.md",
)


def make(folder: Path) -> None:
    """Run the Python blocks of each page in a folder of their own, and keep the pictures they save there."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        for page in PAGES:
            text = (DOCS / page).read_text(encoding="utf-8")
            code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                exec(compile(code, page, "exec"), {"__name__": "page"})
        for picture in Path(scratch).glob("*.svg"):
            shutil.copy(picture, folder)


if __name__ == "__main__":
    make(DOCS / "images")
    print("\n".join(str(path) for path in sorted((DOCS / "images").glob("*.svg"))), file=sys.stderr)
