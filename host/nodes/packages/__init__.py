"""Uploaded CPIs: verification, code preparation, the catalogue, and whom to trust."""
