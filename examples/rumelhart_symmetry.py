"""Symmetry: two hidden units detect whether six bits are the same in both directions.

After D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning representations by back-propagating errors", Nature
323 (1986), figure 1. Network 6-2-1 of sigmoids, all 64 patterns in every step, summed gradient, learning rate 0.1,
momentum 0.9, weights from U[-0.3, 0.3]. Reported: 1,425 sweeps, and weights that are equal and opposite about the
middle, with sizes 1 : 2 : 4 on each side, so that no two halves can balance by accident.

Differs from the published version: biases start at 0; solved means every output within 0.2 of its target, checked
after every tenth sweep. Published repetitions solve it from about 18 of 20 starts. Some starts end with sizes 1 :
1.55 : 2.07, which work as well: no two different halves balance either.

Run it: python examples/rumelhart_symmetry.py
"""

import numpy as np

import clearprop as cp
from clearprop import views

X = np.array([[i >> k & 1 for k in range(6)] for i in range(64)], dtype=float)
Y = np.all(X[:, :3] == X[:, :2:-1], axis=1, keepdims=True).astype(float)
START = cp.initializers.Uniform(-0.3, 0.3)
NET = cp.Network(
    6, [cp.Layer("hidden", 2, "sigmoid", initializer=START), cp.Layer("output", 1, "sigmoid", initializer=START)]
)
MOST_SWEEPS = 5000


def learn(seed: int) -> tuple[cp.Parameters, int | None]:
    """Parameters after training, and the number of sweeps; None if the problem was not solved."""
    params = NET.initialize(seed)

    def solved(end: cp.training.EpochEnd) -> bool:
        return end.epoch % 10 == 9 and bool(np.abs(cp.predict(NET, end.params, X) - Y).max() < 0.2)

    history = cp.train(
        NET, params, X, Y, loss="squared_error", reduction="sum", optimizer=cp.Momentum(0.1, 0.9), batch_size=None,
        epochs=MOST_SWEEPS, callbacks=solved,
    )  # fmt: skip
    return params, history.epochs if history.epochs < MOST_SWEEPS else None


def structure(params: cp.Parameters) -> tuple[float, np.ndarray]:
    """The relative deviation of mirrored weights from equal and opposite, and the three sizes of each hidden unit."""
    W = params["hidden"].W["input"]
    asymmetry = np.abs(W + W[::-1]).max() / np.abs(W).max()
    sizes = np.sort(np.abs(W[:3]), axis=0)
    return float(asymmetry), sizes / sizes[0]


def main(seeds: int = 30) -> dict:
    """Train from many starts; return how many solve it, how fast, and the ratios of their weights."""
    runs = [learn(seed) for seed in range(seeds)]
    solved = [(params, sweeps) for params, sweeps in runs if sweeps is not None]
    if not solved:
        print(f"none of {seeds} starts solves it")
        return {}
    median = float(np.median([sweeps for _, sweeps in solved]))
    structures = [structure(params) for params, _ in solved]
    doubling = [ratio for _, ratio in structures if np.allclose(ratio, [[1], [2], [4]], rtol=0.1)]
    ratios = np.mean(doubling, axis=(0, 2)) if doubling else np.full(3, np.nan)
    print(f"{len(solved)} of {seeds} starts solve it, in {median:.0f} sweeps (median)")
    print(f"{len(doubling)} of them have weights of sizes 1 : {ratios[1]:.2f} : {ratios[2]:.2f} (mean)")
    print(f"mirrored weights are equal and opposite to {max(a for a, _ in structures):.1%} of the largest, at worst")
    return {
        "solved": len(solved) / seeds,
        "median": median,
        "asymmetry": [a for a, _ in structures],
        "doubling": len(doubling) / len(solved),
        "ratios": ratios,
        "params": [params for params, _ in solved],
    }


def draw(result: dict) -> views.Figure:
    """The weights of the first start that solves it."""
    return views.hinton(result["params"][0], title="Symmetry: equal and opposite about the middle, 1 : 2 : 4")


if __name__ == "__main__":
    main()
