"""Whatever bytes a reader gets, it gives a valid object or an exception of clearprop, in bounds of memory and time."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from targets import TARGETS, attempt, corpus

from clearprop.errors import TableError
from clearprop.tables import read_table

HERE = Path(__file__).parent
EXAMPLES = {"model": 150, "sealed": 250, "checkpoint": 150, "csv": 250, "parquet": 15, "description": 250}
#: What is put in place of a number, a text or a part of a JSON tree.
ODD = [
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    10**400,
    1e308,
    -0.0,
    float("nan"),
    "",
    "input",
    "\ud800",
    "x" * 100,
    [],
    {},
    [[]],
]


@st.composite
def damaged(draw: st.DrawFn, target: str) -> bytes:
    """A kept input after one to four changes of the kinds that fuzzers make."""
    kept = [content for _, content in corpus(target)]
    content = bytearray(draw(st.sampled_from(kept)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(content)))
        end = min(len(content), place + draw(st.integers(0, 40)))
        how = draw(st.sampled_from(["flip", "set", "delete", "insert", "repeat", "splice"]))
        if how == "flip" and place < len(content):
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "set":
            content[place:end] = bytes([draw(st.sampled_from([0, 9, 10, 13, 34, 44, 255]))]) * (end - place)
        elif how == "delete":
            del content[place:end]
        elif how == "insert":
            content[place:place] = draw(st.binary(max_size=8))
        elif how == "repeat":
            content[place:place] = content[place:end] * draw(st.integers(1, 5))
        else:
            other = draw(st.sampled_from(kept))
            content[place:end] = other[place : place + draw(st.integers(0, 60))]
    return bytes(content)


@st.composite
def odd_trees(draw: st.DrawFn, target: str) -> bytes:
    """A kept input with some part of its JSON text taken out, doubled, or replaced by something odd."""
    content = draw(st.sampled_from([content for name, content in corpus(target) if name.startswith("seed-")]))
    text, newline, rest = content.partition(b"\n")
    tree = json.loads(text)
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(tree))
        if places:
            parent, key = draw(st.sampled_from(places))
            how = draw(st.sampled_from(["replace", "replace", "delete", "double"]))
            if how == "delete":
                del parent[key]
            elif how == "double" and isinstance(parent, list):
                parent.append(parent[key])
            else:
                parent[key] = copy.deepcopy(draw(st.sampled_from(ODD)))  # it may be changed in the next round
    return json.dumps(tree).encode() + newline + rest


def _places(tree: Any) -> Any:
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield tree, key
        yield from _places(tree[key])


@pytest.mark.parametrize("target", TARGETS)
def test_kept_inputs(target):
    """The seeds are valid; what once crashed a reader stays refused (or is read)."""
    answers = {name: attempt(target, content) for name, content in corpus(target)}
    assert len(answers) >= 2
    assert all(valid for name, valid in answers.items() if name.startswith("seed-"))


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_inputs(target):
    seen = []

    @settings(max_examples=EXAMPLES[target])
    @given(damaged(target))
    def run(content):
        seen.append(attempt(target, content))

    run()
    assert len(seen) >= EXAMPLES[target] / 2
    assert not all(seen)


@pytest.mark.parametrize("target", ["sealed", "checkpoint", "description"])
def test_trees_with_odd_parts(target):
    seen = []

    @settings(max_examples=400)
    @given(odd_trees(target))
    def run(content):
        seen.append(attempt(target, content))

    run()
    assert not all(seen)


def test_hostile_files_take_bounded_memory_and_time():
    """A process of its own reads each; what it says of itself is compared with the bounds there."""
    done = subprocess.run(
        [sys.executable, str(HERE / "hostile.py")], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) >= 25
    assert [line for line in lines if not line.startswith("ok ")] == []


def test_a_parquet_file_that_ends_its_decoder_does_not_end_this_process(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(dict(corpus("parquet"))["found-huge-page"])
    with pytest.raises(TableError, match=r"it is damaged or not one: memory allocation of \d+ bytes failed"):
        read_table(path)


def test_a_file_that_unpacks_to_far_more_than_a_table_does(tmp_path):
    import gzip

    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"a\n" + b"1\n" * 40_000_000))
    with pytest.raises(
        TableError, match=r"x\.csv\.gz: [\d,]+ bytes unpack to more than [\d,]+, which is not plausible"
    ):
        read_table(path)
