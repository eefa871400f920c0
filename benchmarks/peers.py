"""Other systems to measure against, each in an environment of its own below build/peers.

Versions are pinned. A peer whose registry cannot be reached is left out, with the reason.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_FOLDER = Path("build/peers")
_INSTALL_SECONDS_MAX = 600


class PeerMissingError(Exception):
    """A peer cannot be installed here; the message says why."""


@cache
def python_peer(name: str, requirements: tuple[str, ...]) -> Path:
    """The interpreter of a virtual environment with `requirements`, made the first time.

    Raises:
        PeerMissingError: it cannot be installed.
    """
    home = _FOLDER / name
    interpreter = home / "bin" / "python"
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        _install([sys.executable, "-m", "venv", str(home)], name)
        _install([str(interpreter), "-m", "pip", "install", "--quiet", *requirements], name)
        (home / "ready").touch()
    return interpreter.absolute()


@cache
def node_peer(name: str, packages: tuple[str, ...]) -> Path:
    """The folder `node_modules` with `packages` of npm, made the first time.

    Raises:
        PeerMissingError: they cannot be installed.
    """
    home = _FOLDER / f"{name}-npm"
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        _install(["npm", "install", "--silent", "--prefix", str(home), *packages], name)
        (home / "ready").touch()
    return (home / "node_modules").absolute()


def _install(words: Sequence[str], name: str) -> None:
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=_INSTALL_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise PeerMissingError(f"{name}: {failed}") from failed
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise PeerMissingError(f"{name}: {lines[-1] if lines else 'cannot be installed'}")
