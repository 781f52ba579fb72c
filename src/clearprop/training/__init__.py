"""Gradient descent over epochs: the loop, its history, stopping rules and callbacks."""
