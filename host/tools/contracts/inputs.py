"""Reads ledger transactions from JSON, JSON Lines, folders of both, or standard input.

Transactions are read one at a time, so that memory use does not depend on their number.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from host.domain.errors import InvalidInputError
from host.domain.json import JsonObject
from sandbox.limits import Limits

STANDARD_INPUT = "-"
TRANSACTION_BYTES_MAX = Limits().payload_bytes_max
_BLOCK_BYTES = 1024 * 1024
LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})
SUFFIXES = frozenset({".json", *LINES_SUFFIXES})
"""Files of a folder that hold transactions; others are left out."""


class TransactionFileError(InvalidInputError):
    """A file holds no ledger transaction."""

    code = "transaction-file-invalid"


class _State(msgspec.Struct):
    type: str
    contract: str


class _Resolved(msgspec.Struct):
    state: _State


class _Transaction(msgspec.Struct):
    id: str
    inputs: list[_Resolved]
    references: list[_Resolved]
    outputs: list[_State]
    commands: list[dict[str, object]]
    signatories: list[str]


class _Agreed(msgspec.Struct):
    type: str
    value: object
    participants: list[str]


class _Consensual(msgspec.Struct):
    """A transaction of the consensual ledger: states take the place of all else."""

    id: str
    timestamp: str
    states: Annotated[list[_Agreed], msgspec.Meta(min_length=1)]
    signatories: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One piece of input.

    Attributes:
        label: the file, with the line in JSON Lines; `-` and the line for standard input.
        transaction: None if the input is not a transaction; `problem` then says why.
    """

    label: str
    transaction: JsonObject | None
    problem: str = ""


def read_transaction(path: Path) -> JsonObject:
    """A ledger transaction (docs/reference/host-api.md) from a JSON file.

    Raises:
        TransactionFileError: unreadable, too large, no JSON, or parts are missing.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(TRANSACTION_BYTES_MAX + 1)
    except OSError as refused:
        raise TransactionFileError(f"{path} cannot be read: {refused.strerror}") from refused
    return parse_transaction(data, str(path))


def parse_transaction(data: bytes, label: str) -> JsonObject:
    """A ledger transaction from JSON text.

    Raises:
        TransactionFileError: too large, no JSON, or parts are missing.
    """
    if len(data) > TRANSACTION_BYTES_MAX:
        raise TransactionFileError(f"{label} is larger than {TRANSACTION_BYTES_MAX} bytes")
    try:
        document: JsonObject = msgspec.json.decode(data)
        is_consensual = isinstance(document, dict) and "states" in document
        msgspec.convert(document, _Consensual if is_consensual else _Transaction)
    except (ValueError, RecursionError) as refused:
        raise TransactionFileError(f"{label}: no ledger transaction: {refused}") from refused
    return document


def read_all(places: Sequence[str]) -> Iterator[Given]:
    """The transactions of files, folders and standard input (`-`), in order.

    A folder's files are read by name, subfolders included. Input that is not a transaction is
    returned with its problem, and reading continues.

    Raises:
        TransactionFileError: a place does not exist, or a folder holds no transaction file.
    """
    for place in places:
        if place == STANDARD_INPUT:
            yield from _guessed(sys.stdin.buffer)
        else:
            for path in files_below(Path(place)):
                yield from _of_file(path)


def files_below(path: Path) -> list[Path]:
    """The file itself, or a folder's transaction files by name.

    Raises:
        TransactionFileError: it does not exist, or the folder holds no such file.
    """
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and p.is_file())
        if not found:
            raise TransactionFileError(f"{path} holds no {', '.join(sorted(SUFFIXES))} file")
        return found
    if not path.exists():
        raise TransactionFileError(f"{path} does not exist")
    return [path]


def count_all(places: Sequence[str]) -> int | None:
    """The approximate number of transactions from `read_all`; None with standard input.

    Raises:
        TransactionFileError: as `read_all`, so that wrong paths are reported before anything runs.
    """
    total = 0
    for place in places:
        if place == STANDARD_INPUT:
            return None
        for path in files_below(Path(place)):
            if path.suffix in LINES_SUFFIXES:
                total += _line_count(path)
            else:
                total += 1
    return total


def _line_count(path: Path) -> int:
    total = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            total += block.count(b"\n")
    return total


def _of_file(path: Path) -> Iterator[Given]:
    if path.suffix in LINES_SUFFIXES:
        with path.open("rb") as stream:
            yield from _lines(stream, str(path))
        return
    try:
        yield Given(label=str(path), transaction=read_transaction(path))
    except TransactionFileError as refused:
        yield Given(label=str(path), transaction=None, problem=refused.message)


def _guessed(stream: BinaryIO) -> Iterator[Given]:
    """JSON Lines if the first line is a whole JSON value, else one JSON value."""
    first = stream.readline(TRANSACTION_BYTES_MAX + 1)
    if _is_json(first):
        yield from _lines(stream, STANDARD_INPUT, first)
    else:
        yield _parsed(first + stream.read(TRANSACTION_BYTES_MAX + 1), STANDARD_INPUT)


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (ValueError, RecursionError):
        return False
    return True


def _lines(stream: BinaryIO, name: str, first: bytes | None = None) -> Iterator[Given]:
    number, line = 1, stream.readline(TRANSACTION_BYTES_MAX + 1) if first is None else first
    while line:
        whole = line.endswith(b"\n") or len(line) <= TRANSACTION_BYTES_MAX
        if line.strip():
            yield _parsed(line.rstrip(b"\r\n") if whole else line, f"{name}:{number}")
        while line and not whole:
            line = stream.readline(TRANSACTION_BYTES_MAX + 1)
            whole = line.endswith(b"\n")
        number, line = number + 1, stream.readline(TRANSACTION_BYTES_MAX + 1)


def _parsed(data: bytes, label: str) -> Given:
    try:
        return Given(label=label, transaction=parse_transaction(data, label))
    except TransactionFileError as refused:
        return Given(label=label, transaction=None, problem=refused.message)
