"""The derivation of one quantity: its content in every notation, and invalid arguments."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import clearprop as cp
from clearprop.errors import ArgumentError, DataError
from clearprop.explain.derivation.equations import Equation
from clearprop.explain.derivation.latex import LatexNotation
from clearprop.explain.derivation.mathml import MathMLNotation
from clearprop.explain.derivation.text import to_ascii
from clearprop.symbolic.expression import Product, Sum

NAMES = {"input": ["age", "job=cook & <5%> 水"], "output": ["kind=a", "kind=b", "kind=c"]}


def classifier(rows: int = 1, seed: int = 0) -> cp.Trace:
    net = cp.Network(2, [cp.Layer("hidden", 3, "tanh"), cp.Layer("output", 3, "softmax", sources=["hidden", "input"])])
    X = np.random.default_rng(seed).normal(size=(rows, 2))
    return cp.backpropagate(net, net.initialize(seed=seed), X, np.arange(rows) % 3, loss="cross_entropy")


def test_the_text_goes_from_the_chain_rule_to_the_update():
    derivation = classifier().derivation("hidden[1] <- age", learning_rate=0.1, names=NAMES)
    text = derivation.text()
    titles = ["The chain rule", "From the cost back", "The result", "Every path", "The update"]
    assert [text.index(title) for title in titles] == sorted(text.index(title) for title in titles)
    assert "∂J/∂w_hidden[1]←age = ∂J/∂z_hidden[1] · ∂z_hidden[1]/∂w_hidden[1]←age" in text
    assert "= δ_hidden[1] · x_age" in text
    assert "hidden[1] → kind=a → kind=b → J" in text
    assert "The backward sweep computed the same number" in text
    assert f"Δw_hidden[1]←age = −α · ∂J/∂w_hidden[1]←age" in text  # noqa: F541
    assert "In the short form of softmax with cross entropy:" in text
    assert "Both forms agree" in text
    assert str(derivation) == text


@pytest.mark.parametrize("subject", ["hidden[1] <- age", "output[2].b", "hidden[0]", "hidden[0].a", "age"])
@pytest.mark.parametrize("rows", [1, 3])
def test_every_kind_of_quantity_in_every_notation(subject, rows):
    derivation = classifier(rows).derivation(subject, names=NAMES)
    assert derivation.value == pytest.approx(derivation.gradient, rel=1e-12)
    assert sum(path.value for path in derivation.paths()) == pytest.approx(derivation.gradient, rel=1e-12)
    assert len(derivation.paths()) == derivation.path_count
    ET.fromstring(derivation.html())
    assert "<script" not in derivation._repr_html_()
    assert balanced(derivation.latex())
    assert balanced(derivation._repr_latex_().strip("$"))
    markdown = derivation.markdown()
    assert markdown.startswith("# dJ/d")
    assert markdown.count("$$") % 2 == 0
    assert derivation.text().isprintable() is False  # it has lines
    assert max(map(len, derivation.text().splitlines())) <= 110


def plain(derivation: cp.explain.derivation.Derivation) -> str:
    """The text with all lines joined."""
    return " ".join(derivation.text().split())


def balanced(latex: str) -> bool:
    """Whether braces, environments, and \\left with \\right are balanced."""
    bare = re.sub(r"\\[{}\\$]", "", latex)
    opened = re.findall(r"\\begin\{(\w+\*?)\}", bare)
    closed = re.findall(r"\\end\{(\w+\*?)\}", bare)
    return (
        bare.count("{") == bare.count("}")
        and sorted(opened) == sorted(closed)
        and bare.count(r"\left(") == bare.count(r"\right)")
        and bare.count("$") % 2 == 0
    )


@pytest.mark.parametrize(
    ("output", "loss", "y", "long", "short"),
    [
        ("sigmoid", "binary_cross_entropy", [[1.0]], "−1 / ŷ_output[0]", "δ_output[0] = ŷ_output[0] − y_output[0]"),
        (
            "sigmoid",
            "binary_cross_entropy",
            [[0.0]],
            "1 / (1 − ŷ_output[0])",
            "δ_output[0] = ŷ_output[0] − y_output[0]",
        ),
        ("exponential", "poisson", [[2.0]], "1 − y_output[0] / ŷ_output[0]", "δ_output[0] = ŷ_output[0] − y_output[0]"),
    ],
)
def test_pairs_with_a_short_form_show_both(output, loss, y, long, short):
    net = cp.Network.sequential(1, 1, output=output)
    text = cp.backpropagate(net, net.initialize(seed=1), [[0.4]], y, loss=loss).derivation("output[0].b").text()
    assert long in text
    assert short in text
    assert "Both forms agree" in text


def test_a_probability_rounded_to_0_is_reported_and_the_short_form_used():
    net = cp.Network.sequential(1, 2, output="softmax")
    params = net.initialize(given={"output": {"input": [[800.0, 0.0]]}})
    derivation = cp.backpropagate(net, params, [[1.0]], [1], loss="cross_entropy").derivation("output[0] <- input[0]")
    assert derivation.value == derivation.gradient == 1.0
    assert "The full product cannot be computed here" in plain(derivation)


def test_a_batch_sums_its_samples_and_shows_the_largest_contribution():
    trace = classifier(rows=20, seed=3)
    derivation = trace.derivation("hidden[2] <- input[1]")
    sizes = np.abs(derivation.contributions)
    text = derivation.text()
    assert f"From the cost back, for sample {sizes.argmax()}" in text
    assert "8 more samples" in text
    assert derivation.contributions.sum() == pytest.approx(trace.gradients["hidden"].W["input"][1, 2], rel=1e-12)
    one = trace.derivation("hidden[2] <- input[1]", sample=4)
    assert one.value == pytest.approx(derivation.contributions[4], rel=1e-14)
    assert one.gradient == pytest.approx(one.value, rel=1e-12)
    assert "for sample 4" in one.text()


def test_a_shared_weight_has_a_term_for_each_connection():
    slide = cp.Wired("input", [[1, 0], [2, 1], [0, 2]])
    net = cp.Network(3, [cp.Layer("hidden", 2, "tanh", sources=[slide]), cp.Layer("output", 1)])
    trace = cp.backpropagate(net, net.initialize(seed=0), [[0.1, 0.2, 0.3]], [[1.0]], loss="squared_error")
    derivation = trace.derivation("hidden[0] <- input[1]")
    text = plain(derivation)
    assert "It is shared by 2 connections, and each of them contributes." in text
    assert "δ_hidden[0] · x_input[1] + δ_hidden[1] · x_input[2]" in text
    assert derivation.path_count == 2
    assert derivation.value == pytest.approx(trace.gradients["hidden"].W["input"][1], rel=1e-14)


def test_a_frozen_weight_has_a_derivation_but_no_update():
    net = cp.Network(1, [cp.Layer("output", 1, sources=[cp.Dense("input", trainable=False)])])
    trace = cp.backpropagate(net, net.initialize(seed=0), [[0.5]], [[1.0]], loss="squared_error")
    text = plain(trace.derivation("output[0] <- input[0]", learning_rate=0.1))
    assert "It is frozen: it has a gradient, but gradient descent does not change it." in text
    assert "gradient descent does not change it: Δw_output[0]←input[0] = 0." in text


def test_a_large_network_shows_the_largest_terms_and_counts_the_rest():
    net = cp.Network.sequential(30, 40, 40, 10, hidden="tanh", output="softmax")
    trace = cp.backpropagate(net, net.initialize(seed=0), np.ones((1, 30)), [3], loss="cross_entropy")
    derivation = trace.derivation("hidden1[3] <- input[2]", most=4)
    text = derivation.text()
    assert "(36 more terms, together" in text
    assert "36 more units of hidden2 contribute" in text
    assert f"the sum has {40 * 10:,} products" in text
    assert derivation.path_count == 4000
    assert len(text.splitlines()) < 400
    with pytest.raises(ArgumentError, match=r"has 4,000 paths, more than limit=100\. Raise the limit"):
        derivation.paths(limit=100)
    assert derivation.path_list().count("→ J") == 4000
    assert "sum of all paths" in derivation.path_list()


def test_the_update_is_that_of_gradient_descent():
    net = cp.Network.sequential(2, 2, 1, hidden="sigmoid")
    params, X, y = net.initialize(seed=0), np.ones((1, 2)), np.ones((1, 1))
    text = cp.backpropagate(net, params, X, y, loss="squared_error").derivation(
        "hidden[1] <- input[0]", learning_rate=0.5, digits=12
    )
    cp.train(net, params, X, y, loss="squared_error", optimizer=cp.GradientDescent(0.5), epochs=1)
    assert f"{params['hidden'].W['input'][0, 1]:.12f}".rstrip("0").replace("-", "−") in text.text()


def test_ascii_text():
    text = to_ascii(classifier().derivation("hidden[1] <- input[0]", learning_rate=0.1).text())
    assert text.isascii()
    product = "dJ/dw_hidden[1]<-input[0] = dJ/dz_hidden[1] * dz_hidden[1]/dw_hidden[1]<-input[0]"
    assert product in " ".join(text.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample": 1}, "sample: expected a row of the trace from 0 to 0, got 1."),
        ({"sample": -1}, "sample: expected a whole number of at least 0, got -1."),
        ({"learning_rate": 0}, "learning_rate: expected a finite number above 0, got 0."),
        ({"most": 1}, "most: expected a whole number of at least 2, got 1."),
        ({"digits": 2}, "digits: expected a whole number of at least 3, got 2."),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ArgumentError) as caught:
        classifier().derivation("hidden[0].b", **options)
    assert str(caught.value) == message


def test_a_trace_that_exceeds_the_memory_limit_reports_its_size(monkeypatch):
    monkeypatch.setattr("clearprop.core.trace._memory", lambda: 2**20)
    net = cp.Network.sequential(2, 100, 1)
    with pytest.raises(DataError) as caught:
        cp.backpropagate(net, net.initialize(), np.ones((5000, 2)), np.ones((5000, 1)), loss="squared_error")
    assert "5,000 rows x 101 units would take 0.0 GiB, and this machine has 0.0 GiB. Select rows: X[:81]" in str(
        caught.value
    )
    cp.backpropagate(net, net.initialize(), np.ones((81, 2)), np.ones((81, 1)), loss="squared_error")


LONG = {"input": ["sepal length in cm", "sepal width in cm"], "output": ["kind=setosa", "kind=versicolor", "kind=virg"]}


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_lines_of_text_fit_into_the_terminal(columns, terminal):
    terminal(columns)
    names = LONG if columns > 60 else None
    text = classifier(3).derivation("hidden[1] <- input[0]", learning_rate=0.1, names=names).text()
    assert max(map(len, text.splitlines())) <= columns
    assert len(re.findall(r"^  ∂J\S*/∂w_\S+", text, re.MULTILINE)) == 2


def test_lines_of_text_end_before_column_110_and_break_at_the_terms(terminal):
    terminal(130)
    text = classifier(3).derivation("hidden[1] <- sepal length in cm", learning_rate=0.1, names=LONG).text()
    assert max(map(len, text.splitlines())) <= 110
    sums = [line.strip() for line in text.splitlines() if "∂J/∂ŷ_kind=versicolor" in line and "·" in line]
    assert len(sums) == 3
    assert all(re.match(r"(∂J/∂\S+ = )?[=+−] ?", line) for line in sums)  # a term starts its line


@pytest.mark.parametrize("notation", [MathMLNotation(9), LatexNotation(9)])
def test_wide_typeset_equations_are_broken(notation):
    derivation = classifier(3).derivation("hidden[1] <- sepal length in cm", names=LONG, digits=9)
    equations = [i for section in derivation.sections for i in section.items if isinstance(i, Equation)]
    rows = [(item.left, row) for item in equations for row in item.rows(notation.width, notation.line)]
    assert {row.sign for _, row in rows} == {"", "+", "·"}
    for left, row in rows:
        result = 3 + notation.width(row.result) if row.result is not None else 0
        alone = not isinstance(row.expression, (Sum, Product))
        assert alone or notation.width(left) + 3 + notation.width(row.expression) + result <= notation.line + 2


def test_repr_is_one_line():
    derivation = classifier().derivation("hidden[1] <- input[0]")
    assert repr(derivation) == (
        f"<dJ/dw of the weight hidden[1] <- input[0]: {derivation.value:.9g}; print it to see the chain rule>"
    )


def test_the_parameter_after_the_step_is_marked_new():
    derivation = classifier().derivation("hidden[1].b", learning_rate=0.1)
    assert "b_hidden[1]^(new) = b_hidden[1] + Δb_hidden[1]" in derivation.text()
    assert r"b_{\text{hidden[1]}}^{(\text{new})}" in derivation.latex()
    assert "<mtext>new</mtext>" in derivation.html()


def test_formulas_use_commands_that_notebooks_support():
    """MathJax reads no command inside \\text{}, and neither it nor KaTeX knows \\ensuremath."""
    names = {"input": ["a_b & 50%", 'c^2 ~ {d} <e> | #1 $ \\ " “f”'], "output": ["k=1", "k=2", "k=3"]}
    derivation = classifier(2).derivation("hidden[0] <- a_b & 50%", learning_rate=0.1, names=names)
    formulas = [derivation._repr_latex_(), *re.findall(r"\$\$.*?\$\$", derivation.markdown(), re.DOTALL)]
    assert len(formulas) > 8
    for formula in formulas:
        assert r"\ensuremath" not in formula
        for inside in re.findall(r"\\text\{([^{}]*)\}", formula):
            assert not set(inside) & set("\\_&%#$^~<>|"), inside
    assert r"\text{a}{\_}\text{b }{\&}\text{ 50}{\%}" in formulas[0]
    assert balanced(derivation.latex())
