"""One hidden unit that is on only near zero: classes that no straight line can separate.

After Peter Roelants, "How to implement a neural network", part 3 (hidden layer),
https://peterroelants.github.io/posts/neural-network-implementation-part03/. Blue points lie around 0 and red ones on
both sides. The hidden unit a = exp(-z^2), z = x w, is large near x = 0, and the output is sigmoid(a + b). Two
parameters are trained, w and b: the hidden unit has no bias, and the weight between the units is frozen at 1.

Differs from the published version: the cost and the gradients are the same, written once for any network; freezing a
weight is `trainable=False` on its connection. The published result is given to two decimals (cost 0.52 at w = 1.12,
b = -0.44); the script reproduces them and prints more.

Run it: python examples/roelants_3_radial_basis.py
"""

import numpy as np

import clearprop as cp


def points() -> tuple[np.ndarray, np.ndarray]:
    """The points x (40, 1) and their colours t (40, 1): 1 for blue, 0 for red."""
    np.random.seed(4)
    blue = np.random.randn(20, 1) * 0.5
    red_left = np.random.randn(10, 1) * 0.5 - 2
    red_right = np.random.randn(10, 1) * 0.5 + 2
    return np.vstack([blue, red_left, red_right]), np.repeat([[1], [0]], 20, axis=0)


def main() -> dict[str, float]:
    """Take twenty steps; return the two parameters and the cost where they end."""
    x, t = points()
    net = cp.Network(
        inputs=1,
        layers=[
            cp.Layer("hidden", 1, "gaussian", bias=False),
            cp.Layer("output", 1, "sigmoid", sources=cp.Dense("hidden", trainable=False)),
        ],
    )
    params = net.initialize(given={"hidden": {"input": [[2.3]]}, "output": {"hidden": [[1.0]], "b": [1.4]}})
    print(net)

    loss = cp.BinaryCrossEntropy()
    start = cp.backpropagate(net, params, x, t, loss=loss)
    cp.train(net, params, x, t, loss=loss, optimizer=cp.GradientDescent(2.0), batch_size=None, epochs=20)
    end = cp.backpropagate(net, params, x, t, loss=loss)

    w, b = params["hidden"].W["input"].item(), params["output"].b.item()
    print(f"\nstart  w = 2.3000000000  b =  1.4000000000  cost {start.cost:.10f}")
    print(f"end    w = {w:.10f}  b = {b:.10f}  cost {end.cost:.10f}")
    right = np.mean((cp.predict(net, params, x) > 0.5) == t)
    print(f"\n{right:.0%} of the points are on their side of 1/2.")
    return {"start_cost": start.cost, "w": w, "b": b, "cost": end.cost, "accuracy": float(right)}


if __name__ == "__main__":
    main()
