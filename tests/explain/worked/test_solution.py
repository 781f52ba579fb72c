"""The worked solution: Mazur's example, every notation, a PDF if LaTeX is installed, and refused arguments."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from paths import EXAMPLES

import clearprop as cp
from clearprop.errors import ArgumentError

EXAMPLE = runpy.run_path(str(EXAMPLES / "mazur_step_by_step.py"))

#: Every number of Mazur's example as published, to nine decimals.
PUBLISHED = [
    ".05",
    ".10",
    ".01",
    ".99",
    ".15",
    ".20",
    ".25",
    ".30",
    ".40",
    ".45",
    ".50",
    ".55",
    ".35",
    ".60",
    ".3775",
    ".3925",
    "0.593269992",
    "0.596884378",
    "1.105905967",
    "1.224921404",
    "0.751365070",
    "0.772928465",
    "0.298371109",
    "0.138498562",
    "-0.038098237",
    "0.008771355",
    "0.009954255",
    "0.000438568",
    "0.000877135",
    "0.000497713",
    "0.000995425",
    "0.082167041",
    "0.082667628",
    "-0.022602540",
    "-0.022740242",
    "0.149780716",
    "0.199561432",
    "0.249751144",
    "0.299502287",
    "0.358916480",
    "0.408666186",
    "0.511301270",
    "0.561370121",
    "0.291027774",
]


@pytest.fixture(scope="module")
def mazur() -> cp.explain.worked.WorkedSolution:
    params = EXAMPLE["NET"].initialize(given=EXAMPLE["START"])
    trace = cp.backpropagate(EXAMPLE["NET"], params, EXAMPLE["X"], EXAMPLE["TARGET"], loss=cp.SquaredError())
    return cp.worked_solution(trace, learning_rate=0.5)


def skipping() -> cp.Trace:
    """Skips, a join, shared weights, an identity, a frozen weight, ReLU and softmax, two weighted samples."""
    net = cp.Network(
        2,
        [
            cp.Layer("hidden", 2, "relu", sources=[cp.Wired("input", [[1, 2], [2, 1]])]),
            cp.Layer("sum", 2, "layer_normalization", sources=["hidden", cp.Direct("input")]),
            cp.Layer("output", 3, "softmax", sources=["sum", cp.Dense("input", trainable=False)]),
        ],
    )
    X = np.array([[0.3, -1.2], [2.0, 0.5]])
    return cp.backpropagate(net, net.initialize(seed=4), X, [2, 0], "cross_entropy", sample_weight=[1.0, 3.0])


NAMES = {"input": ["age & <co>", "50% \\ {水}_#~^$"], "output": ["k=1", "k=2", "k=3"]}


def test_mazurs_example_has_its_published_numbers(mazur):
    page, latex = mazur.html(), mazur.latex()
    assert len(PUBLISHED) == 14 + 9 + 4 + 8 + 8 + 1
    for number in PUBLISHED:
        shown = f"{abs(float(number)):.9f}".rstrip("0")
        assert f"<mn>{shown}</mn>" in page, number
        assert re.search(rf"(?<![\d.]){re.escape(shown)}(?!\d)", latex), number
        if number.startswith("-"):
            assert f'<mo form="prefix">−</mo><mn>{shown}</mn>' in page


def test_the_page_is_well_formed_and_self_contained(mazur):
    for solution in (mazur, cp.worked_solution(skipping(), names=NAMES)):
        page = solution.html()
        body = page[page.index("<body") : page.index("</body>") + len("</body>")]
        ET.fromstring(body)
        assert "<script" not in page
        assert not re.search(r'src="|href="[^#]|url\(|@import', page)
        assert page.count("<figure") == 2
        for section in ("What is given", "Forward:", "The cost", "Backward:", "The gradient of", "The step"):
            assert page.count(f"<h2>{section}") == 1
        assert "prefers-color-scheme: dark" in page
        assert "@media print" in page
        assert solution._repr_html_().startswith('<div class="clearprop notebook">')


def test_the_step_is_that_of_gradient_descent():
    trace = skipping()
    solution = cp.worked_solution(trace, learning_rate=0.2)
    moved = trace.params.copy()
    cp.train(moved.net, moved, trace.X, [2, 0], loss="cross_entropy", optimizer=cp.GradientDescent(0.2), epochs=1,
             batch_size=None, sample_weight=[1.0, 3.0], shuffle=False)  # fmt: skip
    np.testing.assert_allclose(solution.after.flat, moved.flat, rtol=1e-12, atol=1e-15)
    frozen = solution.after["output"].W["input"]
    np.testing.assert_array_equal(frozen, trace.params["output"].W["input"])
    assert solution.cost_after < trace.cost
    assert "The cost fell from " in solution.html()
    assert "frozen" in solution.html()


def test_repr_of_a_solution(mazur):
    said = '<One step of backpropagation: the cost goes from 0.298371109 to 0.291027774; save("step.html") writes it>'
    assert repr(mazur) == said


def test_several_outputs_have_their_losses_named():
    net = cp.Network(1, [cp.Layer("a", 2, "layer_normalization"), cp.Layer("b", 1, "sigmoid", "a")], outputs=["a", "b"])
    y, loss = {"a": [[1.0, 0.0]], "b": [[1.0]]}, {"a": "huber", "b": "binary_cross_entropy"}
    page = cp.worked_solution(cp.backpropagate(net, net.initialize(seed=0), [[0.5]], y, loss)).html()
    assert "layers 2 layer normalization – 1 sigmoid;" in page
    assert "the mean of the huber and the binary cross entropy over 1 sample" in page


def test_a_step_that_is_too_large_is_reported():
    net = cp.Network.sequential(1, 1)
    trace = cp.backpropagate(net, net.initialize(seed=0), [[3.0]], [[1.0]], loss="squared_error")
    assert (
        "the step was too large. Use a smaller learning rate." in cp.worked_solution(trace, learning_rate=50.0).html()
    )


def balanced(latex: str) -> bool:
    bare = re.sub(r"\\[{}\\$%&#_]", "", latex)
    opened = re.findall(r"\\begin\{(\w+\*?)\}", bare)
    closed = re.findall(r"\\end\{(\w+\*?)\}", bare)
    return bare.count("{") == bare.count("}") and sorted(opened) == sorted(closed) and bare.count("$") % 2 == 0


def test_the_latex_is_balanced_and_ascii_where_fonts_end(mazur):
    for solution in (mazur, cp.worked_solution(skipping(), names=NAMES)):
        latex = solution.latex()
        assert balanced(latex)
        assert all(ord(c) < 0x180 for c in latex)
    assert "[U+6C34]" in latex
    assert not balanced(latex + "}")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_latex_compiles(mazur, tmp_path):
    documents = {
        "mazur": mazur.latex(),
        "skipping": cp.worked_solution(skipping(), names=NAMES).latex(),
    }
    for name, latex in documents.items():
        (tmp_path / f"{name}.tex").write_text(latex, encoding="utf-8")
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
        assert (tmp_path / f"{name}.pdf").stat().st_size > 10_000


def test_save_writes_the_format_of_the_ending(mazur, tmp_path):
    mazur.save(tmp_path / "a.html")
    mazur.save(tmp_path / "a.tex")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == mazur.html()
    assert (tmp_path / "a.tex").read_text(encoding="utf-8") == mazur.latex()
    with pytest.raises(ArgumentError, match=r"a\.pdf: expected a name that ends in \.html or \.htm or \.tex"):
        mazur.save(tmp_path / "a.pdf")
    assert {path.name for path in tmp_path.iterdir()} == {"a.html", "a.tex"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learning_rate": 0.0}, "learning_rate: expected a finite number above 0, got 0.0."),
        ({"digits": 16}, "digits: expected at most 15, which is what float64 holds, got 16."),
        ({"limit": 20}, "7 units over 2 rows and 25 parameters would take 53 sums, more than limit=20."),
        ({"names": {"input": ["a"]}}, 'names: expected 2 texts for "input", one per unit'),
    ],
)
def test_options_out_of_range(options, said):
    with pytest.raises(ArgumentError) as caught:
        cp.worked_solution(skipping(), **options)
    assert said in str(caught.value)


def test_a_network_without_parameters():
    net = cp.Network(1, [cp.Layer("o", 1, "tanh", cp.Direct("input"), bias=False)])
    solution = cp.worked_solution(cp.backpropagate(net, net.initialize(), [[0.5]], [[1.0]], loss="squared_error"))
    assert "This network has no parameters." in solution.html()
    assert balanced(solution.latex())


def test_parameters_instead_of_a_trace_are_refused():
    with pytest.raises(
        ArgumentError, match=r"trace: expected a trace, as cp\.backpropagate returns it, got Parameters"
    ):
        cp.worked_solution(skipping().params)  # type: ignore[arg-type]


def test_too_many_links_are_drawn_without_numbers():
    net = cp.Network.sequential(6, 7, 1)
    trace = cp.backpropagate(net, net.initialize(seed=0), np.ones((1, 6)), [[1.0]], loss="squared_error")
    assert 'class="on-link' not in cp.worked_solution(trace).html()
    assert "each link with its weight" not in cp.worked_solution(trace).html()
