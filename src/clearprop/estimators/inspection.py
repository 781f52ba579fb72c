"""Inspection of a fitted estimator: hidden activations, sensitivities, traces, the network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from operator import length_hint
from typing import Any, Self

import numpy as np
from scipy import sparse
from sklearn.utils import estimator_html_repr
from sklearn.utils._set_output import _wrap_data_with_container
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from clearprop.activations import Activation
from clearprop.analysis.inputs import jacobian
from clearprop.core.backprop import forward
from clearprop.core.network import INPUT, Network, check_params
from clearprop.core.objective import CHUNK
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace, backpropagate
from clearprop.errors import ArgumentError
from clearprop.estimators.attributes import Attributes
from clearprop.estimators.files import ESTIMATOR, pack_estimator, unpack_estimator
from clearprop.estimators.task import make_task
from clearprop.losses import CustomLoss, Loss
from clearprop.serialization.atomic import remove_leftovers, write_atomically
from clearprop.serialization.typed_files import read_content


def _has_hidden_layers(estimator: Any) -> bool:
    if estimator.network is not None:
        return len(estimator.network.layers) > len(estimator.network.outputs)
    return length_hint(estimator.hidden_layer_sizes, 1) > 0  # a number is one layer; fit validates it


class InspectionMixin(Attributes):
    """Methods of the estimators besides fit and predict."""

    @available_if(_has_hidden_layers)
    def transform(self, X: Any) -> np.ndarray:
        """Activations of the last hidden layer, (n, units); for an ensemble, those of all members, concatenated."""
        check_is_fitted(self)
        rows = self._check_rows(X)
        parts = [member._hidden(rows) for member in getattr(self, "members_", [self])]
        # scikit-learn wraps transform for set_output, but not if the method is conditional
        return _wrap_data_with_container("transform", np.concatenate(parts, axis=1), X, self)

    @available_if(_has_hidden_layers)
    def fit_transform(self, X: Any, y: Any, **fit_params: Any) -> np.ndarray:
        """Fit, and return the activations of the last hidden layer."""
        return self.fit(X, y, **fit_params).transform(X)  # type: ignore[attr-defined]

    @available_if(_has_hidden_layers)
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns of transform: the class name and an index."""
        return super().get_feature_names_out(input_features)  # type: ignore[misc]

    def _hidden(self, X: Any) -> np.ndarray:
        params = self._parameters()
        last = last_hidden(params.net)
        return np.concatenate([a[last] for a in activations(params, X)])

    @property
    def _n_features_out(self) -> int:
        if not _has_hidden_layers(self):
            raise AttributeError("a network without hidden layers has no features to name.")
        if hasattr(self, "members_"):
            return sum(member._n_features_out for member in self.members_)
        return self.network_[last_hidden(self.network_)].units

    def input_sensitivities(self, X: Any) -> np.ndarray:
        """Derivatives of the outputs by the inputs: d yhat_o / d x_i, (n, i), or (n, o, i) for several outputs.

        Outputs are probabilities, or numbers in the unit of y. Inputs are the columns of X, or the encoded columns of a
        data frame, in the order of `input_names_`.
        """
        check_is_fitted(self)
        X = dense(self._check_rows(X))
        members = getattr(self, "members_", [self])
        mean = np.mean([m._sensitivities(X) for m in members], axis=0)
        return mean[:, 0] if mean.shape[1] == 1 else mean

    def _sensitivities(self, X: np.ndarray) -> np.ndarray:
        params = self._parameters()
        J = jacobian(params.net, params, X)
        if isinstance(J, Mapping):  # several output layers
            J = np.concatenate([J[name] for name in params.net.outputs or ()], axis=1)
        return J * self._output_scale()[:, None]

    def _output_scale(self) -> np.ndarray:
        """The factors that turn outputs of the network into the unit of y, (outputs,)."""
        return np.ones(1)

    def explain(self, X: Any, i: int = 0, y: Any = None) -> Trace:
        """The trace of row i of X: every z, a, error signal, delta and gradient of one backward sweep.

        `y` is the target of that row. By default a classifier uses the class it predicts, and a regressor traces its
        prediction: J = sum of the outputs, so that errors and deltas are derivatives of the prediction.
        Raises ArgumentError for an ensemble: explain one of its `members_`.
        """
        check_is_fitted(self)
        if hasattr(self, "members_"):
            raise ArgumentError("explain: an ensemble has no single trace; use estimator.members_[0].explain(X, i).")
        params = self._parameters()
        row = dense(self._check_rows(X))[[i]]
        target, losses = self._trace_target(row, y, params)
        return backpropagate(params.net, params, row, target, losses)

    def _trace_target(
        self, row: np.ndarray, y: Any, params: Parameters
    ) -> tuple[Mapping[str, np.ndarray], Mapping[str, Loss]]:
        losses = make_task(self, row.shape[1]).losses
        if y is None:
            y = self._predicted_target(self._sweep(params, row))
        else:
            y = self._check_target(np.asarray(y).reshape(1, -1) if np.ndim(y) else np.asarray([y]))
        if y is None:
            sum_of_outputs = CustomLoss("prediction", lambda yhat, y: (yhat, np.ones_like(yhat)))
            zeros = {name: np.zeros((1, params.net[name].units), params.dtype) for name in losses}
            return zeros, dict.fromkeys(losses, sum_of_outputs)
        return {name: self._targets(y, loss, params.dtype) for name, loss in losses.items()}, losses

    def _predicted_target(self, outputs: np.ndarray) -> np.ndarray | None:
        return None

    def to_network(self) -> tuple[Network, Parameters]:
        """The network and a copy of its parameters, for `cp.predict`, `cp.backpropagate` and others.

        Raises ArgumentError for an ensemble; each of its `members_` has its own network.
        """
        check_is_fitted(self)
        if hasattr(self, "members_"):
            raise ArgumentError("to_network: an ensemble has several networks; use estimator.members_[0].to_network().")
        return self._parameters().net, self._parameters().copy()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator into one file, completely or not at all; `load` reads it.

        The file has the format of model files: numbers and texts only, nothing that is executed. Raises ArgumentError
        for a parameter that no file can hold, such as a function, and FileWriteError if the system refuses.

        >>> import pathlib, tempfile, clearprop as cp
        >>> X, y = [[0.0], [1.0]], ["no", "yes"]
        >>> model = cp.MLPClassifier((), solver="lbfgs", alpha=0.01, random_state=0).fit(X, y)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "model.cprop")
        ...     model.save(path)
        ...     print(cp.MLPClassifier.load(path).predict(X))
        ['no' 'yes']
        """
        check_is_fitted(self)
        remove_leftovers(path)
        write_atomically(path, pack_estimator(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str], own: Iterable[Activation | Loss] = ()) -> Self:
        """Read a file that `save` wrote; `own` are your own activations and losses, because it holds only their names.

        Predictions are the same bit for bit, and training continues where it ended. Raises ModelFileError if the file
        is missing, cut off, damaged, or not one of this class.
        """
        return unpack_estimator(read_content(path, ESTIMATOR), str(path), cls, own)

    @classmethod
    def _from_network(cls, net: Network, params: Parameters, **settings_: Any) -> Any:
        check_params(net, params)
        estimator: Any = cls(network=net, **settings_)  # type: ignore[call-arg]
        estimator.n_features_in_, estimator._encoder = net.inputs, None
        estimator.n_iter_ = estimator.t_ = estimator._no_improvement_count = 0
        return estimator

    @property
    def input_names_(self) -> list[str]:
        """Names of the network's inputs: the columns of X, or the encoded columns of a data frame."""
        check_is_fitted(self)
        if self._encoder is not None:
            return self._encoder.input_names
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(self.n_features_in_)])
        return [str(name) for name in names]

    def _html_repr(self) -> str:
        """scikit-learn's diagram, followed by a drawing of the network once fitted."""
        diagram = estimator_html_repr(self)
        if not hasattr(self, "coefs_"):
            return diagram
        from clearprop.draw.figure import Figure  # slow to import
        from clearprop.draw.network import draw_network

        params = self._parameters()
        losses = make_task(self, params.net.inputs).losses
        names = {name: [f"{name}[{k}]" for k in range(params.net[name].units)] for name in params.net.outputs or ()}
        drawing = draw_network(params.net, params, losses, {INPUT: self.input_names_, **names})
        return diagram + Figure("Network", (drawing,)).svg


def dense(X: Any) -> np.ndarray:
    return X.toarray() if sparse.issparse(X) else X


def last_hidden(net: Network) -> str:
    return [layer.name for layer in net.layers if layer.name not in (net.outputs or ())][-1]


def activations(params: Parameters, X: Any) -> Iterator[dict[str, np.ndarray]]:
    """The activations of all layers, for chunks of some thousand rows."""
    for start in range(0, X.shape[0], CHUNK):
        rows = X if X.shape[0] <= CHUNK else X[start : start + CHUNK]
        yield forward(params.net, params, np.asarray(dense(rows), params.dtype)).a
