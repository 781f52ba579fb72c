"""scikit-learn's own tests of its MLP, run against the classes of clearprop.

The test file of the installed scikit-learn is loaded with `sklearn.neural_network.MLPClassifier` and `MLPRegressor`
swapped while it is imported, and its tests become tests of this module.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import sklearn.neural_network

import clearprop as cp

#: Tests that cannot apply, each with its reason.
NOT_APPLICABLE = {
    "test_gradient": "calls the private method _loss_grad_lbfgs; tests/core/test_backprop.py checks every gradient",
    "test_early_stopping_stratified": "asserts that the class 1 is named 'True', by its encoding; "
    "test_labels.py::test_a_class_with_one_row_is_named has the message here",
    "test_mlp_diverging_loss": "asserts that a diverged fit has NaN as its last validation score; "
    "test_exceptions.py::test_a_diverged_fit_says_so has what happens here",
}


def swapped() -> ModuleType:
    """scikit-learn's test module with the classes of clearprop under the names that it imports."""
    path = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"
    spec = importlib.util.spec_from_file_location("scikit_learns_test_mlp", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn.neural_network, "MLPClassifier", cp.MLPClassifier)
        patch.setattr(sklearn.neural_network, "MLPRegressor", cp.MLPRegressor)
        spec.loader.exec_module(module)
    return module


THEIRS = swapped()
TESTS = {name: test for name, test in vars(THEIRS).items() if name.startswith("test_") and callable(test)}
globals().update({name: test for name, test in TESTS.items() if name not in NOT_APPLICABLE})

# scikit-learn runs these tests with warnings shown, not as errors; most of them stop before convergence, and those that
# are about that look at its warning themselves.
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.fixture
def global_random_seed() -> int:
    """scikit-learn's default for the fixture of its own conftest."""
    return 42


def test_the_estimators_are_replaced():
    assert THEIRS.MLPClassifier is cp.MLPClassifier
    assert THEIRS.MLPRegressor is cp.MLPRegressor
    assert len(TESTS) >= 43, "scikit-learn 1.9 has 43 test functions in this file"
    assert set(NOT_APPLICABLE) <= set(TESTS)
    assert len(NOT_APPLICABLE) <= 6
