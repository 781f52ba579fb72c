"""Write this version's golden files: files that every later version must read, with the predictions it must make.

Run once when the layout of the files changes, as `python tests/golden/make_golden.py`, and never again for that layout:
tests/test_golden.py reads all that lie here. A file is named by what it is and the version of its layout.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

import clearprop as cp
from clearprop.serialization.sealed import VERSION

HERE = Path(__file__).parent


def every_kind() -> cp.Model:
    """A network with every kind of connection, single precision, several activations, and no table."""
    net = cp.Network(
        3,
        [
            cp.Layer("a", 4, cp.activations.LeakyReLU(0.2), initializer="orthogonal", dropout=0.25),
            cp.Layer("b", 4, "layer_normalization", sources=["a", cp.Direct("a")]),
            cp.Layer(
                "c", 2, cp.activations.ELU(0.5), sources=[cp.Wired("input", [[1, 0], [2, 1], [0, 2]], trainable=False)]
            ),
            cp.Layer(
                "d",
                3,
                "softmax",
                sources=[cp.Dense("b", trainable=False, initializer=cp.initializers.Uniform(-0.3, 0.3)), "c", "input"],
                bias_initializer=cp.initializers.Normal(0.5),
                train_bias=False,
            ),
        ],
    )
    params = net.initialize(seed=1, dtype="float32")
    X, y = rows(3, 40), np.arange(40) % 3
    history = cp.train(net, params, X, y, loss=cp.CrossEntropy(0.1), epochs=3, validation=0.25, engine="textbook")
    return cp.Model(net, params, cp.CrossEntropy(0.1), settings={"seed": 1, "note": "no table"}, history=history)


def of_table() -> cp.Model:
    """A classifier of a table with numbers, categories, dates and missing values."""
    table = {
        "age": [20 + 7 * i % 60 if i % 11 else None for i in range(60)],
        "town": [("Ulm", "Köln", "Basel", None)[i % 4] for i in range(60)],
        "since": [f"2020-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(60)],
        "rich": ["yes" if (7 * i) % 60 > 25 else "no" for i in range(60)],
    }
    return cp.fit(table, "rich", hidden=(5,), epochs=4, seed=3, progress=False)


def run(path: Path, **options: Any) -> cp.History:
    """Six epochs of a run, of which its checkpoint has three."""
    net = cp.Network(3, [cp.Layer("h", 4, "tanh", dropout=0.1), cp.Layer("o", 1, sources=["h", "input"])])
    X = rows(3, 40)
    options |= {"loss": "squared_error", "optimizer": cp.Adam(0.01), "batch_size": 7, "engine": "textbook"}
    stopping = cp.EarlyStopping(patience=9, restore_best=True)
    return cp.train(
        net, net.initialize(seed=2), X, X[:, :1] ** 2, validation=0.2, stopping=stopping, checkpoint=path, **options
    )


def rows(inputs: int, count: int = 5) -> np.ndarray:
    return np.sin(np.arange(1.0, 1.0 + count * inputs)).reshape(count, inputs)


def main() -> None:
    layout = VERSION
    for name, model in (("every_kind", every_kind()), ("of_table", of_table())):
        model.save(HERE / f"{name}_{layout}.cprop")
        X = rows(model.net.inputs)
        assert model.history is not None
        expected = {
            "predictions": np.asarray(cp.predict(model.net, model.params, X), float).tolist(),
            "cost": model.history.cost,
            "parameters": model.net.parameter_count,
        }
        (HERE / f"{name}_{layout}.json").write_text(json.dumps(expected, indent=1) + "\n")
    run(HERE / f"run_{layout}.ckpt", epochs=3)
    copy = HERE / "copy.ckpt"
    shutil.copy(HERE / f"run_{layout}.ckpt", copy)
    history = run(copy, epochs=6, resume=True)
    copy.unlink()
    (HERE / f"run_{layout}.json").write_text(json.dumps(dict(history.columns) | {"seconds": []}, indent=1) + "\n")


if __name__ == "__main__":
    main()
