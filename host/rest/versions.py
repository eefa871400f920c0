"""The versions of the REST interface and their paths."""

VERSIONS = ("v5_1", "v5_2", "v5_3")
"""Versions of the API, the oldest first."""

API_BASES = tuple(f"/api/{version}" for version in VERSIONS)
"""The base path of each version."""
