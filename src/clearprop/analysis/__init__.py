"""More results of the two sweeps: gradients of single samples, sensitivities of the inputs, and curvature."""

from clearprop.analysis.curvature import fisher_diagonal, gauss_newton_diagonal
from clearprop.analysis.inputs import input_gradient, integrated_gradients, jacobian
from clearprop.analysis.r_operator import hessian_vector
from clearprop.core.per_sample import PerSample

__all__ = [
    "PerSample",
    "fisher_diagonal",
    "gauss_newton_diagonal",
    "hessian_vector",
    "input_gradient",
    "integrated_gradients",
    "jacobian",
]
