"""What the kit raises."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from host.domain.failure_lines import is_place, own_places, place_lines
from host.domain.flow import NO_CODE

_TRACE_LINE = re.compile(r"(?P<file>.*):(?P<line>[0-9]+) (?P<function>.*)", re.DOTALL)


class FlowFailedError(Exception):
    """A flow that a test started ended FAILED or KILLED.

    Attributes:
        type: the code of the platform's error or of the CorDapp's own, or the exception's class
            name. REST tells `flow_error_type` instead, as of Corda.
        code: the stable code, which REST tells as `flowError.code`: the platform's, or that of the
            CorDapp's exception, of a contract or of the counterparty; else `flow-failed`.
        message: what the flow's status says.
        trace: frames of the CorDapp's own files, the innermost last: `file`, `line`, `function`,
            and `repeated`, where a recursion goes on at a line for more than three frames.
        flow_error_type: the type in the flow's status, such as `FLOW_FAILED`.

    The exception that it is raised from (`__cause__`) is the CorDapp's own, with its traceback and
    what it came from: itself where the code runs as plain Python, made from the guest's report
    where it runs in a sandbox.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        trace: Sequence[Mapping[str, Any]] = (),
        *,
        flow_error_type: str | None = None,
        code: str | None = None,
        behind: Sequence[str] = (),
    ) -> None:
        self.type = kind
        self.code: str = code or NO_CODE
        self.message = message
        self.trace: list[dict[str, Any]] = [dict(frame) for frame in trace]
        self.flow_error_type: str = flow_error_type or kind
        lines = (*place_lines(self.trace), *behind)
        told = (f"\n  {'at ' if is_place(line) else ''}{line}" for line in lines)
        super().__init__("".join((f"{kind}: {message}", *told)))


class FlowRefusedError(FlowFailedError):
    """The host does not accept the flow's start; `type` is the code that REST answers."""


class ContractRefusedError(Exception):
    """Contracts refuse a transaction; `failures` as in host-api.md, `contract.verify`.

    The exception that it is raised from (`__cause__`) is the first contract's, with a traceback.
    """

    def __init__(self, failures: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("; ".join(str(f["message"]) for f in failures))
        self.failures: list[dict[str, Any]] = [dict(failure) for failure in failures]


def frames_of(lines: Sequence[str]) -> list[dict[str, Any]]:
    """The frames of a flow error itself, whose lines are like `iou/flows.py:12 call`."""
    found = ((_TRACE_LINE.fullmatch(line), repeated) for line, repeated in own_places(lines))
    return [
        {"file": m["file"], "line": int(m["line"]), "function": m["function"]}
        | ({"repeated": repeated} if repeated else {})
        for m, repeated in found
        if m
    ]
