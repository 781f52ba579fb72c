"""Records have named fields; memory holds the parameters at most twice, slots, one batch, and little else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.engine.api import Training
from clearprop.engine.compiled.engine import CompiledEngine
from clearprop.engine.compiled.records import NONE, Layer, Options, copy_record, new_record, new_table


@pytest.mark.parametrize(("batch", "units"), [(128, (784, 128, 10)), (512, (784, 1024, 1024, 10)), (4, (2, 3, 3))])
def test_memory_by_accounting(batch: int, units: tuple[int, ...]) -> None:
    X, y = np.zeros((2000, units[0]), np.float32), np.zeros(2000, np.int64)
    net = cp.Network.sequential(*units, output="softmax")
    params = net.initialize(0, "float32")
    objective = prepare(net, params, X, y, "cross_entropy")
    memory = CompiledEngine(Training(objective, cp.Adam(0.1)), params, batch).memory
    assert np.shares_memory(memory.X, X)
    assert np.shares_memory(memory.indices, y)
    own = {name: a.nbytes for name, a in memory._asdict().items() if a is not None and name not in ("X", "indices")}
    size, padding = params.flat.nbytes, 4 * 64 * sum(units)
    transposed = 4 * sum(i * o for i, o in pairwise(units[1:]))
    assert own["weights"] <= size + transposed + 4 * padding
    assert own["slot0"] + own["slot1"] <= 2 * size + 2 * padding
    activations = 4 * batch * sum(u + 64 for u in units[1:])
    assert own["work"] <= 3 * activations + 2_000_000  # z (and f where tanh or the like needs z), a, delta
    rest = sum(own.values()) - own["weights"] - own["slot0"] - own["slot1"] - own["work"]
    assert rest < 500_000


def test_fields_are_attributes_of_views() -> None:
    table = new_table(Layer, 3)
    layer = table[1]
    layer.units, layer.dropout, layer.is_output = 5, 0.5, True
    assert isinstance(layer, Layer)
    assert table["units"].tolist() == [NONE, 5, NONE]
    assert (table[1].units, table[1].dropout, table[1].is_output) == (5, 0.5, True)


@pytest.mark.parametrize("action", [lambda r: r.decays, lambda r: setattr(r, "decays", 1.0)])
def test_a_field_that_does_not_exist_is_an_error(action) -> None:
    with pytest.raises(AttributeError, match="decays"):
        action(new_record(Options))


def test_a_table_that_is_read_only_refuses_a_field() -> None:
    table = new_table(Layer, 1)
    table.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        table[0].units = 2


def test_a_copy_of_a_record_has_memory_of_its_own() -> None:
    options = new_record(Options)
    options.decay = 0.5
    before = copy_record(options)
    options.decay, options.is_mean = 0.1, True
    assert before.decay == 0.5
    assert (options.decay, options.is_mean) == (0.1, True)
