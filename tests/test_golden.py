"""Files of every layout so far can be read, and predict what they predicted when they were written."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import clearprop as cp
from clearprop.serialization import sealed as storage

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

import make_golden  # noqa: E402

#: Columns of the history that earlier versions wrote by another name.
RENAMED = {"rate": "learning rate"}
FILES = sorted(GOLDEN.glob("*.cprop"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_of_an_earlier_version_is_read_and_predicts_the_same(path):
    model, expected = cp.Model.load(path), json.loads(path.with_suffix(".json").read_text())
    X = np.sin(np.arange(1.0, 1.0 + 5 * model.net.inputs)).reshape(5, -1)
    assert model.net.parameter_count == expected["parameters"]
    np.testing.assert_allclose(cp.predict(model.net, model.params, X), expected["predictions"], rtol=1e-5, atol=1e-7)
    assert model.history.cost == expected["cost"]
    assert (model.encoding is not None) == path.name.startswith("of_table")


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.ckpt")), ids=lambda path: path.name)
def test_a_run_of_an_earlier_version_goes_on(path, tmp_path):
    expected = json.loads(path.with_suffix(".json").read_text())
    history = make_golden.run(shutil.copy(path, tmp_path / "run.ckpt"), epochs=6, resume=True)
    assert history.epochs == 6
    for written, numbers in expected.items():
        name = RENAMED.get(written, written)
        if name != "seconds":
            np.testing.assert_allclose(history[name], numbers, rtol=1e-9)
            assert history[name][:3] == numbers[:3]  # these are in the file


def test_there_are_golden_files_of_every_layout():
    """One that a later layout finds missing was lost; make_golden.py writes those of the present one."""
    names = {path.name for path in FILES}
    layouts = range(1, storage.VERSION + 1)
    assert {path.name for path in GOLDEN.glob("*.ckpt")} == {f"run_{layout}.ckpt" for layout in layouts if layout > 1}
    assert names == {f"{name}_{layout}.cprop" for name in ("every_kind", "of_table") for layout in layouts}
