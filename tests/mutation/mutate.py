"""Mutation test: change one small thing at a time in a module and see whether its tests notice.

    python tests/mutation/mutate.py                      all three modules (some minutes)
    python tests/mutation/mutate.py losses --show 12     one module, or one mutant as a diff

A mutant counts as killed when a test fails (or runs for more than a minute). Survivors that mean the same as the
original are listed with the reason in survivors.txt; any other is printed, and the exit status is 1. It is not part of
the usual test run, because it runs the tests of a module once for each mutant: first in children of a process that has
collected them, where the changed code is put into the loaded module, and for what survives in a process of its own.
"""

from __future__ import annotations

import argparse
import ast
import copy
import difflib
import importlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import hypothesis

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "clearprop"
HERE = Path(__file__).parent
#: The quick tests of each module; what needs the compiler is left out, since both engines take the same definitions.
TESTS = {
    "backprop": ["tests/test_backprop.py", "tests/engine/test_textbook.py", "tests/test_objective.py"],
    "losses": ["tests/test_losses.py", "tests/test_extremes.py", "tests/test_objective.py"],
    "optimizers": ["tests/test_optimizers.py", "tests/engine/test_textbook.py"],
}
SKIPPED = "not compiled and not keep_the_precision and not against_torch"
SECONDS = 60
#: hypothesis is loaded here before pytest can rewrite its assertions.
QUIET = "ignore::pytest.PytestAssertRewriteWarning"

SWAPS: dict[type, list[type]] = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.Mod: [ast.Mult],
    ast.MatMult: [ast.Mult],
    ast.BitOr: [ast.BitAnd],
    ast.BitAnd: [ast.BitOr],
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Each way to change one node, as a new node in its place."""
    for field in ("op",):
        for other in SWAPS.get(type(getattr(node, field, None)), []):
            yield _with(node, **{field: other()})
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for other in SWAPS.get(type(op), []):
                yield _with(node, ops=[*node.ops[:i], other(), *node.ops[i + 1 :]])
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, (ast.If, ast.IfExp)) and not isinstance(node.test, ast.Compare):
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            yield ast.Constant(not value)
        elif isinstance(value, (int, float)):
            yield ast.Constant(value + 1)
        elif isinstance(value, str):
            yield ast.Constant(f"XX{value}")
    if isinstance(node, ast.Return) and node.value is not None:
        yield _with(node, value=ast.Constant(None))
    call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    stored = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript)
    if call or stored or isinstance(node, ast.AugAssign):
        yield ast.Pass()
    if isinstance(node, ast.Call) and len(node.args) == 2 and not node.keywords:
        yield _with(node, args=node.args[::-1])
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and isinstance(node.value, ast.Call):
        yield node.value


def _with(node: ast.AST, **changes: object) -> ast.AST:
    changed = copy.copy(node)
    for field, value in changes.items():
        setattr(changed, field, value)
    return changed


def mutants(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, description and text of each mutant; annotations and docstrings are left alone."""
    tree = ast.parse(text)
    places = [(parent, field, i, node) for parent, field, i, node in _children(tree)]
    for parent, field, i, node in places:
        for changed in variants(node):
            _put(parent, field, i, ast.copy_location(changed, node))
            ast.fix_missing_locations(tree)
            was, now = _short(node), _short(changed)
            yield node.lineno, f"{was}  ->  {now}", ast.unparse(tree)  # type: ignore[attr-defined]
            _put(parent, field, i, node)


def _children(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "type_comment", "bases"):
            continue
        for i, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
            if isinstance(child, ast.AST) and hasattr(child, "lineno") and not docstring:
                if not isinstance(child, (ast.Import, ast.ImportFrom)):
                    yield tree, field, i, child
                    yield from _children(child)
            elif isinstance(child, ast.AST) and not docstring:
                yield from _children(child)


def _put(parent: ast.AST, field: str, i: int | None, node: ast.AST) -> None:
    if i is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[i] = node


def _short(node: ast.AST) -> str:
    if isinstance(node, (ast.If, ast.FunctionDef, ast.ClassDef)):
        node = getattr(node, "test", node)
    return " ".join(ast.unparse(node).split())[:90]


# --- in the process that has collected the tests ---------------------------------------------------------------------


class Forker:
    """A pytest plugin: for each mutant a child runs the collected tests until one fails."""

    def __init__(self, module: ModuleType, texts: list[str]) -> None:
        self.module, self.texts = module, texts
        self.sound = False
        self.survivors: list[int] = []

    def pytest_collection(self) -> None:
        """That an example fails is enough; it need not be made small."""
        usual, phases = (
            hypothesis.settings.get_profile("clearprop"),
            (hypothesis.Phase.explicit, hypothesis.Phase.generate),
        )
        hypothesis.settings.register_profile("mutation", usual, phases=phases)
        hypothesis.settings.load_profile("mutation")

    def pytest_runtestloop(self, session: Any) -> bool:
        self.sound = _passes(lambda: None, session)
        for number, text in enumerate(self.texts if self.sound else []):
            if _passes(lambda: transplant(self.module, text), session):  # noqa: B023
                self.survivors.append(number)
        return True


