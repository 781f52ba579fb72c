"""Definitions as expression graphs: one tracer and one table of operations."""
