"""Reports of verifications as text, JSON and JUnit XML, written as the verdicts arrive."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, Protocol

from host.tools.contracts.junit import JUnitWriter
from host.tools.contracts.receipts import ReceiptChange
from host.tools.contracts.verification import Case

EXIT_AS_WANTED = 0
EXIT_NOT_AS_WANTED = 1
EXIT_INVALID = 2


@dataclass(slots=True, kw_only=True)
class Tally:
    """The totals so far.

    Attributes:
        compares: receipts are compared, so a difference counts, and a refusal alone does not.
        invalid: inputs that are not transactions.
        differing: receipts that differ from the expected ones, are new or are missing.
    """

    compares: bool
    accepted: int = 0
    refused: int = 0
    invalid: int = 0
    differing: int = 0

    def count(self, case: Case, change: ReceiptChange | None) -> None:
        """Count one case."""
        if case.verdict is None:
            self.invalid += 1
        elif case.verdict.failures:
            self.refused += 1
        else:
            self.accepted += 1
        self.differing += change is not None

    @property
    def exit_code(self) -> int:
        """0: all as expected; 1: refused, or not as expected; 2: an input is not a transaction."""
        if self.invalid:
            return EXIT_INVALID
        unwanted = self.differing if self.compares else self.refused
        return EXIT_NOT_AS_WANTED if unwanted else EXIT_AS_WANTED

    def __str__(self) -> str:
        counts = f"{self.accepted} accepted, {self.refused} refused, {self.invalid} invalid"
        return counts + (f", {self.differing} not as expected" if self.compares else "")


class Report(Protocol):
    """Takes cases in order, then the receipts that are missing."""

    def add(self, case: Case, change: ReceiptChange | None) -> None: ...

    def missing(self, change: ReceiptChange) -> None: ...

    def finish(self, tally: Tally) -> None: ...


class TextReport:
    """A line for each transaction, and an indented one for each reason."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def add(self, case: Case, change: ReceiptChange | None) -> None:
        if case.verdict is None:
            print(f"{case.label}: invalid\n  {case.problem}", file=self._out)
            return
        said = "refused" if case.verdict.failures else "accepted"
        print(f"{case.label}: {said}", file=self._out)
        for line in _reasons(case):
            print(f"  {line}", file=self._out)
        if change is not None:
            self.missing(change)

    def missing(self, change: ReceiptChange) -> None:
        for line in change_lines(change):
            print(line, file=self._out)

    def finish(self, tally: Tally) -> None:
        """The verdicts are the whole report; totals are printed elsewhere."""


class JsonReport:
    """`{"transactions": [..], "missing": [..], "summary": {..}}`, one transaction a line."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._first = True
        self._missing: list[str] = []
        out.write('{"transactions": [')

    def add(self, case: Case, change: ReceiptChange | None) -> None:
        document: dict[str, object] = {"file": case.label}
        if case.verdict is None:
            document |= {"id": None, "accepted": None, "problem": case.problem}
        else:
            document |= {
                "id": case.verdict.transaction_id,
                "accepted": not case.verdict.failures,
                "failures": list(case.verdict.failures),
            }
        if change is not None:
            document["difference"] = asdict(change)
        self._out.write(("\n" if self._first else ",\n") + json.dumps(document))
        self._first = False

    def missing(self, change: ReceiptChange) -> None:
        self._missing.append(change.name)

    def finish(self, tally: Tally) -> None:
        summary = {
            "accepted": tally.accepted,
            "refused": tally.refused,
            "invalid": tally.invalid,
            "differing": tally.differing if tally.compares else None,
        }
        rest = f'"missing": {json.dumps(self._missing)}, "summary": {json.dumps(summary)}'
        self._out.write(f"\n], {rest}}}\n")


class JUnitReport:
    """A test case for each transaction; with expected receipts it passes if nothing differs."""

    def __init__(self, out: IO[str], cases: JUnitWriter, *, compares: bool) -> None:
        self._out = out
        self._cases = cases
        self._compares = compares

    def add(self, case: Case, change: ReceiptChange | None) -> None:
        reasons = _reasons(case)
        if case.verdict is None:
            self._cases.erroneous(case.label, case.problem)
        elif change is not None:
            text = "\n".join([*reasons, *change_lines(change)])
            self._cases.failed(case.label, f"receipt-{change.kind}", f"receipt {change.kind}", text)
        elif reasons and not self._compares:
            kind = str(case.verdict.failures[0]["type"])
            self._cases.failed(case.label, kind, reasons[0], "\n".join(reasons))
        else:
            self._cases.passed(case.label)

    def missing(self, change: ReceiptChange) -> None:
        text = "\n".join(change_lines(change))
        self._cases.failed(change.name, "receipt-missing", "no transaction gave this receipt", text)

    def finish(self, tally: Tally) -> None:  # noqa: ARG002  # the cases were counted already
        self._cases.write_to(self._out)


@contextmanager
def report_to(out: IO[str], form: str, *, suite: str, compares: bool) -> Iterator[Report]:
    """A report in form `text`, `json` or `junit` that is written to `out`."""
    if form == "junit":
        with JUnitWriter(suite) as cases:
            yield JUnitReport(out, cases, compares=compares)
    else:
        yield JsonReport(out) if form == "json" else TextReport(out)


def change_lines(change: ReceiptChange) -> list[str]:
    """The differences of a receipt: a line, and an indented line for each field."""
    fields = [f"    {field}" for field in change.fields]
    return [f"  receipt {change.name}: {change.kind}", *fields]


def _reasons(case: Case) -> list[str]:
    failures = case.verdict.failures if case.verdict else ()
    return [f"{f['contract']}: {f['type']}: {f['message']}" for f in failures]
