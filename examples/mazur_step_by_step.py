"""Every number of one step of backpropagation, for two inputs, two hidden units and two outputs.

After Matt Mazur, "A Step by Step Backpropagation Example",
https://mattmazur.com/2015/03/17/a-step-by-step-backpropagation-example/. All units are sigmoids, the error is
1/2 sum (target - output)^2, the biases are fixed, and one sample is learned with learning rate 0.5.

Differs from the published version: only after the step, where the published figures mix two algorithms. Gradient
descent changes all weights at once, with the gradient at one point: the total error is then 0.291027774 after one step
and 0.0000351019 after 10,000. The published 0.291027924 results if the hidden deltas are computed with output
weights that are already updated; the outputs published for 10,000 steps belong to that rule too (its total is
0.0000350848), while the total published beside them, 0.0000351085, is the one of gradient descent one step earlier.

Run it: python examples/mazur_step_by_step.py
"""

import numpy as np

import clearprop as cp

NET = cp.Network(
    inputs=2,
    layers=[
        cp.Layer("hidden", 2, "sigmoid", train_bias=False),
        cp.Layer("output", 2, "sigmoid", train_bias=False),
    ],
)
# W has a row per source unit and a column per unit: w1 and w2 lead into h1, so they are the first column.
START = {
    "hidden": {"input": [[0.15, 0.25], [0.20, 0.30]], "b": [0.35, 0.35]},
    "output": {"hidden": [[0.40, 0.50], [0.45, 0.55]], "b": [0.60, 0.60]},
}
X, TARGET = np.array([[0.05, 0.10]]), np.array([[0.01, 0.99]])
RATE = 0.5


def train(steps: int) -> tuple[cp.Parameters, list[float]]:
    """The parameters after that many steps, and the total error before the first step and after each."""
    params = NET.initialize(given=START)
    history = cp.train(NET, params, X, TARGET, loss=cp.SquaredError(), optimizer=cp.GradientDescent(RATE), epochs=steps)
    return params, [*history.cost, cp.backpropagate(NET, params, X, TARGET, loss=cp.SquaredError()).cost]


def error_of_the_other_rule(trace: cp.Trace) -> float:
    """The total error after a step that sends the output deltas back through weights that have changed already."""
    params = trace.params.copy()
    params["output"].W["hidden"] -= RATE * trace.gradients["output"].W["hidden"]
    error = trace["output"].delta @ params["output"].W["hidden"].T
    delta = error * trace["hidden"].a * (1 - trace["hidden"].a)
    params["hidden"].W["input"] -= RATE * X.T @ delta
    return cp.backpropagate(NET, params, X, TARGET, loss=cp.SquaredError()).cost


def in_order(W: np.ndarray) -> list[float]:
    """The four weights of a layer as the article numbers them, unit by unit."""
    return W.T.ravel().tolist()


def main() -> dict[str, list[float]]:
    """Print the trace of the step and what it leads to; return every row of the article's table."""
    trace = cp.backpropagate(NET, NET.initialize(given=START), X, TARGET, loss=cp.SquaredError())
    print(f"{trace}\n")

    after, errors = train(steps=1)
    _, long_run = train(steps=10_000)
    hidden, output = trace["hidden"], trace["output"]
    table = {
        "net h": hidden.z[0].tolist(),
        "out h": hidden.a[0].tolist(),
        "net o": output.z[0].tolist(),
        "out o": output.a[0].tolist(),
        "E": (0.5 * (output.a - TARGET) ** 2)[0].tolist(),
        "E total": [trace.cost],
        "delta o": output.delta[0].tolist(),
        "delta h": hidden.delta[0].tolist(),
        "dE/dw1..4": in_order(trace.gradients["hidden"].W["input"]),
        "dE/dw5..8": in_order(trace.gradients["output"].W["hidden"]),
        "w1..4 after": in_order(after["hidden"].W["input"]),
        "w5..8 after": in_order(after["output"].W["hidden"]),
        "E total after 1": [errors[1]],
        "E total after 9999": [long_run[9_999]],
        "E total after 10000": [long_run[10_000]],
        "E total after 1, other rule": [error_of_the_other_rule(trace)],
    }
    for name, numbers in table.items():
        print(f"{name:28s}", "  ".join(f"{number:13.10f}" for number in numbers))
    return table


if __name__ == "__main__":
    main()
