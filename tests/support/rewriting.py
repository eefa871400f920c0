"""Shares the rewriting of assertions among the processes of a run with `-n`.

pytest rewrites a file of tests when it imports it, and keeps the result beside the file. All processes
of a run import all files in the same order, so that each would rewrite each, which takes 20 s of
processor time in a fresh clone. Here each begins with a part of its own, and then finds most done.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

from tests.support.stages import possible_stages


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if count > 1 and not sys.dont_write_bytecode:
        number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
        for file in files_of(session.config)[number::count]:
            rewrite_file(file, session.config)
    yield


def files_of(config: pytest.Config) -> list[Path]:
    """The files of tests that a run imports."""
    wanted = config.getoption("--stage")
    places = [Path(config.invocation_params.dir, arg.partition("::")[0]) for arg in config.args]
    files = {
        file
        for place in places
        for file in (place.rglob("test_*.py") if place.is_dir() else [place])
        if file.suffix == ".py"
    }
    return sorted(f for f in files if wanted is None or possible_stages(f).intersection(wanted))


def rewrite_file(file: Path, config: pytest.Config) -> None:
    """As `AssertionRewritingHook.exec_module` does, without an import."""
    folder = rewrite.get_cache_dir(file)
    compiled = folder / f"{file.stem}{rewrite.PYC_TAIL}"
    if rewrite.try_makedirs(folder) and rewrite._read_pyc(file, compiled) is None:
        stat, code = rewrite._rewrite_test(file, config)
        rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, stat, compiled)
