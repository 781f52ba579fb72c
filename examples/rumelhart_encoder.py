"""The encoder: eight patterns with a single one have to pass through three hidden units.

After D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning internal representations by error propagation",
Parallel Distributed Processing 1, chapter 8 (1986), table 5. Network 8-3-8 of sigmoids, one-hot in and out. Reported:
the hidden units form a code of eight distinct patterns, some of them with values between 0 and 1.

Differs from the published version: every step takes all patterns, learning rate 0.15 and momentum 0.9 on the summed
gradient; weights and biases start uniform in [-0.5, 0.5], drawn from the seed; solved means every output within 0.3
of its target.

Run it: python examples/rumelhart_encoder.py
"""

import numpy as np

import clearprop as cp
from clearprop import views

X = np.eye(8)
SPREAD = {"initializer": cp.initializers.Uniform(-0.5, 0.5), "bias_initializer": cp.initializers.Uniform(-0.5, 0.5)}
NET = cp.Network(8, [cp.Layer("hidden", 3, "sigmoid", **SPREAD), cp.Layer("output", 8, "sigmoid", **SPREAD)])
MOST_SWEEPS = 2000


def learn(seed: int) -> tuple[cp.Parameters, int | None]:
    """Parameters after training, and the number of sweeps; None if the problem was not solved."""
    params = NET.initialize(seed)

    def solved(end: cp.training.EpochEnd) -> bool:
        return bool(np.abs(cp.predict(NET, end.params, X) - X).max() < 0.3)

    history = cp.train(
        NET, params, X, X, loss="squared_error", reduction="sum", optimizer=cp.Momentum(0.15, 0.9), batch_size=None,
        epochs=MOST_SWEEPS, callbacks=solved,
    )  # fmt: skip
    return params, history.epochs if history.epochs < MOST_SWEEPS else None


def code(params: cp.Parameters) -> np.ndarray:
    """What the hidden units make of each pattern, (8, 3)."""
    return cp.backpropagate(NET, params, X, X, loss="squared_error")["hidden"].a


def closest(codes: np.ndarray) -> float:
    """How far the two codes that are most alike differ, in the unit where they differ most."""
    differ = np.abs(codes[:, None] - codes[None, :]).max(axis=2)
    return float((differ + np.eye(8)).min())


def main(seeds: int = 30) -> dict:
    """Train from many starts; return how many solve it, how fast, and their codes."""
    runs = [learn(seed) for seed in range(seeds)]
    solved = [(params, sweeps) for params, sweeps in runs if sweeps is not None]
    if not solved:
        print(f"none of {seeds} starts solves it")
        return {}
    median = float(np.median([sweeps for _, sweeps in solved]))
    codes = [code(params) for params, _ in solved]
    binary = float(np.mean([len(np.unique(c > 0.5, axis=0)) == 8 for c in codes]))
    between = float(np.mean([((c > 0.2) & (c < 0.8)).mean() for c in codes]))
    print(f"{len(solved)} of {seeds} starts solve it, in {median:.0f} sweeps (median)")
    print(f"the eight codes are the eight corners of the cube in {binary:.0%} of them;")
    print(f"{between:.0%} of the hidden activations are between 0.2 and 0.8")
    print(codes[0].round(1))
    return {
        "solved": len(solved) / seeds,
        "median": median,
        "closest": [closest(c) for c in codes],
        "binary": binary,
        "between": between,
        "params": [params for params, _ in solved],
    }


def draw(result: dict) -> views.Figure:
    """The codes of the first four starts that solve it: what the hidden units make of each pattern."""
    codes = {f"code {n}": code(params) for n, params in enumerate(result["params"][:4])}
    names = {"rows": [f"pattern {n}" for n in range(8)]}
    return views.hinton(codes, names, title="The encoder: codes of eight patterns in three hidden units")


if __name__ == "__main__":
    main()
