"""The option `--skips-allowed FILE`: a run in which a test is skipped for another reason fails.

A skipped test proves nothing, so machines that judge a change allow few of them. Each line of FILE is
the beginning of a reason; empty lines and those that begin with `#` are comments.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--skips-allowed",
        metavar="FILE",
        type=Path,
        help="fail if a test is skipped for a reason whose beginning is no line of FILE",
    )


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("--skips-allowed")
    if file is None or hasattr(config, "workerinput"):
        return
    lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    allowed = tuple(line for line in lines if line and not line.startswith("#"))
    config.pluginmanager.register(_Skips(allowed), "skips-allowed")


class _Skips:
    """Notes what is skipped; in a run with `-n`, stands in the process that gathers the reports."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = allowed
        self._refused: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not hasattr(report, "wasxfail"):
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped:
            return
        words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = words.removeprefix("Skipped: ")
        if not reason.startswith(self._allowed):
            self._refused[report.nodeid] = reason

    @pytest.hookimpl(wrapper=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        yield
        if self._refused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test, reason in sorted(self._refused.items()):
            terminalreporter.write_line(f"SKIP NOT ALLOWED {test}: {reason}", red=True)
