"""Layers and lanes never overlap, for any wiring."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

import clearprop as cp
from clearprop.core.network import INPUT
from clearprop.draw.network_layout import Slot, lay_out


@st.composite
def networks(draw) -> cp.Network:
    """Layers of three units that take any earlier ones, with any kind of connection."""
    names = [INPUT]
    layers = []
    for i in range(draw(st.integers(1, 9))):
        sources = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
        kinds = [draw(st.sampled_from(["dense", "identity", "frozen", "wired"])) for _ in sources]
        make = {
            "dense": cp.Dense,
            "identity": cp.Direct,
            "frozen": lambda source: cp.Dense(source, trainable=False),
            "wired": lambda source: cp.Wired(source, [[1, 0, 0], [0, 2, 0], [0, 0, 1]]),
        }
        layers.append(cp.Layer(f"l{i}", 3, sources=[make[k](s) for k, s in zip(kinds, sources, strict=True)]))
        names.append(f"l{i}")
    taken = {c.source for layer in layers for c in layer.sources}
    return cp.Network(3, layers, outputs=[name for name in names[1:] if name not in taken])


@settings(max_examples=150)
@given(networks(), st.integers(20, 120))
def test_no_two_slots_of_a_rank_overlap(net, size):
    plan = lay_out(net, dict.fromkeys([INPUT, *net.index], float(size)))
    for rank in range(max(plan.ranks.values()) + 1):
        here = sorted((centre, slot.lane is None) for slot, centre in plan.across.items() if slot.rank == rank)
        for (a, a_is_layer), (b, b_is_layer) in pairwise(here):
            room = (size if a_is_layer else 18) / 2 + (size if b_is_layer else 18) / 2
            assert b - a >= room - 1e-6
    assert min(plan.across.values()) >= 0
    assert max(plan.across.values()) <= plan.extent


@given(networks())
def test_every_connection_goes_forward_through_one_lane_per_rank_it_skips(net):
    plan = lay_out(net, dict.fromkeys([INPUT, *net.index], 50.0))
    assert len(plan.wires) == sum(len(layer.connections) for layer in net.layers)
    for wire in plan.wires:
        first, last = plan.ranks[wire.connection.source], plan.ranks[wire.target]
        assert first < last
        assert [lane.rank for lane in wire.lanes] == list(range(first + 1, last))
        assert all(lane in plan.across for lane in wire.lanes)


def test_a_chain_is_a_straight_line_and_its_skip_goes_beside_it():
    net = cp.Network(4, [cp.Layer("a", 4), cp.Layer("b", 4), cp.Layer("c", 4, sources=["b", "input"])])
    plan = lay_out(net, dict.fromkeys([INPUT, "a", "b", "c"], 60.0))
    assert plan.ranks == {INPUT: 0, "a": 1, "b": 2, "c": 3}
    assert max(abs(plan.centre(x) - plan.centre(y)) for x, y in pairwise([INPUT, "a", "b", "c"])) < 12
    lane = plan.across[Slot(INPUT, 1, "dense")]
    assert abs(lane - plan.centre("a")) >= 30 + 9


def test_connections_of_one_kind_from_one_source_share_a_lane():
    net = cp.Network(2, [cp.Layer("a", 2), cp.Layer("b", 2), cp.Layer("c", 2, sources=["b", "input"]),
                         cp.Layer("d", 2, sources=["c", "input"])])  # fmt: skip
    lanes = [slot for slot in lay_out(net, dict.fromkeys([INPUT, *net.index], 40.0)).across if slot.lane]
    assert sorted((lane.source, lane.rank) for lane in lanes) == [(INPUT, 1), (INPUT, 2), (INPUT, 3)]