def _passes(prepare: Callable[[], None], session: Any) -> bool:
    child = os.fork()
    if child == 0:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1), os.dup2(nothing, 2)
        try:
            prepare()
        except BaseException:
            os._exit(0)  # no verdict: the slow way decides
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                os._exit(1)
        os._exit(0)
    return _wait(child) == 0


def transplant(module: ModuleType, text: str) -> None:
    """Put the code of a changed text into the functions and classes of a module that others have imported already."""
    changed = ModuleType(module.__name__)
    exec(compile(text, module.__file__ or "", "exec"), changed.__dict__)
    for name, new in vars(changed).items():
        old = vars(module).get(name)
        if isinstance(new, type) and isinstance(old, type) and new.__module__ == module.__name__:
            for attribute, value in list(vars(new).items()):
                _transplant_one(old, attribute, vars(old).get(attribute), value)
        elif isinstance(new, FunctionType) and new.__globals__ is vars(changed):
            _swap(old, new)
        elif isinstance(new, dict) and isinstance(old, dict) and not name.startswith("__"):
            ours = {key: vars(module).get(getattr(value, "__name__", ""), value) for key, value in new.items()}
            old.clear(), old.update(ours)


def _transplant_one(owner: type, name: str, old: Any, new: Any) -> None:
    if isinstance(new, FunctionType) and isinstance(old, FunctionType):
        _swap(old, new)
    elif isinstance(new, property) and isinstance(old, property):
        _swap(old.fget, new.fget)
    elif isinstance(new, (str, int, float, tuple, bool)) and name not in ("__doc__", "__module__", "__qualname__"):
        setattr(owner, name, new)


def _swap(old: Any, new: Any) -> None:
    old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


# --- the slow way: a process that imports the changed package --------------------------------------------------------


def overlay(folder: Path, module: str, text: str) -> None:
    """A package of links to the sources, with one file of its own."""
    package = folder / "clearprop"
    package.mkdir(exist_ok=True)
    for entry in SOURCE.iterdir():
        link = package / entry.name
        if entry.stem != module and not link.exists() and entry.name != "__pycache__":
            link.symlink_to(entry)
    (package / f"{module}.py").write_text(text, encoding="utf-8")


def is_killed(folder: Path, tests: list[str]) -> bool:
    """Run the tests in a process of its own that imports the changed package."""
    child = os.fork()
    if child == 0:
        _run_tests(folder, tests)
    return _wait(child) != 0


def _wait(child: int) -> int:
    """The exit status of a child, which is ended after a while."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


def _run_tests(folder: Path, tests: list[str]) -> None:
    """In the child: what the parent loaded of clearprop is no hindrance, since another interpreter is started."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1), os.dup2(nothing, 2)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", SKIPPED, *tests]
    os.execve(sys.executable, command, os.environ | {"PYTHONPATH": str(folder)})


def explained() -> dict[str, set[str]]:
    """Survivors by module that mean the same as the original."""
    found: dict[str, set[str]] = {}
    for line in (HERE / "survivors.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", " ")):
            module, _, description = line.partition(": ")
            found.setdefault(module, set()).add(description)
    return found


def survivors_of(module: str) -> tuple[int, list[str]]:
    """The number of mutants, and what survived."""
    import pytest

    text = (SOURCE / f"{module}.py").read_text(encoding="utf-8")
    found = list(mutants(text))
    tests = [str(ROOT / test) for test in TESTS[module]]
    forker = Forker(importlib.import_module(f"clearprop.{module}"), [changed for _, _, changed in found])
    pytest.main(
        ["-q", "-n", "0", "-p", "no:cacheprovider", "--no-header", "-k", SKIPPED, *tests, "-W", QUIET], plugins=[forker]
    )
    if not forker.sound:
        sys.exit(f"{module}: its tests fail before anything is changed.")
    survived = []
    with tempfile.TemporaryDirectory() as name:
        for number in forker.survivors:
            line, description, changed = found[number]
            overlay(Path(name), module, changed)
            if not is_killed(Path(name), tests):
                survived.append(description)
                print(f"{module}:{line}: {description}", flush=True)
    return len(found), survived


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=list(TESTS))
    parser.add_argument("--show", type=int, help="print one mutant, by its number, as a diff")
    given = parser.parse_args()
    if given.show is not None:
        text = ast.unparse(ast.parse((SOURCE / f"{given.modules[0]}.py").read_text(encoding="utf-8")))
        changed = list(mutants(text))[given.show][2]
        print("\n".join(difflib.unified_diff(text.splitlines(), changed.splitlines(), lineterm="", n=1)))
        return 0
    os.chdir(ROOT)
    known, total, lost, unknown = explained(), 0, 0, 0
    for module in given.modules:
        count, survived = survivors_of(module)
        new = [description for description in survived if description not in known.get(module, set())]
        print(f"{module}: {count} mutants, {count - len(survived)} killed ({1 - len(survived) / count:.1%}), "
              f"{len(survived) - len(new)} survivors explained, {len(new)} not")  # fmt: skip
        total, lost, unknown = total + count, lost + len(survived), unknown + len(new)
    print(f"all: {total} mutants, {1 - lost / total:.1%} killed")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
