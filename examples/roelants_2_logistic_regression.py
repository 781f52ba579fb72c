"""Logistic regression as a network of two weights: two clouds of points and the line between them.

After Peter Roelants, "How to implement a neural network", part 2 (classification),
https://peterroelants.github.io/posts/neural-network-implementation-part02/. Twenty red points around (-1, 0) and twenty
blue ones around (1, 0), one sigmoid output without bias, and the binary cross-entropy.

The published code reports the *mean* cost over the samples, but steps along the gradient of their *sum*: its rate of
0.05 is forty times as bold as it looks beside the printed costs. Here the sum is what descends (`reduction="sum"`), and
dividing by the number of samples gives the cost to report. The same path written with means throughout takes the rate
40 * 0.05 = 2; the script walks it too, and both end at the same weights.

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


def descend(rate: float, reduction: str) -> tuple[list[np.ndarray], list[float]]:
    """Ten whole-set steps: the weights w_0 to w_10, and the cost J at each of them."""
    X, t = points()
    params = NET.initialize(given=START)
    weights = [params.flat.copy()]
    history = cp.train(
        NET,
        params,
        X,
        t,
        loss=cp.BinaryCrossEntropy(),
        optimizer=cp.GradientDescent(rate),
        batch_size=None,
        epochs=10,
        reduction=reduction,
        callbacks=lambda end: weights.append(end.params.flat.copy()),
    )
    end = cp.backpropagate(NET, params, X, t, loss=cp.BinaryCrossEntropy(), reduction=reduction)
    return weights, [*history.cost, end.cost]


def main() -> dict[str, list]:
    """Take ten steps both ways; return the weights and the mean cost at each."""
    weights, sums = descend(rate=0.05, reduction="sum")
    samples = len(points()[0])
    costs = [total / samples for total in sums]
    print("step           w_1           w_2     mean cost")
    for k, (w, cost) in enumerate(zip(weights, costs, strict=True)):
        print(f"{k:4d} {w[0]:13.10f} {w[1]:13.10f} {cost:13.10f}")

    same, _ = descend(rate=samples * 0.05, reduction="mean")
    apart = np.abs(same[-1] - weights[-1]).max()
    print(f"\nRate {samples * 0.05:g} along the gradient of the mean is the same path; the ends differ by {apart:.0e}.")
    return {"weights": weights, "costs": costs, "weights_by_mean": same}


if __name__ == "__main__":
    main()
