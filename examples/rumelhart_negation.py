"""Negation: three bits pass through, or are all inverted when a flag is on.

After D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning internal representations by error propagation",
Parallel Distributed Processing 1, chapter 8 (1986), figure 10. Network 4-6-3 of sigmoids. Reported: learned
easily, as three exclusive ors of a bit with the flag that share the hidden units.

Differs from the published version: every step takes all 16 patterns, learning rate 0.25 and momentum 0.9 on the
summed gradient; weights and biases start uniform in [-0.5, 0.5], drawn from the seed; solved means every output
within 0.2 of its target.

Run it: python examples/rumelhart_negation.py
"""

import numpy as np

import clearprop as cp
from clearprop import views

X = np.array([[i >> k & 1 for k in range(4)] for i in range(16)], dtype=float)  # the flag is the last
Y = np.abs(X[:, :3] - X[:, 3:])
SPREAD = {"initializer": cp.initializers.Uniform(-0.5, 0.5), "bias_initializer": cp.initializers.Uniform(-0.5, 0.5)}
NET = cp.Network(4, [cp.Layer("hidden", 6, "sigmoid", **SPREAD), cp.Layer("output", 3, "sigmoid", **SPREAD)])
MOST_SWEEPS = 2000


def learn(seed: int) -> tuple[cp.Parameters, int | None]:
    """Parameters after training, and the number of sweeps; None if the problem was not solved."""
    params = NET.initialize(seed)

    def solved(end: cp.training.EpochEnd) -> bool:
        return bool(np.abs(cp.predict(NET, end.params, X) - Y).max() < 0.2)

    history = cp.train(
        NET, params, X, Y, loss="squared_error", reduction="sum", optimizer=cp.Momentum(0.25, 0.9), batch_size=None,
        epochs=MOST_SWEEPS, callbacks=solved,
    )  # fmt: skip
    return params, history.epochs if history.epochs < MOST_SWEEPS else None


def dependence(params: cp.Parameters) -> np.ndarray:
    """How much each output changes when one input is flipped, mean over the patterns, (3 outputs, 4 inputs)."""
    yhat = cp.predict(NET, params, X)
    table = np.empty((3, 4))
    for i in range(4):
        flipped = X.copy()
        flipped[:, i] = 1 - flipped[:, i]
        table[:, i] = np.abs(cp.predict(NET, params, flipped) - yhat).mean(axis=0)
    return table


def main(seeds: int = 30) -> dict:
    """Train from many starts; return how many solve it, how fast, and which inputs each output has learnt to heed."""
    runs = [learn(seed) for seed in range(seeds)]
    solved = [(params, sweeps) for params, sweeps in runs if sweeps is not None]
    if not solved:
        print(f"none of {seeds} starts solves it")
        return {}
    median = float(np.median([sweeps for _, sweeps in solved]))
    tables = np.array([dependence(params) for params, _ in solved])
    heeds = np.mean([(np.abs(p["hidden"].W["input"][3]) > 1).sum() for p, _ in solved])
    print(f"{len(solved)} of {seeds} starts solve it, in {median:.0f} sweeps (median)")
    print("how much an output changes with each bit, and with the flag (mean):")
    print(tables.mean(axis=0).round(2))
    print(f"{heeds:.1f} of the 6 hidden units heed the flag (mean)")
    return {
        "solved": len(solved) / seeds,
        "median": median,
        "own": float(min(table[k, k] for table in tables for k in range(3))),
        "flag": float(tables[:, :, 3].min()),
        "others": float(max(table[k, i] for table in tables for k in range(3) for i in range(3) if i != k)),
        "heeds flag": float(heeds),
        "params": [params for params, _ in solved],
    }


def draw(result: dict) -> views.Figure:
    """How much each output changes with each input, for the first four starts that solve it."""
    shown = {f"network {n}": dependence(params).T for n, params in enumerate(result["params"][:4])}
    names = {"rows": ["bit 0", "bit 1", "bit 2", "flag"], "columns": ["output 0", "output 1", "output 2"]}
    return views.hinton(shown, names, title="Negation: how much an output changes when an input is flipped")


if __name__ == "__main__":
    main()
