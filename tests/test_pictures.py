"""The pictures of the documentation: those that are stored are those that the pages' code draws now."""

from __future__ import annotations

import re
import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
SCRIPT = runpy.run_path(str(DOCS / "make_pictures.py"), run_name="make_pictures")


def structure(path: Path) -> tuple[set[tuple[str, str]], list[str], str]:
    """Kinds of elements, words and style: all but the coordinates, which may differ in the last digit."""
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    kinds = {(node.tag.partition("}")[2], node.get("class", "")) for node in root.iter()}
    words = [
        re.sub(r"[\d.,−·⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", "#", node.text or "") for node in root.iter() if node.tag.endswith("}text")
    ]
    style = next(node.text or "" for node in root.iter() if node.tag.endswith("}style"))
    return kinds, [word for word in words if word != "#"], style


def test_stored_pictures_are_up_to_date(tmp_path: Path):
    SCRIPT["make"](tmp_path)
    stored = {path.name: structure(path) for path in (DOCS / "images").glob("*.svg")}
    made = {path.name: structure(path) for path in tmp_path.glob("*.svg")}
    assert len(made) == 24
    assert {path.suffix for path in tmp_path.iterdir()} == {".svg"}
    assert sorted(stored) == sorted(made), "run python docs/make_pictures.py"
    assert [name for name in made if made[name] != stored[name]] == [], "run python docs/make_pictures.py"


def test_every_picture_is_shown():
    pages = "".join((DOCS / page).read_text(encoding="utf-8") for page in SCRIPT["PAGES"])
    assert [p.name for p in (DOCS / "images").glob("*.svg") if f"(../images/{p.name})" not in pages] == []
