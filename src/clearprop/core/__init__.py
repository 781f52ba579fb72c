"""The network, its parameters, and the forward and backward sweeps."""
