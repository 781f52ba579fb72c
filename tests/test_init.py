"""What importing the package loads, and what is loaded when it is asked for."""

import ast
import importlib
import inspect
import subprocess
import sys

import pytest

import clearprop as cp

#: What takes longer to load than all the rest, and not everybody needs.
HEAVY = ("numba", "pandas", "polars", "sklearn")


def loaded_after(code: str) -> set[str]:
    """Which of these a new process has loaded after some code."""
    show = f"import sys; print(); print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_loads_no_heavy_modules():
    assert loaded_after("import clearprop") == set()


def test_help_needs_no_scikit_learn():
    code = """import runpy, sys
sys.argv = ["clearprop", "--help"]
try:
    runpy.run_module("clearprop", run_name="__main__")
except SystemExit as end:
    assert not end.code"""
    assert not loaded_after(code) & {"numba", "pandas", "sklearn"}


def test_every_name_is_listed_before_it_is_loaded():
    code = """import clearprop as cp
names = set(dir(cp))
assert set(cp.__all__) | {"datasets", "estimators", "model", "tables", "views"} <= names
assert not {"Model", "fit", "model", "tables"} & set(vars(cp))
for name in sorted(names, reverse=True):  # modules first
    assert getattr(cp, name) is getattr(cp, name)
from clearprop import *
assert MLPClassifier is cp.estimators.MLPClassifier and fit is cp.model.fit"""
    assert loaded_after(code) >= {"numba", "polars", "sklearn"}


def test_lazy_names_are_declared_to_type_checkers():
    tree = ast.parse(inspect.getsource(cp))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in blocks[0].body if isinstance(node, ast.ImportFrom)]
    declared = {alias.name: node.module for node in imports for alias in node.names}
    assert declared == {name: f"clearprop.{module}" for name, module in cp._LAZY.items()}
    assert len(declared) == 5


@pytest.mark.parametrize(
    ("name", "now"),
    [("gelu", "activations.gelu"), ("LOSSES", "losses.LOSSES"), ("Cosine", "schedules.Cosine"), ("L2", "penalties.L2"),
     ("EpochEnd", "training.EpochEnd"), ("jacobian", "analysis.jacobian"), ("Finding", "explain.diagnosis.Finding")],
)  # fmt: skip
def test_the_error_for_a_moved_name_says_where_it_is(name, now):
    with pytest.raises(AttributeError) as error:
        getattr(cp, name)
    assert str(error.value) == f"cp.{name} is now cp.{now}"


@pytest.mark.parametrize("name", ["activations", "losses", "optimizers", "schedules", "initializers", "penalties",
                                  "analysis", "training"])  # fmt: skip
def test_a_namespace_is_a_module_of_public_names(name):
    module = importlib.import_module(f"clearprop.{name}")
    assert getattr(cp, name) is module
    assert all(hasattr(module, public) for public in module.__all__)
    assert len(set(module.__all__)) == len(module.__all__) >= 5


def test_an_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="module 'clearprop' has no attribute 'MLP'"):
        cp.MLP  # noqa: B018
