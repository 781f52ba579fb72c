"""A ring around a disc: three sigmoid units, a softmax, and momentum.

After Peter Roelants, "How to implement a neural network", part 4 (vectorization),
https://peterroelants.github.io/posts/neural-network-implementation-part04/. Two inputs, three hidden units and two
classes; the cost is the cross-entropy *summed* over the 100 samples. First the gradient at a random point is checked
against differences of the cost, then the network trains for 300 full-batch steps with momentum 0.9.

Differs from the published version: classes are given by their index, not as one-hot rows, and the gradient check is
`cp.check_gradients`, whose differences are of fourth order. Data and initial weights come from NumPy's global
generator, in the published order, so that every number can be compared.

Run it: python examples/roelants_4_two_layers_momentum.py
"""

import numpy as np
from sklearn.datasets import make_circles

import clearprop as cp

NET = cp.Network.sequential(2, 3, 2, hidden="sigmoid", output="softmax")
LOSS = cp.CrossEntropy()


def draw(scale: float) -> cp.Parameters:
    """Parameters from the normal distribution, drawn in the published order: hidden bias and weights, output ones."""
    b_hidden, W_hidden = np.random.randn(1, 3), np.random.randn(2, 3)
    b_output, W_output = np.random.randn(1, 2), np.random.randn(3, 2)
    return NET.initialize(
        given={
            "hidden": {"input": scale * W_hidden, "b": scale * b_hidden.ravel()},
            "output": {"hidden": scale * W_output, "b": scale * b_output.ravel()},
        }
    )


def main() -> dict:
    """Check the gradient, then train; return the costs, a row of the gradient and the share of samples right."""
    np.random.seed(1)
    X, t = make_circles(n_samples=100, shuffle=False, factor=0.3, noise=0.1)

    params = draw(scale=1.0)
    trace = cp.backpropagate(NET, params, X, t, loss=LOSS, reduction="sum")
    check = cp.check_gradients(NET, params, X, t, loss=LOSS, reduction="sum")
    gradient = trace.gradients["hidden"].W["input"][0]
    print(f"at a random point the cost is {trace.cost:.10f}, and dJ/dW of the first input is {gradient}\n{check}\n")

    params = draw(scale=0.1)
    history = cp.train(
        NET,
        params,
        X,
        t,
        loss=LOSS,
        optimizer=cp.Momentum(0.02, 0.9),
        batch_size=None,
        epochs=300,
        reduction="sum",
    )
    end = cp.backpropagate(NET, params, X, t, loss=LOSS, reduction="sum")
    right = np.mean(cp.predict(NET, params, X).argmax(axis=1) == t)
    print(f"before the first step the cost is {history.cost[0]:.10f}, after step 300 {end.cost:.10f};")
    print(f"{right:.0%} of the samples are right.")
    return {
        "check_cost": trace.cost,
        "check_gradient": gradient,
        "gradients_agree": check.ok,
        "costs": [*history.cost, end.cost],
        "accuracy": float(right),
    }


if __name__ == "__main__":
    main()
