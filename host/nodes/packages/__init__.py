"""Uploaded CPIs: verification, code preparation, the catalogue, and trusted certificates."""
