"""What a notebook shows: a card for each kind of object, which leaves the page around it as it is."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import clearprop as cp
from clearprop.display import Displayed
from clearprop.draw.style import style_sheet
from clearprop.views.notebook import WRITERS, html

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), RNG.integers(0, 2, 40)
LOSS = "cross_entropy"
NET = cp.Network.sequential(3, 4, 2, hidden="tanh", output="softmax")
TABLE = {"a <b>": X[:, 0], "k": np.where(Y, "yes & no", "<i>"), "n": X[:, 1], "m": X[:, 2]}


def trained(epochs=3):
    params = NET.initialize(0)
    return params, cp.train(NET, params, X, Y, loss=LOSS, optimizer="adam", epochs=epochs)


@pytest.fixture(scope="module")
def subjects():
    params, history = trained()
    trace = cp.backpropagate(NET, params, X[:2], Y[:2], loss=LOSS)
    wrong = {name: {**params[name].W, "b": params[name].b} for name in params}
    model = cp.fit(TABLE, "k", hidden=(3,), epochs=2, progress=False)
    numbers = cp.fit(TABLE, ["n", "m"], hidden=(), epochs=2, progress=False)
    large = cp.Network.sequential(700, 300, 5)
    return {
        "Network": [NET, large, cp.Network.sequential(*[2] * 20)],
        "Parameters": [params, large.initialize(0), cp.Network.sequential(2, 1).initialize(0)],
        "Trace": [
            trace,
            cp.backpropagate(large, large.initialize(0), np.ones((1, 700)), np.ones((1, 5)), loss="huber"),
        ],
        "History": [history, cp.History(), trained(1)[1]],
        "Derivation": [trace.derivation("output[0] <- hidden[1]")],
        "WorkedSolution": [cp.worked_solution(trace)],
        "GradientCheck": [
            cp.check_gradients(NET, params, X, Y, loss=LOSS),
            cp.check_gradients(NET, params, X, Y, loss=LOSS, gradient=wrong),
        ],
        "Diagnosis": [
            cp.diagnose(NET, params, X, Y, loss=LOSS),
            cp.diagnose(NET, params, 1e6 * X, Y, loss=LOSS),
        ],
        "Evaluation": [model.evaluate(), numbers.evaluate()],
        "Predictions": [model.predictions(), numbers.predictions()],
        "Model": [model, numbers, cp.Model(NET, params, cp.CrossEntropy())],
    }


def test_every_class_that_is_displayed_has_a_card(subjects):
    def below(kind):
        return {kind.__name__, *(name for child in kind.__subclasses__() for name in below(child))}

    assert below(Displayed) - {"Displayed"} == set(WRITERS) == set(subjects)
    assert len(WRITERS) == 11


@pytest.mark.parametrize("kind", WRITERS)
def test_a_card_is_well_formed_and_named(subjects, kind):
    for subject in subjects[kind]:
        text = subject._repr_html_()
        assert text == html(subject)
        root = ElementTree.fromstring(text.replace("&nbsp;", " "))
        assert root.tag == "div"
        assert root.get("class") == "clearprop notebook"
        kicker, lead = root.findall("p")[:2]
        assert kicker.text is not None
        assert kicker.text.replace(" ", "").lower() == kind.lower()
        assert lead.text
        assert "<script" not in text
        assert "http" not in re.sub(r"http://www.w3.org/\S+", "", text)


def test_texts_of_the_user_are_escaped(subjects):
    for kind in ("Model", "Evaluation", "Predictions"):
        text = subjects[kind][0]._repr_html_()
        assert "&lt;" in text
        assert "<i>" not in text


def test_every_rule_of_the_style_is_within_a_card():
    css = re.sub(r"/\*.*?\*/", "", style_sheet("notebook", "equations"), flags=re.DOTALL)
    css = re.sub(r"@media[^{]*\{", "", css)
    while "(" in css:
        css = re.sub(r"\([^()]*\)", "", css)
    selectors = [part.strip() for rule in re.findall(r"([^{}]+)\{", css) for part in rule.split(",")]
    assert len(selectors) > 80
    assert [selector for selector in selectors if not selector.startswith((".clearprop", "svg.clearprop"))] == []


def test_an_unknown_object_is_refused():
    with pytest.raises(TypeError, match="no notebook display for int"):
        html(3)
