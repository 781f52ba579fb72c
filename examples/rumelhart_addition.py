"""Binary addition: two numbers of two bits, and why a few more hidden units help.

After D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning internal representations by error propagation",
Parallel Distributed Processing 1, chapter 8 (1986), figures 7 to 9. Networks 4-3-3 and larger, of sigmoids. Reported:
the smallest networks often get stuck in local minima, mostly because of the carry; more hidden units help.

Differs from the published version: every step takes all 16 patterns, learning rate 0.25 and momentum 0.9 on the
summed gradient; weights and biases start uniform in [-0.5, 0.5], drawn from the seed; at most 1,500 sweeps; solved
means every output within 0.2 of its target.

Run it: python examples/rumelhart_addition.py
"""

import numpy as np

import clearprop as cp
from clearprop import views

X = np.array([[i >> k & 1 for k in (3, 2, 1, 0)] for i in range(16)], dtype=float)
TOTAL = (X @ [2, 1, 2, 1]).astype(int)
Y = np.array([[total >> k & 1 for k in (2, 1, 0)] for total in TOTAL], dtype=float)
SUMS = sorted(((i >> 2, i & 3) for i in range(16)), key=sum)
SPREAD = {"initializer": cp.initializers.Uniform(-0.5, 0.5), "bias_initializer": cp.initializers.Uniform(-0.5, 0.5)}
MOST_SWEEPS = 1500


def network(hidden: int) -> cp.Network:
    """A network 4-hidden-3."""
    return cp.Network(4, [cp.Layer("hidden", hidden, "sigmoid", **SPREAD), cp.Layer("output", 3, "sigmoid", **SPREAD)])


def learn(net: cp.Network, seed: int) -> tuple[cp.Parameters, int | None]:
    """Parameters after training, and the number of sweeps; None if the problem was not solved."""
    params = net.initialize(seed)

    def solved(end: cp.training.EpochEnd) -> bool:
        return bool(np.abs(cp.predict(net, end.params, X) - Y).max() < 0.2)

    history = cp.train(
        net, params, X, Y, loss="squared_error", reduction="sum", optimizer=cp.Momentum(0.25, 0.9), batch_size=None,
        epochs=MOST_SWEEPS, callbacks=solved,
    )  # fmt: skip
    return params, history.epochs if history.epochs < MOST_SWEEPS else None


def by_total(params: cp.Parameters) -> np.ndarray:
    """The hidden activations of each sum, ordered by its total, (16, hidden)."""
    a = cp.backpropagate(params.net, params, X, Y, loss="squared_error")["hidden"].a
    return a[np.argsort(TOTAL, kind="stable")]


def knows_total(params: cp.Parameters) -> bool:
    """Whether the hidden units tell the seven totals apart, so that the sum could be read off them alone."""
    a = cp.backpropagate(params.net, params, X, Y, loss="squared_error")["hidden"].a
    apart = np.abs(a[:, None] - a[None, :]).max(axis=2)
    return bool(apart[TOTAL[:, None] != TOTAL[None, :]].min() > 0.25)


def main(seeds: int = 30) -> dict:
    """Train networks of three sizes from many starts; return how many solve it, and how fast."""
    result = {}
    for hidden in (3, 4, 6):
        runs = [learn(network(hidden), seed) for seed in range(seeds)]
        solved = [(params, sweeps) for params, sweeps in runs if sweeps is not None]
        median = float(np.median([sweeps for _, sweeps in solved])) if solved else float("nan")
        told = float(np.mean([knows_total(params) for params, _ in solved])) if solved else float("nan")
        print(
            f"4-{hidden}-3: {len(solved)} of {seeds} starts solve it"
            + f", in {median:.0f} sweeps (median)" * bool(solved)
        )
        result[hidden] = {
            "solved": len(solved) / seeds,
            "median": median,
            "told apart": told,
            "params": [params for params, _ in solved],
        }
    if not result[6]["params"]:
        return {}
    print(f"hidden units tell the seven totals apart in {result[6]['told apart']:.0%} of the 4-6-3 that solve it")
    return result


def draw(result: dict) -> views.Figure:
    """What six hidden units make of the totals 0 to 6, in the first two networks that solve it."""
    shown = {f"hidden units, network {n}": by_total(params) for n, params in enumerate(result[6]["params"][:2])}
    names = {"rows": [f"{a} + {b} = {a + b}" for a, b in SUMS]}
    return views.hinton(shown, names, title="Addition: the hidden units by the total")


if __name__ == "__main__":
    main()
