"""The gallery: it lists and runs the scripts of examples/, and the studies of 1986 come out as they were reported.

Each study is run from 30 starts; beside each band stands what came out when it was written.
"""

from __future__ import annotations

import re
import runpy
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clearprop import gallery
from clearprop.cli.app import main
from clearprop.errors import ArgumentError

SEEDS = 30
STUDIES = [name for name in gallery.scripts() if name.startswith("rumelhart")]


@pytest.fixture
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a study returns; its picture is drawn as well."""
    path = tmp_path_factory.mktemp("pictures") / f"{request.param}.svg"
    found = gallery.script(request.param).run(SEEDS, str(path))
    drawn = ET.fromstring(path.read_text(encoding="utf-8"))
    found["words"] = {"".join(node.itertext()) for node in drawn.iter() if node.tag.endswith("}text")}
    return found


def of(name: str) -> Any:
    return pytest.mark.parametrize("study", [name], indirect=True)


@of("rumelhart_xor")
def test_xor(study: Any):
    two, direct = study["two hidden units"], study["one hidden unit, direct links"]
    assert two["solved"] >= 0.7  # 26 of 30
    assert direct["solved"] >= 0.9  # 30 of 30
    assert 80 <= two["median"] <= 400  # 168
    assert 80 <= direct["median"] <= 558  # 179
    assert study["hidden unit against direct links"] == 1
    assert set(study["kinds"]) <= {"both count", "each prefers one input"}  # never one of each
    assert {"Weighted sums: z", "hidden[0]", "output[0]"} <= study["words"]


@of("rumelhart_parity")
def test_parity(study: Any):
    assert 0.25 <= study["solved"] <= 0.6  # 11 of 30
    assert 150 <= study["median"] <= 900  # 370
    assert study["agree"] >= 0.8  # 93% of the weights
    assert (np.diff(study["on"]) > 0.5).all()  # one more hidden unit for each bit: 0.3, 1.0, 2.0, 2.9, 3.7
    assert {"hidden ← input", "output ← hidden", "bias"} <= study["words"]


@of("rumelhart_encoder")
def test_encoder(study: Any):
    assert study["solved"] >= 0.85  # 29 of 30
    assert 350 <= study["median"] <= 1100  # 704
    assert min(study["closest"]) > 0.25  # eight distinct codes in every network that solves it
    assert study["between"] > 0.05  # values between 0 and 1 occur, as reported: 21%
    assert {"code 0", "code 3", "pattern 7"} <= study["words"]


@of("rumelhart_symmetry")
def test_symmetry(study: Any):
    assert study["solved"] >= 0.9  # 30 of 30
    assert 1000 <= study["median"] <= 4500  # 2,930
    assert max(study["asymmetry"]) < 0.02  # equal and opposite about the middle
    assert study["doubling"] >= 0.5  # 24 of 30 have 1 : 2 : 4
    assert study["ratios"] == pytest.approx([1, 2, 4], rel=0.05)
    assert {"hidden ← input", "5"} <= study["words"]


@of("rumelhart_addition")
def test_addition(study: Any):
    assert study[3]["solved"] <= 0.2  # 0 of 30
    assert study[4]["solved"] >= 0.5  # 20 of 30
    assert study[6]["solved"] >= 0.85  # 28 of 30
    assert study[3]["solved"] < study[4]["solved"] <= study[6]["solved"]
    assert study[6]["median"] < study[4]["median"]  # 194 against 906
    assert study[6]["told apart"] >= 0.8  # 96%
    assert {"hidden units, network 1", "3 + 3 = 6"} <= study["words"]


@of("rumelhart_negation")
def test_negation(study: Any):
    assert study["solved"] >= 0.6  # 23 of 30
    assert 100 <= study["median"] <= 500  # 204
    assert study["own"] > 0.6  # each output turns with its bit
    assert study["flag"] > 0.6  # and with the flag,
    assert study["others"] < 0.3  # and with no other bit
    assert study["heeds flag"] > 4.5  # 5.7 of the 6 hidden units
    assert {"network 3", "flag", "output 2"} <= study["words"]


@of("rumelhart_t_c")
def test_t_c(study: Any):
    assert study["solved"] >= 0.9  # 30 of 30
    assert 300 <= study["median"] <= 900  # 606
    assert study["kinds"]["compactness"] >= 0.25  # 57%
    assert study["kinds"]["on-centre"] >= 0.2  # 40%
    assert study["everywhere"] == 1
    assert {"0: on-centre", "1: compactness"} <= study["words"]


def test_every_study_is_tested():
    source = Path(__file__).read_text(encoding="utf-8")
    assert len(STUDIES) == 7
    assert sorted(re.findall(r'@of\("(\w+)"\)', source)) == STUDIES


def test_the_installed_package_contains_the_scripts():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    carried = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]["examples"]
    assert Path(gallery.__file__).parents[1] / carried == gallery._INSTALLED


def test_every_script_has_a_description():
    assert len(gallery.scripts()) == 13
    assert [s.name for s in gallery.scripts().values() if not s.about.endswith(".")] == []


def test_command_lists_and_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["gallery", *words])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    code, listed, _ = run()
    assert code == 0
    starts = [line for line in listed.splitlines() if not line.startswith(" ")]  # others continue a description
    assert [line.split()[0] for line in starts] == list(gallery.scripts())
    code, printed, _ = run("rumelhart_t_c", "--seeds", "1", "--picture", str(tmp_path / "fields.svg"))
    assert (code, printed.splitlines()[0][:6]) == (0, "1 of 1")
    assert (tmp_path / "fields.svg").exists()
    code, _, said = run("rumelhart_xr")
    assert (code, "did you mean 'rumelhart_xor'" in said) == (2, True)
    assert "--seeds and --picture need the name of an example" in run("--seeds", "3")[2]
    assert "mazur_step_by_step runs once" in run("mazur_step_by_step", "--seeds", "3")[2]
    assert "mazur_step_by_step draws no picture" in run("mazur_step_by_step", "--picture", str(tmp_path / "a.svg"))[2]
    assert "the folder" in run("mazur_step_by_step", "--picture", str(tmp_path / "no" / "a.svg"))[2]


@pytest.mark.parametrize("name", STUDIES)
def test_unsolved_starts_are_reported(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    functions = runpy.run_path(str(gallery.script(name).path), run_name="gallery")
    functions["main"].__globals__["MOST_SWEEPS"] = 1
    assert functions["main"](2) == {}
    assert re.search(r"none of 2 starts solves it|0 of 2 starts solve it", capsys.readouterr().out)


def test_no_picture_without_a_solution(tmp_path: Path):
    with pytest.raises(ArgumentError, match="picture: no start solved the problem, so there is nothing to draw"):
        gallery.script("rumelhart_negation").run(1, str(tmp_path / "a.svg"))
    assert not list(tmp_path.iterdir())


def test_unknown_examples_and_invalid_seeds():
    with pytest.raises(ArgumentError, match=r"gallery: unknown example 'xor'\. .*rumelhart_xor"):
        gallery.script("xor")
    with pytest.raises(ArgumentError, match="seeds: expected a whole number of at least 1, got 0"):
        gallery.script("rumelhart_xor").run(0)
