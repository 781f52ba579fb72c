"""Mutation test: change one small thing at a time in a module and see whether its tests notice.

    python tests/mutation/mutate.py                      all three modules (some 20 minutes)
    python tests/mutation/mutate.py losses --show 12     one module, or one mutant as a diff

A mutant counts as killed when a test fails (or runs for more than a minute). Survivors that mean the same as the
original are listed with the reason in survivors.txt; any other is printed, and the exit status is 1. It is not part of
the usual test run, because it runs the tests of a module once for each mutant.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import difflib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

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
    """Run the tests in a child that has the other libraries loaded already."""
    child = os.fork()
    if child == 0:
        _run_tests(folder, tests)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status != 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def _run_tests(folder: Path, tests: list[str]) -> None:
    import pytest

    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    sys.path.insert(0, str(folder))
    code = 1
    with contextlib.suppress(BaseException):
        options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-k", SKIPPED]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        code = int(pytest.main([*options, *tests]))
    os._exit(code)


def load_libraries() -> None:
    """What every child needs, loaded once; nothing of clearprop."""


def explained() -> dict[str, set[str]]:
    """Survivors by module that mean the same as the original."""
    found: dict[str, set[str]] = {}
    for line in (HERE / "survivors.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", " ")):
            module, _, description = line.partition(": ")
            found.setdefault(module, set()).add(description)
    return found


def survivors_of(module: str, verbose: bool) -> tuple[int, list[str]]:
    """The number of mutants, and what survived."""
    text = (SOURCE / f"{module}.py").read_text(encoding="utf-8")
    tests = [str(ROOT / test) for test in TESTS[module] if (ROOT / test).exists()]
    count, survived = 0, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        overlay(folder, module, text)
        if is_killed(folder, tests):
            sys.exit(f"{module}: its tests fail before anything is changed.")
        for line, description, changed in mutants(text):
            count += 1
            overlay(folder, module, changed)
            if not is_killed(folder, tests):
                survived.append(description)
                if verbose:
                    print(f"{module}:{line}: {description}", flush=True)
    return count, survived


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
    load_libraries()
    known, total, lost, unknown = explained(), 0, 0, 0
    for module in given.modules:
        count, survived = survivors_of(module, verbose=True)
        new = [description for description in survived if description not in known.get(module, set())]
        print(f"{module}: {count} mutants, {count - len(survived)} killed ({1 - len(survived) / count:.1%}), "
              f"{len(survived) - len(new)} survivors explained, {len(new)} not")  # fmt: skip
        total, lost, unknown = total + count, lost + len(survived), unknown + len(new)
    print(f"all: {total} mutants, {1 - lost / total:.1%} killed")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
