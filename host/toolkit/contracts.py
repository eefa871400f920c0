"""Verify ledger transactions by the contracts of a CPI, without any host."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

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
from host.toolkit.contracts_input import Given
from host.toolkit.receipts import verification_receipt
from sandbox.limits import Limits
from sandbox.runtime import Sandbox

_AHEAD_PER_JOB = 4
"""Transactions that are read before their verdict is due, so that no job waits for input."""


class NoContractError(InvalidInputError):
    """The CPI holds no contract CPK, so nothing could be verified."""

    code = "cpi-without-contract"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the contracts say of one transaction; accepted if there are no failures.

    `receipt` is canonical JSON: see `host.toolkit.receipts`.
    """

    transaction_id: str
    failures: tuple[JsonObject, ...]
    receipt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One piece of input and its verdict; None if `problem` says why it is no transaction."""

    label: str
    verdict: Verdict | None
    problem: str = ""


class CpiContracts:
    """The contracts of a verified CPI. Safe to use from several threads."""

    def __init__(
        self, cpi: bytes, *, trusted: Sequence[x509.Certificate], sandbox: Sandbox, limits: Limits
    ) -> None:
        """Verify the CPI, prove its descriptors and compile its contract code.

        Raises:
            CpiError: the CPI is not accepted.
            InvalidInputError: its code cannot be used, or is not what its descriptors say.
            NoContractError: it has no contract.
        """
        self.record = _prepared(cpi, trusted, sandbox)
        if not self.record.contract_cpks():
            identity = self.record.identity
            raise NoContractError(f"CPI {identity.name} {identity.version} has no contract CPK")
        library = GuestLibrary(sandbox=sandbox, read=lambda _: cpi)
        self._contracts = SandboxedContracts(library=library, limits=limits)

    def verify(self, transaction: JsonObject) -> Verdict:
        """The verdict on one transaction; each contract CPK runs in a fresh sandbox."""
        judgement = self._contracts.judge(self.record, transaction)
        return Verdict(
            transaction_id=str(transaction["id"]),
            failures=judgement.failures,
            receipt=verification_receipt(transaction, judgement),
        )

    def verify_all(self, given: Iterable[Given], *, jobs: int | None = None) -> Iterator[Case]:
        """Verdicts in the order of the input, `jobs` at a time, by default one per core.

        Input is read only a few transactions ahead of the verdicts, so memory stays bounded.
        """
        jobs = jobs or cores()
        waiting: deque[Future[Case]] = deque()
        with ThreadPoolExecutor(jobs, thread_name_prefix="verify") as executor:
            try:
                for item in given:
                    waiting.append(executor.submit(self._case, item))
                    if len(waiting) >= jobs * _AHEAD_PER_JOB:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                executor.shutdown(wait=False, cancel_futures=True)

    def _case(self, given: Given) -> Case:
        if given.transaction is None:
            return Case(label=given.label, verdict=None, problem=given.problem)
        return Case(label=given.label, verdict=self.verify(given.transaction))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _prepared(cpi: bytes, trusted: Sequence[x509.Certificate], sandbox: Sandbox) -> CpiRecord:
    package = verify_package(cpi, package_type=PackageType.CPI, trusted=trusted)
    codes = [code_of(cpk, package.cpks) for cpk in package.cpks if cpk.world_type == "contract"]
    for code in codes:
        prove(sandbox, code)
    now = EpochMs(int(datetime.now(UTC).timestamp() * 1000))
    policy = parse_group_policy(package.group_policy or "")
    return record_of(package, group_id=policy.group_id, stored_at=now)
