"""Handwritten digits: 64 pixels, two hidden layers of 20, ten classes, and a rule for when to stop.

After Peter Roelants, "How to implement a neural network", part 5 (generalization to multiple layers),
https://peterroelants.github.io/posts/neural-network-implementation-part05/. Mini-batches in fixed order (43 of 25 or 26
rows), plain gradient descent with learning rate 0.1, until the validation cost has not decreased twice in a row.

Differs from the published version: nothing that changes a number. Splits and initial weights come from NumPy's global
generator in the published order. The published code updates parameter by parameter in a Python loop; `cp.train` takes
the same steps on arrays.

Run it: python examples/roelants_5_digits.py
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import clearprop as cp


def has_stopped_falling(end: cp.training.EpochEnd) -> str | None:
    """The published rule: from the fourth epoch on, stop if the validation cost has not fallen twice in a row."""
    v = end.history["validation cost"]
    if len(v) > 3 and v[-1] >= v[-2] >= v[-3]:
        return "the validation cost has not fallen for two epochs"
    return None


def main() -> dict[str, float]:
    """Split, draw, train and test; return the numbers that can be compared with the published ones."""
    np.random.seed(1)
    X, digit = load_digits(return_X_y=True)
    X_train, X_rest, t_train, t_rest = train_test_split(X, digit, test_size=0.4)
    X_val, X_test, t_val, t_test = train_test_split(X_rest, t_rest, test_size=0.5)

    net = cp.Network.sequential(64, 20, 20, 10, hidden="sigmoid", output="softmax")
    params = net.initialize(
        given={
            "hidden1": {"input": np.random.randn(64, 20) * 0.1},
            "hidden2": {"hidden1": np.random.randn(20, 20) * 0.1},
            "output": {"hidden2": np.random.randn(20, 10) * 0.1},
        }
    )
    print(net)
    print(f"\n{len(X_train)} rows to train on, {len(X_val)} to validate, {len(X_test)} to test")

    loss = cp.CrossEntropy()
    start = cp.backpropagate(net, params, X_train, t_train, loss=loss).cost
    history = cp.train(
        net,
        params,
        X_train,
        t_train,
        loss=loss,
        optimizer=cp.GradientDescent(0.1),
        batches=43,
        shuffle=False,
        epochs=300,
        validation=(X_val, t_val),
        callbacks=has_stopped_falling,
    )
    end = cp.backpropagate(net, params, X_train, t_train, loss=loss).cost
    accuracy = float(np.mean(cp.predict(net, params, X_test).argmax(axis=1) == t_test))

    print(f"train cost {start:.10f} at the start, {end:.10f} at the end")
    print(f"stopped after {history.epochs} epochs: {history.stopped}")
    print(f"{accuracy:.2%} of the test digits are right")
    return {
        "parameters": net.parameter_count,
        "start_cost": start,
        "end_cost": end,
        "epochs": history.epochs,
        "validation_costs": history["validation cost"],
        "stopped": history.stopped,
        "accuracy": accuracy,
    }


if __name__ == "__main__":
    main()
