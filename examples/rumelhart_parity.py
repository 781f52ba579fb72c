"""Parity: is the number of ones among four bits odd? Four hidden units learn to count.

After D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning internal representations by error propagation",
Parallel Distributed Processing 1, chapter 8 (1986), figure 6. Network 4-4-1 of sigmoids, 16 patterns, learning rate
0.5. Reported: solved; the hidden units turn on one after the other as more bits are on, so that they count the ones.

Differs from the published version: every step takes all patterns, with momentum 0.9; weights and biases start uniform
in [-1, 1], drawn from the seed; solved means every output within 0.2 of its target. More than half of the starts
end in a local minimum, and many of the others count ones and zeros together: a bit whose weights have the opposite sign
is counted when it is off.

Run it: python examples/rumelhart_parity.py
"""

import numpy as np

import clearprop as cp
from clearprop import views

X = np.array([[i >> k & 1 for k in range(4)] for i in range(16)], dtype=float)
Y = X.sum(axis=1, keepdims=True) % 2
SPREAD = {"initializer": cp.initializers.Uniform(-1, 1), "bias_initializer": cp.initializers.Uniform(-1, 1)}
NET = cp.Network(4, [cp.Layer("hidden", 4, "sigmoid", **SPREAD), cp.Layer("output", 1, "sigmoid", **SPREAD)])
MOST_SWEEPS = 1500


def learn(seed: int) -> tuple[cp.Parameters, int | None]:
    """Parameters after training, and the number of sweeps; None if the problem was not solved."""
    params = NET.initialize(seed)

    def solved(end: cp.training.EpochEnd) -> bool:
        return bool(np.abs(cp.predict(NET, end.params, X) - Y).max() < 0.2)

    history = cp.train(
        NET, params, X, Y, loss="squared_error", reduction="sum", optimizer=cp.Momentum(0.5, 0.9), batch_size=None,
        epochs=MOST_SWEEPS, callbacks=solved,
    )  # fmt: skip
    return params, history.epochs if history.epochs < MOST_SWEEPS else None


def counting(params: cp.Parameters) -> tuple[float, np.ndarray]:
    """The share of weights whose sign says what one count would, and the hidden units on by that count, (5,).

    The count is of the bits that are on, or off where most units have the other sign for a bit. A unit that falls with
    the count is taken as its opposite.
    """
    W = params["hidden"].W["input"]
    signs = np.sign(W) * np.sign(W[0])  # relative to the first bit, so that a unit may rise or fall with the count
    bits = np.where(signs.sum(axis=1) >= 0, 1.0, -1.0)
    agree = float(np.mean(signs == bits[:, None]))
    count = np.where(bits > 0, X, 1 - X).sum(axis=1)
    on = cp.backpropagate(NET, params, X, Y, loss="squared_error")["hidden"].a > 0.5
    on = np.where(np.sign(W[0]) > 0, on, ~on).sum(axis=1)
    return agree, np.array([on[count == k].mean() for k in range(5)])


def main(seeds: int = 30) -> dict:
    """Train from many starts; return how many solve it, how fast, and how they count."""
    runs = [learn(seed) for seed in range(seeds)]
    solved = [(params, sweeps) for params, sweeps in runs if sweeps is not None]
    if not solved:
        print(f"none of {seeds} starts solves it")
        return {}
    median = float(np.median([sweeps for _, sweeps in solved]))
    found = [counting(params) for params, _ in solved]
    agree, on = np.mean([a for a, _ in found]), np.mean([on for _, on in found], axis=0)
    print(f"{len(solved)} of {seeds} starts solve it, in {median:.0f} sweeps (median)")
    print(f"{agree:.0%} of the weights have the sign of one common count")
    print(f"hidden units on for a count of 0 to 4: {'  '.join(f'{k:.1f}' for k in on)} (mean)")
    return {
        "solved": len(solved) / seeds,
        "median": median,
        "agree": float(agree),
        "on": on,
        "params": [params for params, _ in solved],
    }


def draw(result: dict) -> views.Figure:
    """The weights of the start whose signs agree best."""
    best = max(result["params"], key=lambda params: counting(params)[0])
    return views.hinton(best, title="Parity: four units that count")


if __name__ == "__main__":
    main()
