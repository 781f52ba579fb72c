"""Mutation test: change one small thing at a time in a module and check that its tests fail.

    python tests/mutation/mutate.py                            every mutant of the core modules (some minutes)
    python tests/mutation/mutate.py losses                     every mutant of one module
    python tests/mutation/mutate.py tables.columns --sample 60 a random sample of the mutants of a module
    python tests/mutation/mutate.py --samples                  a sample of each module of engine, estimators and tables
    python tests/mutation/mutate.py losses --show 12           one mutant, as a diff

A mutant is killed when it cannot be imported, when a test fails, or when a test runs for more than a minute. Survivors
that are equivalent to the original are listed with the reason in survivors.txt; any other is printed, and the exit
status is 1. It is not part of the usual test run, because it runs the tests of a module once for each mutant: first in
children of a process that has collected them, where the changed code is put into the loaded module and the test that
killed the last mutant comes first; what survives there is run again in a process that imports the changed package.
"""

from __future__ import annotations

import argparse
import ast
import copy
import difflib
import importlib
import json
import os
import random
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
#: The quick tests of each module; compiled code is left out, since both engines use the same definitions.
TESTS = {
    "core.backprop": ["tests/core/test_backprop.py", "tests/engine/test_textbook.py", "tests/core/test_objective.py"],
    "losses": ["tests/test_losses.py", "tests/test_extremes.py", "tests/core/test_objective.py"],
    "optimizers": ["tests/test_optimizers.py", "tests/engine/test_textbook.py"],
}
#: Modules of which a sample of mutants is tested with --samples.
SAMPLED = {
    "engine.textbook": ["tests/engine/test_textbook.py", "tests/training/test_loop.py"],
    "training.batches": ["tests/training/test_batches.py", "tests/training/test_loop.py"],
    "estimators.parameters": ["tests/estimators/test_parameters.py", "tests/estimators/test_bad_input.py"],
    "estimators.protocol": ["tests/estimators/test_parity.py", "tests/estimators/test_beyond.py"],
    "tables.columns": ["tests/tables"],
    "tables.targets": ["tests/tables"],
}
SKIPPED = "not compiled and not keep_the_precision and not against_torch and not every_schedule"
SECONDS = 60
#: hypothesis is loaded here before pytest can rewrite its assertions.
QUIET = "ignore::pytest.PytestAssertRewriteWarning"
OPTIONS = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--no-header", "-W", QUIET, "-k", SKIPPED]
#: Loaded once, before the processes part.
LOADED = ["numpy", "scipy.sparse", "scipy.optimize", "numba", "sklearn.metrics", "sklearn.neural_network", "hypothesis"]

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

    def __init__(self, module: ModuleType, original: str, texts: list[str]) -> None:
        self.module, self.original, self.texts = module, original, texts
        self.sound = False
        self.survivors: list[int] = []
        self.items: list[Any] = []

    def pytest_collection(self) -> None:
        """That an example fails is enough; it need not be made small."""
        usual, phases = (
            hypothesis.settings.get_profile("clearprop"),
            (hypothesis.Phase.explicit, hypothesis.Phase.generate),
        )
        hypothesis.settings.register_profile("mutation", usual, phases=phases)
        hypothesis.settings.load_profile("mutation")

    def pytest_runtestloop(self, session: Any) -> bool:
        self.items = list(session.items)
        self.sound = self._passes(self.original, session)  # so that putting code in kills nothing by itself
        for number, text in enumerate(self.texts if self.sound else []):
            if self._passes(text, session):
                self.survivors.append(number)
        return True

    def _passes(self, text: str, session: Any) -> bool:
        """Whether a child passes all tests; the one that fails comes first for the next mutant, often a like one."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _say_nothing()
            os._exit(self._run(text, session, writer))
        os.close(writer)
        status = _wait(child)
        failed = os.read(reader, 8)
        os.close(reader)
        if failed:
            self.items.insert(0, self.items.pop(int(failed)))
        return status == 0

    def _run(self, text: str, session: Any, writer: int) -> int:
        """In the child: 1 once the changed module cannot be made or a test fails."""
        try:
            changed = made(self.module, text)
        except Exception:
            return 1
        transplant(self.module, changed)
        for place, item in enumerate(self.items):
            following = self.items[place + 1] if place + 1 < len(self.items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                os.write(writer, str(place).encode())
                return 1
        return 0


def _say_nothing() -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


def made(module: ModuleType, text: str) -> ModuleType:
    """A module of the changed text."""
    changed = ModuleType(module.__name__)
    exec(compile(text, module.__file__ or "", "exec"), changed.__dict__)
    return changed


def transplant(module: ModuleType, changed: ModuleType) -> None:
    """Put the code of a changed module into the functions and classes of one that others have imported already."""
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
    if len(old.__code__.co_freevars) != len(new.__code__.co_freevars):
        return  # it cannot be put in here; should it survive, the slow way decides
    old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


# --- the slow way: a process that imports the changed package --------------------------------------------------------


def file_of(module: str) -> Path:
    """The file of a module of the package, relative to the package."""
    return Path(*module.split(".")).with_suffix(".py")


def overlay(folder: Path, module: str, text: str) -> None:
    """A package of links to the sources, in which one file is replaced."""
    changed = file_of(module)
    for parent in (*reversed(changed.parents),):
        package = folder / "clearprop" / parent
        package.mkdir(parents=True, exist_ok=True)
        for entry in (SOURCE / parent).iterdir():
            link, own = package / entry.name, parent / entry.name
            if own != changed and own not in changed.parents and not link.exists() and entry.name != "__pycache__":
                link.symlink_to(entry)
    (folder / "clearprop" / changed).write_text(text, encoding="utf-8")


def is_killed(folder: Path, tests: list[str]) -> bool:
    """Run the tests in a process that imports the changed package; what it needs besides is loaded already."""
    child = os.fork()
    if child == 0:
        _say_nothing()
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True  # two mutants of one second and size look the same to the cache
        import pytest

        os._exit(int(pytest.main(["-x", *OPTIONS, *tests])))
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


def explained() -> dict[str, set[str]]:
    """Survivors by module that mean the same as the original."""
    found: dict[str, set[str]] = {}
    for line in (HERE / "survivors.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", " ")):
            module, _, description = line.partition(": ")
            found.setdefault(module, set()).add(description)
    return found


def _survivors_of_the_quick_way(module: str, text: str, texts: list[str], tests: list[str]) -> list[int] | None:
    import pytest

    forker = Forker(importlib.import_module(f"clearprop.{module}"), text, texts)
    pytest.main([*OPTIONS, *tests], plugins=[forker])
    return forker.survivors if forker.sound else None


def _in_a_child(work: Callable[[], list[int] | None]) -> list[int] | None:
    """The result of a function that loads clearprop, which this process must not."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _say_nothing()
        os.write(writer, json.dumps(work()).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        found = answer.read()
    os.waitpid(child, 0)
    return json.loads(found)


def survivors_of(module: str, sample: int | None = None) -> tuple[int, list[str]]:
    """The number of mutants (all, or a random sample that is always the same), and those that survived."""
    text = (SOURCE / file_of(module)).read_text(encoding="utf-8")
    found = list(mutants(text))
    if sample is not None:
        found = random.Random(0).sample(found, min(sample, len(found)))
    tests = [str(ROOT / test) for test in (TESTS | SAMPLED)[module]]
    texts = [changed for *_, changed in found]
    survived_here = _in_a_child(lambda: _survivors_of_the_quick_way(module, text, texts, tests))
    if survived_here is None:
        sys.exit(f"{module}: its tests fail before anything is changed.")
    survived = []
    with tempfile.TemporaryDirectory() as name:
        for number in survived_here:
            line, description, changed = found[number]
            overlay(Path(name), module, changed)
            if not is_killed(Path(name), tests):
                survived.append(description)
                print(f"{module}:{line}: {description}", flush=True)
    return len(found), survived


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--show", type=int, help="print one mutant, by its number, as a diff")
    parser.add_argument("--sample", type=int, help="only so many mutants of each module, drawn at random")
    parser.add_argument("--samples", action="store_true", help="a sample of 40 mutants of each module outside the core")
    given = parser.parse_args()
    if given.samples:
        given.modules, given.sample = list(SAMPLED), given.sample or 40
    given.modules = given.modules or list(TESTS)
    if given.show is not None:
        text = ast.unparse(ast.parse((SOURCE / file_of(given.modules[0])).read_text(encoding="utf-8")))
        changed = list(mutants(text))[given.show][2]
        print("\n".join(difflib.unified_diff(text.splitlines(), changed.splitlines(), lineterm="", n=1)))
        return 0
    os.chdir(ROOT)
    for name in LOADED:
        importlib.import_module(name)
    known, total, lost, unknown = explained(), 0, 0, 0
    for module in given.modules:
        count, survived = survivors_of(module, given.sample)
        new = [description for description in survived if description not in known.get(module, set())]
        print(f"{module}: {count} mutants, {count - len(survived)} killed ({1 - len(survived) / count:.1%}), "
              f"{len(survived) - len(new)} survivors explained, {len(new)} not")  # fmt: skip
        total, lost, unknown = total + count, lost + len(survived), unknown + len(new)
    print(f"all: {total} mutants, {1 - lost / total:.1%} killed")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
