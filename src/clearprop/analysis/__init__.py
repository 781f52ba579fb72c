"""What else the two sweeps tell: gradients of single samples, sensitivities of the inputs, and curvature."""
