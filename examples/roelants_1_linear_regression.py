"""Linear regression as a network of one weight: five costs on the way down a parabola.

After Peter Roelants, "How to implement a neural network", part 1 (gradient descent on linear regression),
https://peterroelants.github.io/posts/neural-network-implementation-part01/. The data are 20 points scattered around
the line t = 2x, the model is y = x w, and the cost is the mean of (y - t)^2.

Differs from the published version: the published code writes the gradient of this one model out by hand. Here the model
is a network without a hidden layer, and its gradient comes from the same backward sweep as that of any other network.
The published cost has no factor 1/2, hence `cp.SquaredError(factor=1)`.

Run it: python examples/roelants_1_linear_regression.py
"""

import numpy as np

import clearprop as cp


def main() -> dict[str, list[float]]:
    """Take four steps down the slope; return the weight and the cost before the first step and after each."""
    np.random.seed(13)
    x = np.random.uniform(0, 1, (20, 1))
    t = 2 * x + np.random.randn(20, 1) * 0.2

    net = cp.Network(inputs=1, layers=[cp.Layer("output", 1, "identity", bias=False)])
    params = net.initialize(given={"output": {"input": [[np.random.rand()]]}})
    weights = [params["output"].W["input"].item()]

    def remember(end: cp.training.EpochEnd) -> None:
        weights.append(end.params["output"].W["input"].item())

    # An epoch of one whole-set step records the cost it saw before it moved: history.cost[k] belongs to weights[k].
    history = cp.train(
        net,
        params,
        x,
        t,
        loss=cp.SquaredError(factor=1),
        optimizer=cp.GradientDescent(0.9),
        batch_size=None,
        epochs=5,
        callbacks=remember,
    )

    print("step       weight         cost")
    for k, cost in enumerate(history.cost):
        print(f"{k:4d} {weights[k]:12.10f} {cost:12.10f}")
    print(f"\nThe points were scattered around a slope of 2; four steps from {weights[0]:.2f} reach {weights[4]:.2f}.")
    return {"weights": weights[:5], "costs": history.cost}


if __name__ == "__main__":
    main()
