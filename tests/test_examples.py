"""The example scripts: they run, use public names only, and reproduce the published numbers.

The studies of Rumelhart, Hinton and Williams, which need many starts, are run in test_gallery.py.
"""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import clearprop as cp

FOLDER = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = [
    "mazur_step_by_step",
    "roelants_1_linear_regression",
    "roelants_2_logistic_regression",
    "roelants_3_radial_basis",
    "roelants_4_two_layers_momentum",
    "roelants_5_digits",
    "rumelhart_addition",
    "rumelhart_encoder",
    "rumelhart_negation",
    "rumelhart_parity",
    "rumelhart_symmetry",
    "rumelhart_t_c",
    "rumelhart_xor",
]


def run(name: str) -> Any:
    """What `main()` of a script returns."""
    return runpy.run_path(str(FOLDER / f"{name}.py"), run_name="example")["main"]()


def near(numbers: Any, tolerance: float) -> Any:
    return pytest.approx(numbers, rel=0, abs=tolerance)


def test_every_script_is_tested():
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_uses_public_names_only(name: str):
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert [node.attr for node in attributes if node.attr.startswith("_")] == []
    used = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == "cp"}
    assert {"Network", "train", "backpropagate"} & used
    namespaces = {module.__name__.removeprefix("clearprop.") for module in cp._NAMESPACES}
    assert used <= set(cp.__all__) | namespaces
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"sklearn.datasets", "sklearn.model_selection", "clearprop"}
    assert "Run it: python examples/" + name + ".py" in (ast.get_docstring(tree) or "")


def test_roelants_1_linear_regression(capsys: pytest.CaptureFixture[str]):
    result = run("roelants_1_linear_regression")
    assert result["weights"] == near([0.1379860528, 1.3721697844, 1.8205149354, 1.9833864506, 2.0425532118], 1e-9)
    assert result["costs"] == near([1.3710225336, 0.2173837698, 0.0651415317, 0.0450505815, 0.0423992392], 1e-9)
    assert "   4 2.0425532118 0.0423992392" in capsys.readouterr().out


def test_roelants_2_logistic_regression(capsys: pytest.CaptureFixture[str]):
    result = run("roelants_2_logistic_regression")
    weights, costs = result["weights"], result["costs"]
    assert len(weights) == len(costs) == 11
    assert weights[0].tolist() == [-4, -2]
    assert weights[1] == near([-2.069824012, -1.2533103455], 1e-9)
    assert weights[10] == near([1.831320197, 0.8100233026], 1e-9)
    assert [costs[0], costs[1], costs[10]] == near([4.7565293575, 2.6530661290, 0.2969985292], 1e-9)
    for by_sum, by_mean in zip(weights, result["weights_by_mean"], strict=True):
        assert by_mean == near(by_sum, 1e-12)
    assert "Learning rate 2 with the mean takes the same steps" in capsys.readouterr().out


def radial_basis_by_hand() -> tuple[float, float, float]:
    """Part 3 in plain NumPy: y = s(exp(-(x w)^2) + b), mean cross-entropy, dJ/dw = mean (y - t) a (-2 x^2 w)."""
    np.random.seed(4)
    x = np.concatenate([np.random.randn(20) * 0.5, np.random.randn(10) * 0.5 - 2, np.random.randn(10) * 0.5 + 2])
    t = np.repeat([1.0, 0.0], 20)
    w, b = 2.3, 1.4
    for _ in range(20):
        a = np.exp(-((x * w) ** 2))
        residual = 1 / (1 + np.exp(-(a + b))) - t
        w, b = w - 2.0 * np.mean(residual * a * -2 * x * x * w), b - 2.0 * np.mean(residual)
    y = 1 / (1 + np.exp(-(np.exp(-((x * w) ** 2)) + b)))
    return w, b, float(-np.mean(t * np.log(y) + (1 - t) * np.log(1 - y)))


def test_roelants_3_radial_basis(capsys: pytest.CaptureFixture[str]):
    result = run("roelants_3_radial_basis")
    assert [round(result[name], 2) for name in ("cost", "w", "b")] == [0.52, 1.12, -0.44]
    w, b, cost = radial_basis_by_hand()
    assert [result["w"], result["b"], result["cost"]] == near([w, b, cost], 1e-9)
    assert result["accuracy"] == 1
    assert "from hidden (frozen)" in capsys.readouterr().out


def test_roelants_4_two_layers_momentum(capsys: pytest.CaptureFixture[str]):
    result = run("roelants_4_two_layers_momentum")
    assert result["check_cost"] == near(108.3247069691, 1e-6)
    assert result["check_gradient"] == near([0.6360102928, -0.4548781515, -0.1075820957], 1e-6)
    assert result["gradients_agree"]
    assert len(result["costs"]) == 301
    assert [result["costs"][0], result["costs"][300]] == near([69.4740399971, 0.3807532568], 1e-6)
    assert result["accuracy"] == 1
    assert "after step 300 0.3807532568" in capsys.readouterr().out


