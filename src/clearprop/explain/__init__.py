"""Explanations of a network: derivations, worked solutions, gradient checks, diagnoses."""
