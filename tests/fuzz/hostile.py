"""Files made to take much memory or time, each read in this process, with what that took: python tests/fuzz/hostile.py

A line for each begins with "ok" where memory stayed within twice the file and 64 MiB, and time within 5 seconds of a
core. A table that is accepted may take 48 bytes for each cell and 5,000 for each column besides.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))

from targets import corpus

import clearprop as cp
from clearprop.errors import ClearpropError
from clearprop.model import files
from clearprop.serialization.codec import decode, encode
from clearprop.serialization.sealed import pack_sections
from clearprop.tables import TableEncoding, read_table

MIB = 2**20


def header(text: bytes, length: int | None = None) -> bytes:
    """The beginning of a model file."""
    return (len(text) if length is None else length).to_bytes(8, "little") + text


def model(**changes: object) -> bytes:
    """A model file with right digests."""
    net = cp.Network.sequential(1, 1)
    head = {
        "network": encode(net), "losses": {"output": {"name": "huber", "threshold": 1.0}},
        "encoding": None, "settings": {}, "history": None, "parameters": "parameters", **changes,
    }  # fmt: skip
    arrays = head.pop("arrays", {"parameters": np.zeros(2)})
    return pack_sections(files.MODEL, head, arrays)


def network(layers: list[object], **changes: object) -> dict[str, object]:
    return {"inputs": 1, "layers": layers, "outputs": ["output"], **changes}


def layer(name: str, takes: list[str], units: int = 1, **changes: object) -> dict[str, object]:
    plain = encode(cp.Network.sequential(1, 1))["layers"][0]
    dense = [{"kind": "dense", "source": source, "trainable": True, "initializer": None} for source in takes]
    return {**plain, "name": name, "units": units, "sources": dense, **changes}


def chain(length: int) -> list[object]:
    names = ["input", *(f"layer number {i}" for i in range(length - 1)), "output"]
    return [layer(name, [source]) for source, name in pairwise(names)]


def encoding(categories: int) -> bytes:
    """The kept encoding with so many categories in its column of texts."""
    tree = json.loads(dict(corpus("description"))["seed-encoding"])
    column = next(column for column in tree["encoders"] if column["type"] == "categorical")
    column["categories"] = [str(i) for i in range(categories)]
    return json.dumps(tree).encode()


def parquet(frame: pl.DataFrame) -> bytes:
    memory = io.BytesIO()
    frame.write_parquet(memory, compression="zstd")
    return memory.getvalue()


def repeated(rows: int) -> pl.DataFrame:
    return pl.select(x=pl.repeat(1, rows, dtype=pl.Int64), y=pl.repeat("a text", rows))


MODELS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: bytes(8 * MIB),
    "a header of 2^63 bytes": lambda: header(b"{" + b" " * MIB, 2**63),
    "a header of spaces": lambda: header(b"{" + b" " * (7 * MIB) + b"}"),
    "a header of lists": lambda: header(b'{"a":[' + b"[]," * MIB + b"0]}"),
    "a header of objects": lambda: header(b'{"a":[' + b"{}," * MIB + b"0]}"),
    "a header of texts": lambda: header(b'{"a":[' + b'"",' * MIB + b"0]}"),
    "a header of long numbers": lambda: header(b'{"a":' + b"9" * (6 * MIB) + b"}"),
    "a deep header": lambda: header(b'{"a":' + b"[" * 900_000 + b"]" * 900_000 + b"}"),
    "a deep description": lambda: model(settings=json.loads("[" * 300 + "]" * 300)),
    "an array of 2^60 bytes": lambda: header(json.dumps(
        {"__metadata__": {"clearprop": json.dumps({"version": 2})},
         "parameters": {"dtype": "F64", "shape": [2**57], "data_offsets": [0, 2**60]}}).encode()),
    "10,000 layers": lambda: model(network=network(chain(10_000)), arrays={"parameters": np.zeros(20_000)}),
    "10,001 layers": lambda: model(network=network(chain(10_001))),
    "a layer of 2^62 units": lambda: model(network=network([layer("output", ["input"], 2**62)])),
    "10^300 inputs": lambda: model(network=network([layer("output", ["input"])], inputs=10**300)),
    "a layer with 5,000 sources": lambda: model(network=network([layer("output", ["input"] * 5_000)])),
    "200,000 settings": lambda: model(settings={f"name {i}": i for i in range(200_000)}),
    "4 million parameters": lambda: model(
        network=network([layer("output", ["input"], 2 * MIB)]), arrays={"parameters": np.zeros(4 * MIB)}),
    "a pattern of a million": lambda: model(
        network=network([layer("output", [], 1000, sources=[
            {"kind": "wired", "source": "input", "trainable": True, "initializer": None, "pattern": "p"}])],
            inputs=1000),
        arrays={"parameters": np.zeros(10**6 + 1000),
                "p": np.arange(1, 10**6 + 1, dtype=np.int32).reshape(1000, 1000)}),
}  # fmt: skip
TABLES: dict[str, Callable[[], bytes]] = {
    "30,000 columns.csv": lambda: b",".join(b"c%d" % i for i in range(30_000)) + b"\n" + b",".join([b"1"] * 30_000),
    "300,000 columns.csv": lambda: b",".join(b"c%d" % i for i in range(300_000)) + b"\n1\n",
    "one name a million times.csv": lambda: b"a," * 10_000 + b"a\n1\n",
    "a million blank lines.csv": lambda: b"a,b\n" + b"\n" * MIB + b"1,2\n",
    "a quote never closed.csv": lambda: b'a,b\n"' + b"x" * (4 * MIB),
    "quotes.csv": lambda: b"a,b\n" + b'"' * (2 * MIB),
    "a number of a million digits.csv": lambda: b"a,b\n" + b"1" * MIB + b",2\n",
    "short cells.csv": lambda: b"a,b,c,d\n" + b"1,2,3,4\n" * 250_000,
    "carriage returns.csv": lambda: b"a,b\n" + b"\r" * MIB,
    "one long line.csv": lambda: b"a" * (4 * MIB),
    "zeros packed.csv.gz": lambda: gzip.compress(bytes(100 * MIB)),
    "a packed file cut off.csv.gz": lambda: gzip.compress(b"a,b\n" + b"1,2\n" * 100_000)[:-9],
    "a hundred million rows.parquet": lambda: parquet(repeated(100_000_000)),
    "a million rows.parquet": lambda: parquet(repeated(1_000_000)),
    "a page of 2^61 bytes.parquet": lambda: dict(corpus("parquet"))["found-huge-page"],
    "no Parquet file.parquet": lambda: b"PAR1" + bytes(4 * MIB) + b"PAR1",
}  # fmt: skip
TEXTS: dict[str, Callable[[], bytes]] = {
    "a network of a million lists": lambda: json.dumps({"inputs": 1, "layers": [[]] * MIB, "outputs": []}).encode(),
    "an encoding with 100,000 categories": lambda: encoding(100_000),
}


def status(name: str) -> int:
    """A number of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise LookupError(name)


