"""Commands of tests find profiles of their own: not those of whoever runs them, which they might change."""

import os
from pathlib import Path
from tempfile import mkdtemp

import pytest

_VARIABLE = "CORDBOX_PROFILES"
_MADE = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    folder = Path(mkdtemp(prefix="cordbox-profiles-"))
    config.stash[_MADE] = folder
    os.environ[_VARIABLE] = str(folder / "profiles.json")


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = config.stash.get(_MADE, None)
    if folder is not None:
        (folder / "profiles.json").unlink(missing_ok=True)
        folder.rmdir()
