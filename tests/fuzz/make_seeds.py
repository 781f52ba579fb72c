"""The first inputs of each target, from which the fuzzers go on: python tests/fuzz/make_seeds.py"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parent))

from targets import CORPUS

import clearprop as cp
from clearprop.model import files
from clearprop.serialization.codec import encode
from clearprop.serialization.sealed import read_sections
from clearprop.training import checkpoint

NETWORKS = {
    "line": cp.Network.sequential(1, 1),
    "wired": cp.Network(
        3,
        [
            cp.Layer("a", 3, cp.activations.LeakyReLU(0.2), initializer="orthogonal", dropout=0.25),
            cp.Layer("b", 3, "layer_normalization", sources=["a", cp.Direct("a")]),
            cp.Layer("c", 2, "softmax", [cp.Wired("b", [[1, 0], [2, 1], [0, 2]]), cp.Dense("input", trainable=False)]),
        ],
    ),
}
TABLE = {"age": [20, 31, 45, 60], "job": ["cook", "clerk", "cook", None], "rich": ["no", "yes", "no", "yes"]}


def models() -> Iterator[tuple[str, bytes]]:
    """Name and model file."""
    for name, net in NETWORKS.items():
        params = net.initialize(seed=1, dtype="float32")
        losses = {out: cp.losses.usual_loss(net[out].f) for out in net.outputs}
        history = cp.History({"cost": [1.0, 0.5]}, {"a": [1.0, 2.0]}, {"a": [3.0, 4.0]}, "finished 2 epochs", 1)
        yield name, files.pack(net, params, losses, None, {"seed": 1}, None if name == "line" else history)
    model = cp.fit(TABLE, "rich", hidden=(2,), epochs=1, holdout=0, validation=0, task="classification")
    yield "table", files.pack(model.net, model.params, {"output": model.loss}, model.encoding, {}, None)


def resealed(content: bytes) -> bytes:
    """The same for the target `sealed`: JSON text, a line end, and the numbers of the parameters."""
    found = read_sections(content, "m.cprop", files.MODEL)
    arrays = {name: array.tolist() for name, array in found.arrays.items()} | {"parameters": "f4"}
    text = json.dumps({"arrays": arrays, **found.head}, separators=(",", ":"))
    return text.encode() + b"\n" + found.arrays["parameters"].tobytes()


def checkpoints() -> Iterator[tuple[str, bytes]]:
    """Name, and JSON text of what describes a run and of its arrays."""
    with tempfile.TemporaryDirectory() as folder:
        for name, optimizer, epochs in (("adam", cp.Adam(0.1), 2), ("begun", cp.GradientDescent(0.1), 0)):
            path, net = Path(folder) / name, cp.Network.sequential(2, 2, 1)
            X = [[1.0, 0.5], [0.5, -1.0], [0.0, 2.0]]
            options = {
                "optimizer": optimizer,
                "epochs": epochs,
                "engine": "textbook",
                "validation": (X, [[1], [0], [0]]),
            }
            cp.train(net, net.initialize(), X, [[1], [2], [3]], loss="huber", checkpoint=path, **options)
            found = read_sections(path.read_bytes(), name, checkpoint.CHECKPOINT)
            arrays = {key: array.tolist() for key, array in found.arrays.items()}
            yield name, json.dumps({"head": found.head, "arrays": arrays}, separators=(",", ":")).encode()


def tables() -> Iterator[tuple[str, str, bytes]]:
    yield "csv", "plain", b'age,job,rich\n20,cook,no\n31,clerk,yes\n?,"a, ""b""",no\n'
    yield "csv", "semicolons", "größe;tag\n1,5;2020-01-31\n2;2020-02-01 10:20:30.5\n".encode()
    yield "csv", "lines", b'\xef\xbb\xbf\n\na\r\n"two\r\nlines"\r\n\r\n1e400\r\n'
    for name, compression in (("plain", "uncompressed"), ("zstd", "zstd")):
        memory = io.BytesIO()
        frame = pl.DataFrame({**TABLE, "b": [True, None, False, True], "x": [1.5, float("nan"), 2.0, None]})
        frame.write_parquet(memory, compression=compression)
        yield "parquet", name, memory.getvalue()


def write(target: str, name: str, content: bytes) -> None:
    path = CORPUS / target / f"seed-{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def main() -> None:
    for name, content in models():
        write("model", name, content)
        write("sealed", name, resealed(content))
    for name, content in checkpoints():
        write("checkpoint", name, content)
    for target, name, content in tables():
        write(target, name, content)
    for name, net in NETWORKS.items():
        write("description", name, json.dumps(encode(net)).encode())
    write("description", "loss", json.dumps(encode(cp.losses.Tweedie(1.2))).encode())
    schedule = cp.schedules.WarmUp(cp.schedules.Cosine(0.1), epochs=2)
    write("description", "optimizer", json.dumps(encode(cp.AdamW(schedule))).encode())
    model = cp.fit(TABLE, "rich", hidden=(2,), epochs=1, holdout=0, validation=0)
    write("description", "history", json.dumps(encode(model.history)).encode())
    write("description", "encoding", json.dumps(model.encoding.to_dict()).encode())


if __name__ == "__main__":
    main()
