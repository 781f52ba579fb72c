"""The documentation: its code runs, its output is what it says, its links lead somewhere, its reference is complete.

In README.md and every page under docs/, the blocks fenced as ```python run in order, in one namespace and in an empty
folder per page. A ```text block that is the next fenced block shows what the code before it prints ("..." stands for
anything). A block of >>> lines runs as a doctest. Commands in ```console and ```sh blocks are parsed, and those of the
README for a table of one's own run. A fence without a language is not looked at.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import itertools
import re
import runpy
import shlex
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from cases import public_names

from clearprop import views
from clearprop.cli.app import app, main

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

#: Options of commands that name a file to write.
WRITING = ("--out", "--report", "--document")

#: Pages that teach by code: one of these without a block that runs is a mistake.
TEACHING = [
    name
    for name in NAMES
    if name in ("README.md", "docs/conventions.md") or name.startswith(("docs/tutorials", "docs/how-to", "docs/explan"))
]

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL
)
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|<(?:img|source|a)\b[^>]*?(?:src|srcset|href)=\"([^\"]+)\"")


@dataclass(frozen=True)
class Block:
    """A fenced block: the line its code starts on, its language, its code, and the output shown after it."""

    line: int
    language: str
    code: str
    shown: str | None = None


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a page; a python block has the text of the block after it as its shown output."""
    found: list[Block] = []
    for match in FENCE.finditer(text):
        indent, language = match["indent"], match["language"].strip()
        code = "".join(line.removeprefix(indent) for line in match["code"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start("code")) + 1
        if language == "text" and found and found[-1].language == "python":
            before = found.pop()
            found.append(Block(before.line, "python", before.code, code))
        else:
            found.append(Block(line, language, code))
    return found


def run_block(block: Block, where: str, namespace: dict[str, Any]) -> None:
    """Run a python block in the page's namespace and compare what it prints with what is shown."""
    if block.code.lstrip().startswith(">>>"):
        assert block.shown is None, f"{where}: a block of >>> lines shows its own output."
        run_doctest(block, where, namespace)
        return
    printed = io.StringIO()
    source = "\n" * (block.line - 1) + block.code  # so that a traceback names the line of the page
    with contextlib.redirect_stdout(printed):
        exec(compile(source, where, "exec", dont_inherit=True), namespace)
    if block.shown is not None:
        want, got = plain(block.shown), plain(printed.getvalue())
        same = doctest.OutputChecker().check_output(want, got, doctest.ELLIPSIS)
        assert same, f"{where}, line {block.line}: the page shows\n\n{want}\nbut the code prints\n\n{got}"


def run_doctest(block: Block, where: str, namespace: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(block.code, namespace, where, where, block.line - 1)
    report = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=report.write, clear_globs=False)
    namespace.update(test.globs)
    assert runner.failures == 0, report.getvalue()
    assert runner.tries > 0, f"{where}, line {block.line}: no >>> line was run."


def plain(text: str) -> str:
    """Without spaces at line ends, and with one newline at the end."""
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_code_runs_and_prints_what_the_page_shows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = (ROOT / name).read_text(encoding="utf-8")
    python = [block for block in blocks_of(text) if block.language == "python"]
    # counted without the pattern above, so that a fence it cannot read does not go unseen
    fences = [line.strip() for line in text.splitlines() if line.strip().startswith(("```", "~~~"))]
    assert [
        fence for fence in fences if fence.startswith("~~~") or re.match("```(py|pycon|python3|Python)$", fence)
    ] == []
    assert len(python) == fences.count("```python"), f"{name}: a ```python block is not closed or not read."
    assert len([fence for fence in fences if fence.startswith("```python")]) == len(python)
    if name in TEACHING:
        assert python, f"{name}: expected at least one ```python block, because this page teaches by code."
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("page")  # a real one, because dataclasses look up the module they are defined in
    monkeypatch.setitem(sys.modules, "page", module)
    for block in python:
        run_block(block, name, vars(module))


def test_wrong_output_and_errors_are_noticed():
    """The checks of this file, on pages that are wrong."""
    right = blocks_of("```python\nprint(1, 2)\n```\nprints\n```text\n1 2\n```\n")
    assert [(block.language, block.shown) for block in right] == [("python", "1 2\n")]
    run_block(right[0], "page", {})
    wrong = blocks_of("```python\nprint(1, 2)\n```\n```text\n1 3\n```\n")[0]
    with pytest.raises(AssertionError, match="page, line 2: the page shows"):
        run_block(wrong, "page", {})
    with pytest.raises(NameError):
        run_block(blocks_of("```python\nmissing\n```\n")[0], "page", {})
    with pytest.raises(AssertionError, match="Expected"):
        run_block(blocks_of("```python\n>>> 1 + 1\n3\n```\n")[0], "page", {})
    listed = blocks_of("- item\n  ```python\n  x = 1\n  ```\n")
    assert [block.code for block in listed] == ["x = 1\n"]


def test_the_commands_for_a_table_of_ones_own_run_in_the_order_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    block = next(block for block in blocks_of(README) if "clearprop train people.csv" in block.code)
    ages = [20 + i % 40 for i in range(120)]
    people = pl.DataFrame(
        {"age": ages, "job": ["cook", "clerk"] * 60, "income": ["high" if a > 40 else "low" for a in ages]}
    )
    for name, table in (("people", people), ("test", people), ("new", people.drop("income"))):
        table.write_csv(tmp_path / f"{name}.csv")
    monkeypatch.chdir(tmp_path)
    commands = [shlex.split(line) for line in block.code.splitlines()]
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main(command[1:])
        assert stop.value.code == 0, command
    assert len(commands) == 5
    written = {word for command in commands for option, word in itertools.pairwise(command) if option in WRITING}
    assert written == {path.name for path in tmp_path.iterdir()} - {"people.csv", "test.csv", "new.csv"}


def slug(heading: str) -> str:
    """The anchor that a heading gets: lower case, punctuation gone, spaces as hyphens."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def outside_fences(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def links_of(text: str) -> list[str]:
    """The targets of links and pictures, web addresses left out."""
    targets = [a or b for a, b in LINK.findall(outside_fences(text))]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str):
    page = ROOT / name
    for target in links_of(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists(), f"{name}: the link to {target} leads nowhere."
        if anchor:
            headings = HEADING.findall(FENCE.sub("", goal.read_text(encoding="utf-8")))
            anchors = [slug(re.sub(r"[`*]", "", heading)) for heading in headings]
            assert anchor in anchors, f"{name}: {target} names no heading of {goal.name}. There are: {anchors}"


def test_every_page_can_be_reached_from_the_index():
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            paths = [target.partition("#")[0] for target in links_of(page.read_text(encoding="utf-8"))]
            waiting += [(page.parent / path).resolve() for path in paths if path.endswith(".md")]
    lost = [str(page.relative_to(ROOT)) for page in PAGES if page not in reached and page.name != "README.md"]
    assert lost == [], "link these pages from docs/index.md"


def commands_of(text: str) -> list[list[str]]:
    """The commands in console blocks (lines after "$ ") and in sh blocks (every line), split into words."""
    lines: list[str] = []
    for block in blocks_of(text):
        code = block.code.replace("\\\n", " ").splitlines()
        if block.language == "console":
            lines += [line[2:] for line in code if line.startswith("$ ")]
        elif block.language == "sh":
            lines += code
    commands = [shlex.split(line, comments=True) for line in lines]
    return [command for command in commands if command]


def parse_command(words: list[str]) -> None:
    """Raise if the command line tool would not take these words (the first is the subcommand); nothing is run."""
    group = typer.main.get_command(app)
    context = group.context_class(group, info_name="clearprop")
    if words[0].startswith("-"):
        assert words[0] in {option for parameter in group.get_params(context) for option in parameter.opts}
        return
    command = group.get_command(context, words[0])  # type: ignore[attr-defined]
    assert command is not None, f"there is no command {words[0]}"
    command.make_context(words[0], list(words[1:]), parent=context)


@pytest.mark.parametrize("name", NAMES)
def test_commands_exist(name: str):
    for program, *words in commands_of((ROOT / name).read_text(encoding="utf-8")):
        if program == "clearprop":
            parse_command(words)
        elif program == "make":
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            for target in words:
                assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), f"{name}: make {target}"


def test_commands_are_found_and_parsed():
    text = (
        "```console\n$ clearprop train a.csv \\\n    --target b   # note\nout\n```\n```sh\nmake demo\n\n# note\n```\n"
    )
    assert commands_of(text) == [["clearprop", "train", "a.csv", "--target", "b"], ["make", "demo"]]
    parse_command(["train", "a.csv", "--target", "b"])
    for wrong in (["trane", "a.csv"], ["--versoin"]):
        with pytest.raises(AssertionError):
            parse_command(wrong)
    with pytest.raises(Exception, match="--targt"):
        parse_command(["train", "a.csv", "--targt", "b"])


def test_reference_lists_every_public_name():
    page = (DOCS / "reference/index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `cp\.([\w.]+)` \| \S.*\|$", page, re.MULTILINE)
    listed = [name for name in listed if not name.startswith("errors.")]
    assert sorted(listed) == sorted(public_names()), "run python docs/reference/make_index.py"
    pictures = re.findall(r"^\| `views\.(\w+)` \| \S.*\|$", page, re.MULTILINE)
    assert sorted(pictures) == sorted(views.__all__), "run python docs/reference/make_index.py"
    made = runpy.run_path(str(DOCS / "reference/make_index.py"), run_name="make_index")["page"]()
    assert page == made, "run python docs/reference/make_index.py"


def test_quoted_lines_of_the_backward_sweep_are_in_the_code():
    page = (DOCS / "explanation/backward-sweep.md").read_text(encoding="utf-8")
    quoted = page.partition("In `backward` these are the lines\n\n")[2].partition("\n\n")[0].splitlines()
    code = [line.strip() for line in (ROOT / "src/clearprop/core/backprop.py").read_text(encoding="utf-8").splitlines()]
    assert len(quoted) == 2
    assert [line for line in quoted if line.strip() not in code] == []
