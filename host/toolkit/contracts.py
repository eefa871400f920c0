"""Verify ledger transactions by the contracts of a CPI, without any host."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography import x509

from cpi.group_policy import parse_group_policy
from cpi.model import PackageType
from cpi.verify import verify_package
from host.domain.errors import InvalidInputError
from host.domain.ids import EpochMs
from host.domain.json import JsonObject
from host.domain.packages import CpiRecord
from host.guests.code import code_of, prove
from host.guests.contracts import SandboxedContracts
from host.guests.library import GuestLibrary
from host.guests.records import record_of
from sandbox.limits import Limits
from sandbox.runtime import Sandbox

TRANSACTION_BYTES_MAX = Limits().payload_bytes_max


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the contracts say of one transaction; accepted if there are no failures."""

    transaction_id: str
    failures: tuple[JsonObject, ...]


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
    if len(data) > TRANSACTION_BYTES_MAX:
        raise TransactionFileError(f"{path} is larger than {TRANSACTION_BYTES_MAX} bytes")
    try:
        document: JsonObject = msgspec.json.decode(data)
        msgspec.convert(document, _Transaction)
    except (msgspec.DecodeError, RecursionError) as refused:
        raise TransactionFileError(f"{path}: no ledger transaction: {refused}") from refused
    return document


def verify_transactions(
    cpi: bytes,
    transactions: Sequence[JsonObject],
    *,
    trusted: Sequence[x509.Certificate],
    sandbox: Sandbox,
    limits: Limits,
) -> Iterator[Verdict]:
    """Verify the CPI, then each transaction by its contract CPKs, each in a fresh sandbox.

    Raises:
        CpiError: the CPI is not accepted.
        InvalidInputError: its code cannot be used, or is not what its descriptors say.
    """
    record = _prepared(cpi, trusted, sandbox)
    library = GuestLibrary(sandbox=sandbox, read=lambda _: cpi)
    contracts = SandboxedContracts(library=library, limits=limits)
    for transaction in transactions:
        failures = tuple(contracts.verify(record, transaction))
        yield Verdict(transaction_id=str(transaction["id"]), failures=failures)


def _prepared(cpi: bytes, trusted: Sequence[x509.Certificate], sandbox: Sandbox) -> CpiRecord:
    package = verify_package(cpi, package_type=PackageType.CPI, trusted=trusted)
    codes = [code_of(cpk, package.cpks) for cpk in package.cpks if cpk.world_type == "contract"]
    for code in codes:
        prove(sandbox, code)
    now = EpochMs(int(datetime.now(UTC).timestamp() * 1000))
    policy = parse_group_policy(package.group_policy or "")
    return record_of(package, group_id=policy.group_id, stored_at=now)
