"""Layer and Network: the wiring, its sugar, and every impossible wiring refused."""

from __future__ import annotations

import math
import pickle

import pytest

import clearprop as cp
from clearprop.errors import ArgumentError, NetworkError


def layers(*items):
    return [cp.Layer(name, 2, sources=sources) for name, *sources in items]


def test_a_chain_takes_the_layer_before():
    net = cp.Network(3, [cp.Layer("a", 2), cp.Layer("b", 4), cp.Layer("c", 1)])
    assert [layer.connections for layer in net.layers] == [(cp.Dense("input"),), (cp.Dense("a"),), (cp.Dense("b"),)]
    assert net.outputs == ("c",)
    assert net.units("input") == 3
    assert net.units("b") == 4
    assert net.index == {"a": 0, "b": 1, "c": 2}


def test_names_and_objects_are_the_same():
    by_name = cp.Layer("h", 3, "tanh", sources="input", initializer="he_normal", bias_initializer="zeros")
    by_object = cp.Layer(
        "h",
        3,
        cp.tanh,
        sources=[cp.Dense("input")],
        initializer=cp.initializers.INITIALIZERS["he_normal"],
        bias_initializer=cp.initializers.Zeros(),
    )
    assert by_name == by_object
    assert hash(by_name) == hash(by_object)


def test_networks_are_equal_and_hash_by_content():
    one = cp.Network(2, [cp.Layer("a", 2, "relu"), cp.Layer("b", 1, sources=["a", "input"])])
    two = cp.Network(
        2, (cp.Layer("a", 2, cp.relu, ["input"]), cp.Layer("b", 1, cp.activations.identity, ("a", "input"))), "b"
    )
    assert one == two
    assert hash(one) == hash(two)
    assert one != one.with_layer("a", units=3)
    assert len({one, two, one.with_layer("a", dropout=0.5)}) == 2


def test_networks_are_immutable():
    net = cp.Network.sequential(2, 3, 1)
    with pytest.raises(AttributeError, match="cannot assign to field"):
        net.inputs = 3
    with pytest.raises(AttributeError, match="cannot assign to field"):
        net["hidden"].units = 3
    assert isinstance(net.layers, tuple)
    assert isinstance(net["output"].sources, tuple)


def test_networks_survive_a_copy_between_processes():
    net = cp.Network(3, [cp.Layer("a", 2, "elu", cp.Wired("input", [[1, 0], [2, 1], [0, 2]])), cp.Layer("b", 1)])
    assert pickle.loads(pickle.dumps(net)) == net
    assert hash(pickle.loads(pickle.dumps(net))) == hash(net)


def test_sequential():
    net = cp.Network.sequential(4, 5, 6, 2, hidden="tanh", output="softmax", dropout=0.2, initializer="orthogonal")
    assert net == cp.Network(
        4,
        [
            cp.Layer("hidden1", 5, "tanh", dropout=0.2, initializer="orthogonal"),
            cp.Layer("hidden2", 6, "tanh", dropout=0.2, initializer="orthogonal"),
            cp.Layer("output", 2, "softmax", initializer="orthogonal"),
        ],
    )
    assert [layer.name for layer in cp.Network.sequential(4, 5, 2).layers] == ["hidden", "output"]
    assert cp.Network.sequential(4, 2) == cp.Network(4, [cp.Layer("output", 2)])


def test_counts():
    net = cp.Network(
        4,
        [
            cp.Layer("a", 3, bias=False),
            cp.Layer("b", 3, sources=[cp.Dense("a", trainable=False), cp.Direct("a")], train_bias=False),
            cp.Layer("c", 2, sources=[cp.Wired("b", [[1, 0], [2, 1], [0, 2]]), "input"]),
        ],
    )
    assert net.parameter_count == 12 + (9 + 3) + (2 + 8 + 2)
    assert net.trainable_count == 12 + (2 + 8 + 2)


def test_printing_shows_the_wiring(terminal):
    terminal(100)
    net = cp.Network(
        2,
        [
            cp.Layer("first", 2, "tanh", dropout=0.5),
            cp.Layer("second", 2, "leaky_relu", [cp.Dense("first", False), cp.Direct("input")], train_bias=False),
            cp.Layer("third", 2, sources=cp.Wired("second", [[1, 0], [0, 1]]), bias=False),
        ],
        outputs=["second", "third"],
    )
    assert str(net).splitlines() == [
        "input       2",
        "first       2  tanh        from input                               6 parameters  dropout 0.5",
        "second      2  leaky_relu  from first (frozen), input (identity)    6 parameters  -> output",
        "third       2  identity    from second (wired)                      1 parameters  -> output",
    ]
    terminal(80)
    assert str(net).splitlines() == [
        "input       2",
        "first       2  tanh          6 parameters  dropout 0.5  from input",
        "second      2  leaky_relu    6 parameters  -> output  from first (frozen), input",
        "        (identity)",
        "third       2  identity      1 parameters  -> output  from second (wired)",
    ]


