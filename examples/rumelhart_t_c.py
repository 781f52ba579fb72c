"""T or C in any rotation and position: detectors that share their weights.

After D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning internal representations by error propagation",
Parallel Distributed Processing 1, chapter 8 (1986), figures 13 and 14. Eight patterns, a T and a C of five squares in
four rotations, on a retina; each hidden unit sees 3 x 3 squares, and all share their nine weights, so that a pattern
is recognized at any position. Reported: detectors form, for compactness, for bars, or on-centre and off-surround.

Differs from the published version: the retina is 7 x 7 with the pattern in the middle, the 25 detectors share a bias
too (an input that is always 1) and one weight to the output: 12 parameters in all. Adam with learning rate 0.05
instead of a fixed rate, because gradients of shared weights are sums and therefore large; initial weights uniform in
[-0.5, 0.5], drawn from the seed; solved means the output within 0.2 of its target. The trained detectors are then
tested at every position of a retina of 12 x 12; its 75 additional empty fields are compensated by the bias of the
output.

Run it: python examples/rumelhart_t_c.py
"""

import numpy as np

import clearprop as cp
from clearprop import views

T = np.array([[1, 1, 1], [0, 1, 0], [0, 1, 0]])
C = np.array([[1, 1], [1, 0], [1, 1]])
START = cp.initializers.Uniform(-0.5, 0.5)
MOST_SWEEPS = 1500


def retina(size: int, shape: np.ndarray, row: int, column: int) -> np.ndarray:
    """A pattern on a retina as one row of inputs; the last input is always 1."""
    picture = np.zeros((size, size))
    picture[row : row + shape.shape[0], column : column + shape.shape[1]] = shape
    return np.append(picture.ravel(), 1.0)


def network(size: int) -> cp.Network:
    """A detector at every 3 x 3 field of the retina; all have the same weights."""
    fields = size - 2
    pattern = np.zeros((size * size + 1, fields * fields), dtype=int)
    for i, j in np.ndindex(fields, fields):
        for a, b in np.ndindex(3, 3):
            pattern[(i + a) * size + j + b, i * fields + j] = 1 + 3 * a + b
    pattern[-1] = 10
    detectors = cp.Layer("detectors", fields**2, "sigmoid", cp.Wired("input", pattern, initializer=START), bias=False)
    together = cp.Wired("detectors", np.ones((fields**2, 1), dtype=int), initializer=START)
    return cp.Network(size * size + 1, [detectors, cp.Layer("output", 1, "sigmoid", together)])


NET = network(7)
X = np.array([retina(7, np.rot90(shape, turn), 2, 2) for shape in (T, C) for turn in range(4)])
Y = np.repeat([[1.0], [0.0]], 4, axis=0)


def learn(seed: int) -> tuple[cp.Parameters, int | None]:
    """Parameters after training, and the number of sweeps; None if the problem was not solved."""
    params = NET.initialize(seed)

    def solved(end: cp.training.EpochEnd) -> bool:
        return bool(np.abs(cp.predict(NET, end.params, X) - Y).max() < 0.2)

    history = cp.train(
        NET, params, X, Y, loss="squared_error", reduction="sum", optimizer=cp.Adam(0.05), batch_size=None,
        epochs=MOST_SWEEPS, callbacks=solved,
    )  # fmt: skip
    return params, history.epochs if history.epochs < MOST_SWEEPS else None


def right_everywhere(params: cp.Parameters) -> float:
    """The fraction of patterns classified correctly at every position of a larger retina, with the same parameters."""
    large = network(12)
    same = cp.Parameters(large, params.flat.copy())
    # the larger retina has more empty fields; their constant contribution is subtracted from the output's bias
    empty = cp.sigmoid(params["detectors"].W["input"][9]) * params["output"].W["detectors"][0]
    same["output"].b -= (large.units("detectors") - NET.units("detectors")) * empty
    rotated = [(np.rot90(shape, turn), shape is T) for shape in (T, C) for turn in range(4)]
    cases = [(shape, label, i, j) for shape, label in rotated for i in range(2, 8) for j in range(2, 8)]
    predicted = cp.predict(large, same, np.array([retina(12, shape, i, j) for shape, _, i, j in cases]))[:, 0] > 0.5
    return float(np.mean(predicted == [label for _, label, _, _ in cases]))


def kind(params: cp.Parameters) -> str:
    """Which detector has formed."""
    w = params["detectors"].W["input"][:9]
    if (w < 0).all():
        return "compactness"  # on in empty fields: it counts the fields that a pattern leaves empty
    return "on-centre" if w.argmax() == 4 else "bar or corner"


def main(seeds: int = 30) -> dict:
    """Train from many starts; return how many solve it, how fast, and which detectors form."""
    runs = [learn(seed) for seed in range(seeds)]
    solved = [(params, sweeps) for params, sweeps in runs if sweeps is not None]
    if not solved:
        print(f"none of {seeds} starts solves it")
        return {}
    median = float(np.median([sweeps for _, sweeps in solved]))
    kinds = [kind(params) for params, _ in solved]
    shares = {name: kinds.count(name) / len(kinds) for name in sorted(set(kinds))}
    everywhere = float(min(right_everywhere(params) for params, _ in solved))
    print(f"{len(solved)} of {seeds} starts solve it, in {median:.0f} sweeps (median)")
    print("detectors:", ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))
    print(f"{everywhere:.0%} correct over all positions of a larger retina, at worst")
    return {
        "solved": len(solved) / seeds,
        "median": median,
        "kinds": shares,
        "everywhere": everywhere,
        "params": [params for params, _ in solved],
    }


def draw(result: dict) -> views.Figure:
    """The shared 3 x 3 field of the detectors of the first eight starts that solve it, and what kind each is."""
    first = result["params"][:8]
    fields = [params["detectors"].W["input"][:9].reshape(3, 3) for params in first]
    shown = {f"{n}: {kind(params)}": field for n, (params, field) in enumerate(zip(first, fields, strict=True))}
    names = {"rows": ["", "", ""], "columns": ["", "", ""]}
    return views.hinton(shown, names, title="T or C: the weights that all 25 detectors share")


if __name__ == "__main__":
    main()
