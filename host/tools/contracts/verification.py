"""Verifies ledger transactions with the contracts of a CPI, without a host."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cpi.crypto.certificate import AnyCertificate
from cpi.package.group_policy import parse_group_policy
from cpi.package.model import PackageType
from cpi.package.verify import verify_package
from host.domain.errors import InvalidInputError
from host.domain.ids import EpochMs
from host.domain.json import JsonObject
from host.domain.packages import CpiRecord, contracts_of
from host.guests.code import code_of, prove
from host.guests.contracts import SandboxedContracts
from host.guests.library import GuestLibrary
from host.guests.records import record_of
from host.tools.contracts.inputs import Given
from host.tools.contracts.receipts import verification_receipt
from sandbox.limits import Limits
from sandbox.runtime import Sandbox


class NoContractError(InvalidInputError):
    """The CPI holds no contract CPK, so nothing could be verified."""

    code = "cpi-without-contract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The contracts' verdict on one transaction; accepted if there are no failures.

    `receipt` is canonical JSON: see `host.tools.contracts.receipts`.
    """

    transaction_id: str
    failures: tuple[JsonObject, ...]
    receipt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One piece of input and its verdict; None if it is not a transaction (see `problem`)."""

    label: str
    verdict: Verdict | None
    problem: str = ""


class CpiContracts:
    """The contracts of a verified CPI. Safe to use from several threads."""

    def __init__(
        self, record: CpiRecord, *, cpi: bytes, sandbox: Sandbox, limits: Limits | None = None
    ) -> None:
        """Wrap the record of `cpi`, which must be verified: see `open_contracts`."""
        self.record = record
        self.cpi = cpi
        self.limits = limits
        library = GuestLibrary(sandbox=sandbox, read=lambda _: cpi)
        self._contracts = SandboxedContracts(library=library, limits=limits)

    def verify(self, transaction: JsonObject) -> Verdict:
        """The verdict on one transaction; each contract CPK runs in a fresh sandbox."""
        judgement = self._contracts.judge(contracts_of(self.record), transaction)
        return Verdict(
            transaction_id=str(transaction["id"]),
            failures=judgement.failures,
            receipt=verification_receipt(transaction, judgement),
        )

    def case(self, given: Given) -> Case:
        """The verdict on one piece of input."""
        if given.transaction is None:
            return Case(label=given.label, verdict=None, problem=given.problem)
        return Case(label=given.label, verdict=self.verify(given.transaction))


def open_contracts(
    cpi: bytes,
    *,
    trusted: Sequence[AnyCertificate],
    sandbox: Sandbox,
    limits: Limits | None = None,
) -> CpiContracts:
    """Verify a CPI, prove its descriptors and compile its contract code.

    `limits` replace those of a transaction's platform version, which hosts use.

    Raises:
        CpiError: the CPI is not accepted.
        InvalidInputError: its code cannot be used, or does not match its descriptors.
        NoContractError: it has no contract.
    """
    package = verify_package(cpi, package_type=PackageType.CPI, trusted=trusted)
    codes = [code_of(cpk, package.cpks) for cpk in package.cpks if cpk.world_type == "contract"]
    for code in codes:
        prove(sandbox, code)
    now = EpochMs(int(datetime.now(UTC).timestamp() * 1000))
    policy = parse_group_policy(package.group_policy or "")
    record = record_of(package, group_id=policy.group_id, stored_at=now)
    if not codes:
        identity = record.identity
        raise NoContractError(f"CPI {identity.name} {identity.version} has no contract CPK")
    return CpiContracts(record, cpi=cpi, sandbox=sandbox, limits=limits)
