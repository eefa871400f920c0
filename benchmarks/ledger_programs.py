"""Processor time of a platform flow's rows: made as operations are answered, and replayed.

What operations themselves take, the store, and guests are left out: the flows of the other parts
have them.
"""

import time
from collections.abc import Iterator

import msgspec

from benchmarks.measure import BenchmarkError, Measurement
from host.domain.ids import EpochMs, FlowId
from host.domain.json import JsonValue
from host.flow.core.program_state import (
    ProgramRows,
    begin,
    check_row,
    decode_rows,
    digest_of,
    encode_row,
    kind_of,
)
from host.ports.programs import Call, Operation, ProgramId, Receive, Send

_ROUNDS = 3_000
_ANSWER: JsonValue = {"id": "SHA-256D:" + "AB" * 32, "ids": ["SHA-256D:" + "CD" * 32] * 4}


def programs() -> list[Measurement]:
    """As a backchain's: a message is sent, one is received, a function of the ledger is called."""
    begun = time.process_time()
    rows = _made()
    made = (time.process_time() - begun) / (len(rows) - 1)
    stored = [encode_row(row) for row in rows]
    begun = time.process_time()
    _replayed(decode_rows(rows.journal, stored))
    replayed = (time.process_time() - begun) / (len(rows) - 1)
    return [
        Measurement(
            name="program: an operation's row",
            value=made * 1e6,
            unit="us",
            note="goal: under 100 us beyond the operation; processor time",
        ),
        Measurement(
            name="program: a row replayed",
            value=replayed * 1e6,
            unit="us",
            note="goal: under 10 us; processor time",
        ),
    ]


def _program() -> Iterator[Operation]:
    for number in range(_ROUNDS):
        yield Send("session", {"kind": "get", "ids": [f"SHA-256D:{number:064X}"]})
        yield Receive(sessions=("session",), into=Call("take-chain", {"number": number}))
        yield Call("verify-chain", {"ids": [f"SHA-256D:{number:064X}"]})


def _made() -> ProgramRows:
    rows = begin(FlowId("flow"), 1, ProgramId(name="bench", revision=1), "{}", EpochMs(0))
    for operation in _program():
        answer = msgspec.json.encode(_ANSWER).decode()
        rows.add(kind_of(operation), answer, digest=digest_of(operation), at=EpochMs(0))
        encode_row(rows[-1])
    return rows


def _replayed(rows: ProgramRows) -> None:
    count = 0
    for row, operation in zip(rows[1:], _program(), strict=True):
        check_row(row, operation, "1")
        msgspec.json.decode(row.answer)
        count += 1
    if count != 3 * _ROUNDS:
        raise BenchmarkError(f"{count} rows were replayed")
