"""Logistic regression as a network of two weights: two clouds of points and the line between them.

After Peter Roelants, "How to implement a neural network", part 2 (classification),
https://peterroelants.github.io/posts/neural-network-implementation-part02/. Twenty red points around (-1, 0) and twenty
blue ones around (1, 0), one sigmoid output without bias, and the binary cross-entropy.

The published code reports the *mean* cost over the samples, but steps along the gradient of their *sum*: for
the printed costs, its learning rate of 0.05 is effectively forty times as large. Here training also uses the sum
(`reduction="sum"`), and dividing it by the number of samples gives the cost to report. With means throughout, the same
steps need the learning rate 40 * 0.05 = 2; the script runs both, and they end at the same weights.

Run it: python examples/roelants_2_logistic_regression.py
"""

import numpy as np

import clearprop as cp

NET = cp.Network(inputs=2, layers=[cp.Layer("output", 1, "sigmoid", bias=False)])
START = {"output": {"input": [[-4], [-2]]}}


def points() -> tuple[np.ndarray, np.ndarray]:
    """The points X (40, 2) and their colours t (40, 1): 0 for red, 1 for blue."""
    np.random.seed(1)
    red = np.random.randn(20, 2) + np.array([-1, 0])
    blue = np.random.randn(20, 2) + np.array([1, 0])
    return np.vstack([red, blue]), np.repeat([[0], [1]], 20, axis=0)


def descend(learning_rate: float, reduction: str) -> tuple[list[np.ndarray], list[float]]:
    """Ten full-batch steps: the weights w_0 to w_10, and the cost J at each of them."""
    X, t = points()
    params = NET.initialize(given=START)
    weights = [params.flat.copy()]
    history = cp.train(
        NET,
        params,
        X,
        t,
        loss=cp.BinaryCrossEntropy(),
        optimizer=cp.GradientDescent(learning_rate),
        batch_size=None,
        epochs=10,
        reduction=reduction,
        callbacks=lambda end: weights.append(end.params.flat.copy()),
    )
    end = cp.backpropagate(NET, params, X, t, loss=cp.BinaryCrossEntropy(), reduction=reduction)
    return weights, [*history.cost, end.cost]


def main() -> dict[str, list]:
    """Take ten steps both ways; return the weights and the mean cost at each."""
    weights, sums = descend(learning_rate=0.05, reduction="sum")
    samples = len(points()[0])
    costs = [total / samples for total in sums]
    print("step           w_1           w_2     mean cost")
    for k, (w, cost) in enumerate(zip(weights, costs, strict=True)):
        print(f"{k:4d} {w[0]:13.10f} {w[1]:13.10f} {cost:13.10f}")

    same, _ = descend(learning_rate=samples * 0.05, reduction="mean")
    difference = np.abs(same[-1] - weights[-1]).max()
    print(
        f"\nLearning rate {samples * 0.05:g} with the mean takes the same steps; the ends differ by {difference:.0e}."
    )
    return {"weights": weights, "costs": costs, "weights_by_mean": same}


if __name__ == "__main__":
    main()