def digits_by_hand() -> tuple[list[float], float]:
    """Part 5 in plain NumPy: the validation cost of each epoch, and the accuracy on the test set."""
    np.random.seed(1)
    X, digit = load_digits(return_X_y=True)
    X_train, X_rest, t_train, t_rest = train_test_split(X, np.eye(10)[digit], test_size=0.4)
    X_val, X_test, t_val, t_test = train_test_split(X_rest, t_rest, test_size=0.5)
    W = [np.random.randn(*shape) * 0.1 for shape in ((64, 20), (20, 20), (20, 10))]
    b = [np.zeros(20), np.zeros(20), np.zeros(10)]

    def activations(X: np.ndarray) -> list[np.ndarray]:
        h1 = 1 / (1 + np.exp(-(X @ W[0] + b[0])))
        h2 = 1 / (1 + np.exp(-(h1 @ W[1] + b[1])))
        e = np.exp(h2 @ W[2] + b[2])
        return [X, h1, h2, e / e.sum(axis=1, keepdims=True)]

    costs: list[float] = []
    while len(costs) < 300 and not (len(costs) > 3 and costs[-1] >= costs[-2] >= costs[-3]):
        for X, t in zip(np.array_split(X_train, 43), np.array_split(t_train, 43), strict=True):
            a = activations(X)
            delta = (a[3] - t) / len(X)
            for i in (2, 1, 0):
                below = (delta @ W[i].T) * a[i] * (1 - a[i])
                W[i], b[i], delta = W[i] - 0.1 * a[i].T @ delta, b[i] - 0.1 * delta.sum(axis=0), below
        costs.append(float(-np.sum(t_val * np.log(activations(X_val)[3])) / len(X_val)))
    return costs, float(np.mean(activations(X_test)[3].argmax(axis=1) == t_test.argmax(axis=1)))


def test_roelants_5_digits(capsys: pytest.CaptureFixture[str]):
    result = run("roelants_5_digits")
    assert result["parameters"] == 1930
    assert result["start_cost"] == near(2.3031662670, 1e-9)
    assert f"{result['accuracy']:.0%}" == "96%"
    assert result["stopped"] == "the validation cost has not fallen for two epochs"
    v = result["validation_costs"]
    rule = [k > 3 and v[k - 1] >= v[k - 2] >= v[k - 3] for k in range(1, len(v) + 1)]
    assert len(v) == result["epochs"]
    assert rule == [False] * (len(v) - 1) + [True]
    costs, accuracy = digits_by_hand()
    assert v == near(costs, 1e-9)
    assert result["accuracy"] == accuracy
    assert "1078 rows to train on, 359 to validate, 360 to test" in capsys.readouterr().out


MAZUR = {
    "net h": [0.3775, 0.3925],
    "out h": [0.593269992, 0.596884378],
    "net o": [1.105905967, 1.224921404],
    "out o": [0.751365070, 0.772928465],
    "E": [0.274811083, 0.023560026],
    "E total": [0.298371109],
    "delta o": [0.138498562, -0.038098237],
    "delta h": [0.008771355, 0.009954255],
    "dE/dw1..4": [0.000438568, 0.000877135, 0.000497713, 0.000995425],
    "dE/dw5..8": [0.082167041, 0.082667628, -0.022602540, -0.022740242],
    "w1..4 after": [0.149780716, 0.199561432, 0.249751144, 0.299502287],
    "w5..8 after": [0.358916480, 0.408666186, 0.511301270, 0.561370121],
    "E total after 1": [0.291027774],
    "E total after 9999": [0.0000351085],
    "E total after 10000": [0.0000351019],
    "E total after 1, other rule": [0.291027924],
}


def mazur_by_the_other_rule(steps: int) -> np.ndarray:
    """The outputs when each step computes the hidden deltas with output weights that it has already changed."""
    x, t = np.array([0.05, 0.10]), np.array([0.01, 0.99])
    W1, W2 = np.array([[0.15, 0.25], [0.20, 0.30]]), np.array([[0.40, 0.50], [0.45, 0.55]])

    def outputs() -> tuple[np.ndarray, np.ndarray]:
        h = 1 / (1 + np.exp(-(x @ W1 + 0.35)))
        return h, 1 / (1 + np.exp(-(h @ W2 + 0.60)))

    for _ in range(steps):
        h, o = outputs()
        delta = (o - t) * o * (1 - o)
        W2 = W2 - 0.5 * np.outer(h, delta)
        W1 = W1 - 0.5 * np.outer(x, (W2 @ delta) * h * (1 - h))
    return outputs()[1]


def test_mazur_step_by_step(capsys: pytest.CaptureFixture[str]):
    table = run("mazur_step_by_step")
    assert list(table) == list(MAZUR)
    for row, numbers in MAZUR.items():
        assert table[row] == near(numbers, 1e-9), row
    # the long runs to the ten decimals that are quoted
    assert f"{table['E total after 9999'][0]:.10f}" == "0.0000351085"
    assert f"{table['E total after 10000'][0]:.10f}" == "0.0000351019"
    assert "cost J = 0.298371109" in capsys.readouterr().out


def test_mazur_published_figures_that_belong_to_another_rule():
    target = np.array([0.01, 0.99])
    one, many = mazur_by_the_other_rule(1), mazur_by_the_other_rule(10_000)
    assert 0.5 * np.sum((one - target) ** 2) == near(0.291027924, 1e-9)
    assert many == near([0.015912196, 0.984065734], 1e-9)
    assert f"{0.5 * np.sum((many - target) ** 2):.10f}" == "0.0000350848"
