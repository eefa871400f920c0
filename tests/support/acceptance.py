"""What must hold before hosts on one database are called ready: a line for each of the 16 demands.

A test says with the mark `acceptance` which demands it proves, and with `record_property` what it counted. Runs that
have such tests end with a line for each demand: its name, whether its tests passed, their time, and what they counted.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

DEMANDS: Mapping[int, str] = {
    1: "kills of any process",
    2: "zombies",
    3: "restarts of the database",
    4: "restarts of the broker",
    5: "a host vanishes",
    6: "a host is cut off",
    7: "more hosts do more",
    8: "virtual nodes",
    9: "registers",
    10: "clocks",
    11: "order",
    12: "upgrades",
    13: "double spends",
    14: "secrets",
    15: "backlog",
    16: "from one machine to several",
}
"""Those of the design, by their numbers."""
_OUTCOMES = ("failed", "skipped", "passed")


@dataclass(slots=True)
class Proof:
    """What the tests of one demand came to."""

    outcomes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    counted: dict[str, object] = field(default_factory=dict)

    def line(self, number: int) -> str:
        """As the run's summary shows it."""
        worst = next((each for each in _OUTCOMES if each in self.outcomes), "not run")
        facts = ", ".join(f"{name} {value}" for name, value in self.counted.items())
        return f"{number:>2} {DEMANDS[number]:<28} {worst:<8} {self.seconds:7.1f} s  {facts}"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "acceptance(numbers): proves these demands on hosts of one database"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("acceptance"):
            if unknown := set(mark.args) - DEMANDS.keys():
                raise pytest.UsageError(f"{item.nodeid}: no demand has the number {unknown}")
            item.user_properties.append(("acceptance", list(mark.args)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    proofs = {number: Proof() for number in DEMANDS}
    for outcome in _OUTCOMES:
        for report in terminalreporter.stats.get(outcome, ()):
            _add(proofs, report, outcome)
    # Errors of set-up and of the end.
    for report in terminalreporter.stats.get("error", ()):
        _add(proofs, report, "failed")
    if any(proof.outcomes for proof in proofs.values()):
        terminalreporter.section("acceptance")
        for number, proof in proofs.items():
            terminalreporter.write_line(proof.line(number))


def _add(proofs: Mapping[int, Proof], report: pytest.TestReport, outcome: str) -> None:
    for number, counted in _proved(report):
        proof = proofs[number]
        proof.outcomes.append(outcome)
        proof.seconds += report.duration
        for name, value in counted.items():
            # A demand may be proved by the same test in several files.
            place = Path(report.nodeid.partition("::")[0]).stem
            proof.counted[f"{name} ({place})" if name in proof.counted else name] = value


def _proved(report: pytest.TestReport) -> Iterator[tuple[int, Mapping[str, object]]]:
    found = dict(getattr(report, "user_properties", ()))  # a report of a collection has none
    numbers = found.pop("acceptance", ())
    if isinstance(numbers, list):
        for number in numbers:
            yield number, found
