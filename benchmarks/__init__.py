"""Benchmarks: ratios against a peer or a floor of the same run. Nothing here asserts a time."""