def test_a_layer_without_parameters_is_printed_with_a_count_of_0():
    net = cp.Network(2, [cp.Layer("sum", 2, "sine", cp.Direct("input"), bias=False)])
    assert "0 parameters" in str(net)
    assert net.parameter_count == 0


def test_with_layer():
    net = cp.Network.sequential(2, 3, 1)
    changed = net.with_layer("hidden", activation="sine", units=5)
    assert changed["hidden"].f is cp.activations.sine
    assert changed["hidden"].units == 5
    assert changed["output"] == net["output"]
    assert net["hidden"].units == 3


BAD_NETWORKS = {
    "dangling source": (
        lambda: cp.Network(2, [cp.Layer("hidden", 3), cp.Layer("output", 1, sources=["hiden"])]),
        'layer "output": there is no source "hiden". Did you mean "hidden"? Available: input, hidden.',
    ),
    "input misspelt": (
        lambda: cp.Network(2, [cp.Layer("a", 1, sources="Input")]),
        'layer "a": there is no source "Input". Did you mean "input"?',
    ),
    "cycle of two": (
        lambda: cp.Network(2, layers(("a", "input", "b"), ("b", "a"))),
        'layer "a": the wiring has a cycle, a -> b -> a (each takes the next).',
    ),
    "cycle of three": (
        lambda: cp.Network(2, layers(("a", "c"), ("b", "a"), ("c", "b"))),
        'layer "a": the wiring has a cycle, a -> c -> b -> a',
    ),
    "takes itself": (
        lambda: cp.Network(2, layers(("a", "input", "a"))),
        'layer "a": the wiring has a cycle, a -> a',
    ),
    "wrong order": (
        lambda: cp.Network(2, layers(("a", "b"), ("b", "input"))),
        'layer "a": its source "b" comes later in the list. Put "b" before "a".',
    ),
    "name twice": (
        lambda: cp.Network(2, layers(("a", "input"), ("a", "input"))),
        'layers: the name "a" is used 2 times; each layer needs its own.',
    ),
    "source twice": (
        lambda: cp.Network(2, layers(("a", "input", "input"))),
        'layer "a": takes "input" twice.',
    ),
    "identity twice": (
        lambda: cp.Network(2, layers(("a", cp.Direct("input"), cp.Direct("input")))),
        'layer "a": takes "input" twice.',
    ),
    "dense and wired from one source": (
        lambda: cp.Network(2, layers(("a", "input", cp.Wired("input", [[1, 0], [0, 1]])))),
        'layer "a": takes "input" twice.',
    ),
    "unused layer": (
        lambda: cp.Network(2, layers(("a", "input"), ("b", "input"))),
        'layer "a": no layer takes it and it is not an output, so it would never learn.',
    ),
    "unknown output": (
        lambda: cp.Network(2, layers(("first", "input")), outputs=["frist"]),
        'outputs: there is no layer "frist". Did you mean "first"?',
    ),
    "input as output": (
        lambda: cp.Network(2, layers(("a", "input")), outputs=["input"]),
        'outputs: there is no layer "input".',
    ),
    "output twice": (
        lambda: cp.Network(2, layers(("a", "input")), outputs=["a", "a"]),
        "outputs: expected different names of layers, at least one, got ('a', 'a').",
    ),
    "no output": (
        lambda: cp.Network(2, layers(("a", "input")), outputs=[]),
        "outputs: expected different names of layers, at least one, got ().",
    ),
    "dropout on an output": (
        lambda: cp.Network(2, [cp.Layer("a", 1, dropout=0.5)]),
        'layer "a": an output layer cannot have dropout; put it on the layers before.',
    ),
    "no layers": (lambda: cp.Network(2, []), "layers: expected at least one cp.Layer, got []."),
    "a layer that is none": (lambda: cp.Network(2, [3]), "layers: expected at least one cp.Layer, got [3]."),
    "a layer without a list": (lambda: cp.Network(2, cp.Layer("a", 1)), "layers: expected at least one cp.Layer"),
    "layers as a number": (lambda: cp.Network(2, 3), "layers: expected at least one cp.Layer, got 3."),
    "no sources": (lambda: cp.Layer("a", 1, sources=[]), 'layer "a": expected at least one source.'),
    "a source that is none": (
        lambda: cp.Layer("a", 1, sources=[3]),
        'layer "a": expected sources as names or connections such as cp.Dense("input"), got 3.',
    ),
    "sources as a number": (
        lambda: cp.Layer("a", 1, sources=3),
        'layer "a": expected sources as names or connections such as cp.Dense("input"), got 3.',
    ),
    "a connection without a name": (
        lambda: cp.Network(2, [cp.Layer("a", 1, sources=cp.Dense(3))]),
        "Dense source: expected the name of a layer or of the input, got 3.",
    ),
    "layer named input": (lambda: cp.Layer("input", 1), "layer name: expected text that is not empty, and not"),
    "layer without a name": (lambda: cp.Layer("", 1), "layer name: expected text that is not empty"),
    "a number as a name": (lambda: cp.Layer(3, 1), "layer name: expected text that is not empty"),
    "sequential of one": (
        lambda: cp.Network.sequential(3),
        "sequential: expected at least the numbers of inputs and outputs, got (3,).",
    ),
    "unknown layer": (
        lambda: cp.Network.sequential(2, 3, 1)["hiden"],
        'network: there is no layer "hiden". Did you mean "hidden"? Available: hidden, output.',
    ),
    "unknown layer changed": (
        lambda: cp.Network.sequential(2, 3, 1).with_layer("x", units=1),
        'network: there is no layer "x". Available: hidden, output.',
    ),
    "change of units of a wired layer": (
        lambda: cp.Network(2, layers(("a", cp.Wired("input", [[1, 0], [0, 1]])))).with_layer("a", units=3),
        'layer "a": the pattern of the connection from "input" has shape (2, 2), expected (2, 3)',
    ),
}


