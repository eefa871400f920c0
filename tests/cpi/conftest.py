"""Fixtures of the package tests."""

from pathlib import Path

import pytest

from tests.cpi.support import VECTORS


@pytest.fixture
def vectors() -> Path:
    if not VECTORS.is_dir():
        pytest.skip(f"shared vectors are not at {VECTORS}")
    return VECTORS
