"""Nothing public goes untested: whoever adds an entry to a registry or a public name adds its row in tests/cases.py."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from cases import (
    ACTIVATION_CASES,
    CONNECTION_CASES,
    ENGINES,
    INITIALIZER_CASES,
    LOSS_CASES,
    MORE_ACTIVATION_CASES,
    OPTIMIZER_CASES,
    PENALTY_CASES,
    SCHEDULE_CASES,
    TESTED_IN,
    public_names,
)

import clearprop as cp
from clearprop.core.connections import CONNECTIONS
from clearprop.errors import ArgumentError

TESTS = Path(__file__).parent
PUBLIC = public_names()
#: Each registry with the names its case table has rows for.
REGISTRIES = {
    "ACTIVATIONS": (cp.activations.ACTIVATIONS, {case.name for case in ACTIVATION_CASES}),
    "LOSSES": (cp.losses.LOSSES, {case.loss.name for case in LOSS_CASES}),
    "OPTIMIZERS": (cp.optimizers.OPTIMIZERS, {case.name for case in OPTIMIZER_CASES}),
    "SCHEDULES": (cp.schedules.SCHEDULES, {case.name for case in SCHEDULE_CASES}),
    "INITIALIZERS": (cp.initializers.INITIALIZERS, {case.name for case in INITIALIZER_CASES}),
    "PENALTIES": (cp.penalties.PENALTIES, {case.name for case in PENALTY_CASES}),
    "CONNECTIONS": (CONNECTIONS, {case.make("input").kind for case in CONNECTION_CASES}),
}
#: Modules whose tests are those of another: the operations of the activations, ...
TESTED_ELSEWHERE = {
    "mathematics": "test_activations.py",
    "core.layer": "core/test_network.py",
    "core.layout": "core/test_parameters.py",
    "datasets": "tables/test_tables.py",
    "model.summary": "cli/test_app.py",
}
#: The types that the case tables run.
TYPES_WITH_CASES = {
    *(type(case.activation) for case in ACTIVATION_CASES + MORE_ACTIVATION_CASES),
    *(type(case.loss) for case in LOSS_CASES),
    *(type(case.optimizer) for case in OPTIMIZER_CASES),
    *(type(case.make(1.0)) for case in SCHEDULE_CASES),
    *(type(case.initializer) for case in INITIALIZER_CASES),
    *(type(case.penalty) for case in PENALTY_CASES),
    *(type(case.make("input")) for case in CONNECTION_CASES),
}


@pytest.mark.parametrize(("registry", "rows"), REGISTRIES.values(), ids=REGISTRIES)
def test_every_entry_of_a_registry_has_a_row(registry, rows):
    assert set(registry) - rows == set()


@pytest.mark.parametrize(("registry", "rows"), REGISTRIES.values(), ids=REGISTRIES)
def test_entries_go_by_their_own_name(registry, rows):
    names = [getattr(entry, "kind", None) or getattr(entry, "name", None) for entry in registry.values()]
    if registry is cp.initializers.INITIALIZERS:  # several settings of one class
        assert len(set(registry.values())) == len(registry)
    else:
        assert names == list(registry)


def test_the_tables_have_not_shrunk():
    """The least numbers of rows; a row more is welcome, one less is an accident."""
    counts = {
        "activations": len(ACTIVATION_CASES),
        "more activations": len(MORE_ACTIVATION_CASES),
        "losses": len(LOSS_CASES),
        "optimizers": len(OPTIMIZER_CASES),
        "schedules": len(SCHEDULE_CASES),
        "connections": len(CONNECTION_CASES),
        "initializers": len(INITIALIZER_CASES),
        "penalties": len(PENALTY_CASES),
        "engines": len(ENGINES),
    }
    least = {
        "activations": 19,
        "more activations": 4,
        "losses": 17,
        "optimizers": 12,
        "schedules": 8,
        "connections": 5,
        "initializers": 13,
        "penalties": 2,
        "engines": 1,
    }
    assert {name: count for name, count in counts.items() if count < least[name]} == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_are_those_that_train_knows(engine):
    net = cp.Network.sequential(1, 1)
    assert cp.train(net, net.initialize(), [[1.0]], [[1.0]], loss="huber", epochs=1, engine=engine).epochs == 1
    with pytest.raises(ArgumentError) as error:
        cp.train(net, net.initialize(), [[1.0]], [[1.0]], loss="huber", epochs=1, engine="none")
    known = str(error.value).split("expected one of ")[1].split(", got")[0]
    assert known == ", ".join(map(repr, ["auto", *ENGINES]))


@pytest.mark.parametrize("path", PUBLIC)
def test_every_public_name_is_tested(path):
    public, name = PUBLIC[path], path.rpartition(".")[2]
    kind = public if isinstance(public, type) else type(public)
    if kind in TYPES_WITH_CASES or name in REGISTRIES:
        return
    assert name in TESTED_IN, f"cp.{path} has no row in a table of tests/cases.py, nor in TESTED_IN there"
    text = (TESTS / TESTED_IN[name]).read_text(encoding="utf-8")
    made_by = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()  # an Evaluation or a PerSample comes out of a function
    assert name in text or made_by in text


@pytest.mark.parametrize("path", PUBLIC)
def test_every_public_name_has_a_docstring_with_an_example(path):
    public = PUBLIC[path]
    if isinstance(public, dict):
        return
    documented = public if isinstance(public, type) or inspect.isroutine(public) else type(public)
    text = inspect.getdoc(documented)
    assert text, f"cp.{path} has no docstring"
    assert text.splitlines()[0].rstrip().endswith((".", ":", ",")) or len(text.splitlines()[0]) > 20
    assert ">>> " in text, f"the docstring of cp.{path} has no example"


def test_public_names_are_listed_once_and_exist():
    assert len(set(cp.__all__)) == len(cp.__all__)
    assert 45 <= len(cp.__all__) <= 51
    names = [path.rpartition(".")[2] for path in PUBLIC]
    assert len(set(names)) == len(names) >= 123
    assert all(hasattr(cp, name) for name in cp.__all__)  # which loads what is loaded when it is asked for
    public = {
        name
        for name, value in vars(cp).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and getattr(value, "__module__", "clearprop") != "typing"
    }
    assert public == set(cp.__all__)


def test_every_row_of_tested_in_is_public():
    assert set(TESTED_IN) - {path.rpartition(".")[2] for path in PUBLIC} == set()


def test_tests_mirror_the_source():
    """Each module of these folders has the test file of its name."""
    src = Path(inspect.getfile(cp)).parent
    modules = [
        path.relative_to(src)
        for folder in (".", "core", "model", "serialization", "training", "engine")
        for path in (src / folder).glob("*.py")
        if not path.stem.startswith("_")
    ]
    own = [path for path in modules if ".".join(path.with_suffix("").parts) not in TESTED_ELSEWHERE]
    expected = [str(path.with_name(f"test_{path.name}")) for path in own]
    assert len(expected) >= 25
    assert [name for name in expected if not (TESTS / name).exists()] == []
    assert [name for name in TESTED_ELSEWHERE.values() if not (TESTS / name).exists()] == []