def measure(read: Callable[[], object]) -> tuple[object, int, float]:
    """What a call returned (or the exception), its peak of memory over the present, and its seconds of a core."""
    before, clock = status("VmRSS"), os.times()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    try:
        found = read()
    except ClearpropError as reason:
        found = reason
    now = os.times()
    return found, status("VmHWM") - before, sum(now[:4]) - sum(clock[:4])


def report(name: str, size: int, most: int, read: Callable[[], object]) -> bool:
    found, memory, seconds = measure(read)
    if not isinstance(found, ClearpropError) and hasattr(found, "shape"):
        most += 48 * found.shape[0] * found.shape[1] + 5000 * found.shape[1]
    ok = memory <= most and seconds <= 5
    told = f"{type(found).__name__}: {str(found)[:90]!r}" if isinstance(found, ClearpropError) else type(found).__name__
    print(f"{'ok ' if ok else 'NOT'} {name}: {size / MIB:.2f} MiB, {memory / MIB:.0f} MiB, {seconds:.2f} s, {told}")
    return ok


def main() -> int:
    good = True
    for name, make in MODELS.items():
        try:
            content = make()
        except ClearpropError as reason:
            print(f"ok  {name}: cannot be written, {str(reason)[:80]!r}")
            continue
        good &= report(name, len(content), 2 * len(content) + 64 * MIB, lambda: files.unpack(content, "m.cprop"))  # noqa: B023
    for name, make in TEXTS.items():
        text = make()
        data = json.loads(text)
        rebuild = partial(decode, cp.Network) if "network" in name else TableEncoding.from_dict
        good &= report(name, len(text), 2 * len(text) + 64 * MIB, lambda: rebuild(data))  # noqa: B023
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        read_table(_saved(folder, "warm.csv", b"a,b\n1,x\n,y\n"))
        for name, make in TABLES.items():
            content = make()
            path = _saved(folder, name, content)
            good &= report(name, len(content), 2 * len(content) + 64 * MIB, lambda: read_table(path))  # noqa: B023
    return 0 if good else 1


def _saved(folder: str, name: str, content: bytes) -> Path:
    path = Path(folder) / name
    path.write_bytes(content)
    return path


if __name__ == "__main__":
    sys.exit(main())
