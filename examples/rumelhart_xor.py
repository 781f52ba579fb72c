"""Exclusive or: two hidden units, or a single one with direct links from the inputs to the output.

After D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning internal representations by error propagation",
Parallel Distributed Processing 1, chapter 8 (1986), figures 2 and 4. Sigmoid units, squared error summed over the
four patterns, learning rate 0.5. Reported: solved in hundreds of sweeps, 558 with the direct links; sometimes a local
minimum.

Differs from the published version: every step takes all four patterns, with momentum 0.9; weights and biases start
uniform in [-1, 1], drawn from the seed; solved means every output within 0.2 of its target.

Run it: python examples/rumelhart_xor.py
"""

import numpy as np

import clearprop as cp
from clearprop import views

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])
SPREAD = {"initializer": cp.initializers.Uniform(-1, 1), "bias_initializer": cp.initializers.Uniform(-1, 1)}
TWO_HIDDEN = cp.Network(2, [cp.Layer("hidden", 2, "sigmoid", **SPREAD), cp.Layer("output", 1, "sigmoid", **SPREAD)])
DIRECT_LINKS = cp.Network(
    2,
    [cp.Layer("hidden", 1, "sigmoid", **SPREAD), cp.Layer("output", 1, "sigmoid", ["hidden", "input"], **SPREAD)],
)
MOST_SWEEPS = 1500


def learn(net: cp.Network, seed: int) -> tuple[cp.Parameters, int | None]:
    """Parameters after training, and the number of sweeps; None if the problem was not solved."""
    params = net.initialize(seed)

    def solved(end: cp.training.EpochEnd) -> bool:
        return bool(np.abs(cp.predict(net, end.params, X) - Y).max() < 0.2)

    history = cp.train(
        net, params, X, Y, loss="squared_error", reduction="sum", optimizer=cp.Momentum(0.5, 0.9), batch_size=None,
        epochs=MOST_SWEEPS, callbacks=solved,
    )  # fmt: skip
    return params, history.epochs if history.epochs < MOST_SWEEPS else None


def overlap(params: cp.Parameters) -> float:
    """1 if the direct links and the hidden unit change the output in the same direction, -1 if in opposite directions.

    With the direct links alone the output would increase (or decrease) with the number of inputs that are on; the
    hidden unit corrects the output where that is wrong. The product of three signs does not depend on the hidden unit's
    own sign.
    """
    hidden, direct = params["hidden"].W["input"][:, 0], params["output"].W["input"][:, 0]
    return float(np.prod(np.sign([hidden[0], direct[0], params["output"].W["hidden"][0, 0]])))


def kind(params: cp.Parameters) -> str:
    """What the two hidden units detect: how many inputs are on, or which of the two."""
    same = np.sign(params["hidden"].W["input"]).prod(axis=0) > 0
    return "both count" if same.all() else "each prefers one input" if not same.any() else "one of each"


def main(seeds: int = 30) -> dict:
    """Train both networks from many starts; return how many solve it, how fast, and what they have learned."""
    result = {}
    for name, net in (("two hidden units", TWO_HIDDEN), ("one hidden unit, direct links", DIRECT_LINKS)):
        runs = [learn(net, seed) for seed in range(seeds)]
        solved = [(params, sweeps) for params, sweeps in runs if sweeps is not None]
        if not solved:
            print(f"{name}: none of {seeds} starts solves it")
            return {}
        median = float(np.median([sweeps for _, sweeps in solved]))
        print(f"{name}: {len(solved)} of {seeds} starts solve it, in {median:.0f} sweeps (median)")
        result[name] = {
            "solved": len(solved) / seeds,
            "median": median,
            "params": [params for params, _ in solved],
        }
    overlaps = [overlap(params) for params in result["one hidden unit, direct links"]["params"]]
    kinds = [kind(params) for params in result["two hidden units"]["params"]]
    result["hidden unit against direct links"] = float(np.mean(np.array(overlaps) < 0))
    result["kinds"] = {name: kinds.count(name) / len(kinds) for name in sorted(set(kinds))}
    print(f"the hidden unit works against the direct links in {result['hidden unit against direct links']:.0%}")
    print("two hidden units:", ", ".join(f"{name} in {share:.0%}" for name, share in result["kinds"].items()))
    return result


def draw(result: dict) -> views.Figure:
    """The first start that solves it: the space of two hidden units, and the network with direct links on (1, 1)."""
    space = views.hidden_space(result["two hidden units"]["params"][0], X, Y, "hidden")
    params = result["one hidden unit, direct links"]["params"][0]
    direct = views.network(cp.backpropagate(DIRECT_LINKS, params, X, Y, loss="squared_error"), sample=3)
    note = f"{space.note} To the right, one hidden unit and direct links, with both inputs on."
    return views.Figure("Exclusive or", (*space.panels, *direct.panels), note, space.legend)


if __name__ == "__main__":
    main()