@pytest.mark.parametrize(("make", "telling"), BAD_NETWORKS.values(), ids=BAD_NETWORKS)
def test_impossible_wirings(make, telling):
    with pytest.raises(NetworkError) as error:
        make()
    assert telling in str(error.value)


BAD_NUMBERS = {
    "no units": (lambda: cp.Layer("a", 0), 'layer "a" units: expected a whole number of at least 1, got 0.'),
    "half units": (lambda: cp.Layer("a", 2.5), 'layer "a" units: expected a whole number of at least 1, got 2.5.'),
    "units as text": (lambda: cp.Layer("a", "3"), "layer \"a\" units: expected a whole number of at least 1, got '3'."),
    "units as truth": (
        lambda: cp.Layer("a", True),
        'layer "a" units: expected a whole number of at least 1, got True.',
    ),
    "no inputs": (lambda: cp.Network(0, [cp.Layer("a", 1)]), "inputs: expected a whole number of at least 1, got 0."),
    "dropout 1": (
        lambda: cp.Layer("a", 1, dropout=1),
        'layer "a" dropout: expected a finite number at least 0 and below 1, got 1.',
    ),
    "dropout -0.1": (lambda: cp.Layer("a", 1, dropout=-0.1), 'layer "a" dropout: expected a finite number at least 0'),
    "dropout NaN": (lambda: cp.Layer("a", 1, dropout=math.nan), 'layer "a" dropout: expected a finite number'),
    "activation": (
        lambda: cp.Layer("a", 1, "tahn"),
        "layer \"a\" activation: unknown activation 'tahn'; did you mean 'tanh'?",
    ),
    "sequential activation": (
        lambda: cp.Network.sequential(1, 1, hidden="relu", output="soft_max"),
        "did you mean 'softmax'",
    ),
}


@pytest.mark.parametrize(("make", "telling"), BAD_NUMBERS.values(), ids=BAD_NUMBERS)
def test_bad_numbers(make, telling):
    with pytest.raises(ArgumentError) as error:
        make()
    assert telling in str(error.value)


def test_every_refusal_is_a_value_error_too():
    with pytest.raises(ValueError, match="used 2 times"):
        cp.Network(2, layers(("a", "input"), ("a", "input")))


WRITTEN = [
    (
        cp.Network(2, [cp.Layer("h", 3, "tanh"), cp.Layer("o", 1, "sigmoid", sources=["h", "input"])]),
        "Network(2, [Layer('h', 3, 'tanh'), Layer('o', 1, 'sigmoid', sources=['h', 'input'])])",
    ),
    (cp.Network(1, [cp.Layer("o", 1)]), "Network(1, [Layer('o', 1)])"),
    (
        cp.Network(
            3,
            [
                cp.Layer("a", 3, cp.activations.LeakyReLU(0.2), bias=False),
                cp.Layer("b", 2, dropout=0.5),
                cp.Layer("c", 1),
            ],
            ["a", "c"],
        ),
        "Network(3, [Layer('a', 3, LeakyReLU(slope=0.2), bias=False), Layer('b', 2, dropout=0.5), Layer('c', 1)], "
        "outputs=['a', 'c'])",
    ),
    (
        cp.Network(2, [cp.Layer("a", 2), cp.Layer("b", 2, sources=[cp.Direct("a"), cp.Dense("input", False)])]),
        "Network(2, [Layer('a', 2), Layer('b', 2, sources=[Direct(source='a'), "
        "Dense(source='input', trainable=False, initializer=None)])])",
    ),
    (
        cp.Network(2, [cp.Layer("a", 2, initializer="zeros", bias_initializer=cp.initializers.Normal(0.1))]),
        "Network(2, [Layer('a', 2, initializer=Zeros(), bias_initializer=Normal(deviation=0.1, mean=0.0))])",
    ),
]


@pytest.mark.parametrize(("net", "written"), WRITTEN)
def test_a_network_is_written_as_the_call_that_makes_it(net, written):
    assert repr(net) == written
    names = vars(cp) | vars(cp.activations) | vars(cp.initializers)
    assert eval(repr(net), names) == net


def test_a_layer_is_written_as_the_call_that_makes_it():
    assert repr(cp.Layer("h", 3, "relu", train_bias=False)) == "Layer('h', 3, 'relu', train_bias=False)"
