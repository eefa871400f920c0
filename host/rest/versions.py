"""The versions of the REST interface and where they stand."""

VERSIONS = ("v5_1", "v5_2", "v5_3")
"""Versions of the API, the oldest first."""

API_BASES = tuple(f"/api/{version}" for version in VERSIONS)
"""Where each version stands."""
