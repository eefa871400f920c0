"""Runs the command line inside the test process."""

from collections.abc import Callable

import pytest

from host.cli import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Calls `cordbox` with words; gives exit code, stdout and stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main([str(word) for word in words])
        captured = capsys.readouterr()
        return int(exit_.value.code or 0), captured.out, captured.err

    return call
