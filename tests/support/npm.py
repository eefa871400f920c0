"""Packages of npm that tests use where they are installed."""

import os
import shutil
from pathlib import Path

import pytest

_INSTALLED = Path(__file__).parents[2] / "build" / "toolchains" / "node_modules"


def npm_modules(*packages: str) -> Path:
    """The folder that has all of these packages; skips where there is none, or no node."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    places = [Path(place).parent for place in os.environ.get("PATH", "").split(os.pathsep)]
    for folder in (*places, _INSTALLED):
        if folder.name == "node_modules" and all((folder / each).is_dir() for each in packages):
            return folder
    pytest.skip(f"npm's {' and '.join(packages)} are not installed")
