"""`ContractVerifier` over the sandbox: each contract CPK in an instance of the pure world."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from host.domain.errors import HostError, StorageError, UnavailableError
from host.domain.flow import stable_code
from host.domain.guest_text import (
    TYPE_CHARACTERS_MAX,
    GuestTextError,
    checked_json,
    cut_line,
    cut_message,
    mended_json,
)
from host.domain.ids import Checksum, ShortHash
from host.domain.json import JsonObject
from host.domain.packages import CpkOfCpi, CpkRecord
from host.guests.contract_limits import contract_limits
from host.guests.library import shown_to_tenants
from host.guests.limits import limits_of
from host.guests.source import GuestSource
from host.ports.directory import UNDECIDED, Judged
from sandbox.errors import HostMemoryError, SandboxError
from sandbox.limits import Limits, Usage
from sandbox.outcome import Returned

CONTRACT_UNKNOWN = "contract-unknown"
_FAILURES_MAX = 100
_STATES_MAX = 1000
_CONTRACTS_CHARACTERS_MAX = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRun:
    """One contract CPK's run.

    Attributes:
        cpk: its symbolic name.
        checksum: of its file.
        receipt: None if the run never started.
        usage: what it used.
        code: the reason why the run was ended, if it ended without an answer of the contract.
    """

    cpk: str
    checksum: Checksum
    receipt: str | None
    usage: Usage = field(default=Usage())
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict of all contract CPKs on one transaction; accepted if there are no failures.

    `platform_version` is the one whose limits applied; None if they were replaced by other limits.
    """

    failures: tuple[JsonObject, ...]
    runs: tuple[ContractRun, ...]
    platform_version: int | None = None

    def judged(self) -> Judged:
        """What the ledger needs of it."""
        receipts = ((run.checksum, run.receipt) for run in self.runs if run.receipt is not None)
        return Judged(failures=self.failures, receipts=tuple(receipts))


def transaction_text(transaction: JsonObject) -> str:
    """The text of a transaction as contracts get it."""
    return json.dumps(transaction, separators=(",", ":"), ensure_ascii=False)


class SandboxedContracts:
    """Verifies ledger transactions by contract CPKs. Safe to use from several threads."""

    def __init__(self, *, library: GuestSource, limits: Limits | None = None) -> None:
        """Take the library of guests; `limits` replace those of the platform, for tests."""
        self._library = library
        self._limits = limits

    def judge(
        self,
        cpks: Sequence[CpkOfCpi],
        transaction: JsonObject,
        *,
        node: ShortHash | None = None,
    ) -> Judgement:
        """The failures of all contracts, and the receipt of each run.

        A CPK that governs no state of the transaction is not run. A state whose contract no CPK
        declares is a failure. The limits are those of the platform version that the transaction's
        metadata names: operator settings never influence a verdict. `node` is as of `verify`.

        Raises:
            UnavailableError: a contract's run was lost for a reason outside the contract.
            StorageError: its code cannot be read.
        """
        states = list(_states(transaction))
        failures = list(_ungoverned(cpks, states))
        runs: list[ContractRun] = []
        text = transaction_text(transaction)
        row = contract_limits(transaction)
        limits = self._limits or row.limits
        for each in cpks:
            types = [state for state, contract in states if contract in each.cpk.contract_types]
            if types:
                found, run = self._run(each, text, types, limits=limits, node=node)
                failures += found
                runs.append(run)
        platform_version = None if self._limits else row.platform_version
        return Judgement(
            failures=tuple(failures), runs=tuple(runs), platform_version=platform_version
        )

    def _run(
        self,
        named: CpkOfCpi,
        transaction: str,
        types: Sequence[str],
        *,
        limits: Limits,
        node: ShortHash | None,
    ) -> tuple[list[JsonObject], ContractRun]:
        """The failures that one CPK reports, and its run."""
        cpk = named.cpk
        name, checksum = cpk.identity.name, cpk.file_checksum
        try:
            guest = self._library.guest(named.cpi, cpk, node=node)
            outcome = guest.call("verify", transaction, limits=limits_of(cpk, limits))
        except (StorageError, UnavailableError):
            raise  # a failure of the platform: no verdict on the transaction
        except HostMemoryError as refused:
            raise UnavailableError(refused.message) from refused
        except (SandboxError, HostError) as refused:
            failure = {
                **_failure(cpk.contract_types, types, refused.code, shown_to_tenants(refused)),
                UNDECIDED: True,
            }
            receipt, usage = getattr(refused, "receipt", None), getattr(refused, "usage", None)
            return [failure], ContractRun(
                cpk=name,
                checksum=checksum,
                receipt=receipt,
                usage=usage or Usage(),
                code=refused.code,
            )
        run = ContractRun(cpk=name, checksum=checksum, receipt=outcome.receipt, usage=outcome.usage)
        if isinstance(outcome, Returned) and not outcome.is_error:
            return [], run
        payload = outcome.value or "" if isinstance(outcome, Returned) else ""
        return _answered(cpk, types, payload), run


def _states(transaction: JsonObject) -> Iterator[tuple[str, str]]:
    """State type and contract of every state that the transaction touches."""
    document: Any = transaction
    for group in ("inputs", "references"):
        for entry in document.get(group) or ():
            yield entry["state"]["type"], entry["state"]["contract"]
    for entry in document.get("outputs") or ():
        yield entry["type"], entry["contract"]
    for entry in document.get("states") or ():  # of the consensual ledger: each its own contract
        yield entry["type"], entry["type"]


def _ungoverned(
    cpks: Sequence[CpkOfCpi], states: Sequence[tuple[str, str]]
) -> Iterator[JsonObject]:
    known = {contract for each in cpks for contract in each.cpk.contract_types}
    names = ", ".join(f"{each.cpk.identity.name} {each.cpk.identity.version}" for each in cpks)
    for contract in sorted({contract for _, contract in states} - known):
        types = [state for state, governed_by in states if governed_by == contract]
        yield _failure(
            (contract,),
            types,
            CONTRACT_UNKNOWN,
            f"no contract CPK of the transaction ({names}) declares {contract}",
        )


def _answered(cpk: CpkRecord, types: Sequence[str], payload: str) -> list[JsonObject]:
    """Failures from a contract's `err`; whatever text the guest returns, it is never 'accepted'."""
    try:
        document: Any = checked_json(mended_json(payload))
        failures = [
            _with_code(
                _failure(
                    (str(f["contract"]),), list(f["states"]), str(f["type"]), str(f["message"])
                ),
                f.get("code"),
            )
            for f in document["failures"][:_FAILURES_MAX]
        ]
    except (GuestTextError, TypeError, KeyError):
        failures = []
    return failures or [_failure(cpk.contract_types, types, "contract-refused", payload)]


def _with_code(failure: JsonObject, code: object) -> JsonObject:
    """The failure with the code of the contract's own exception, if it has one."""
    found = stable_code(code)
    return failure if found is None else {**failure, "code": found}


def _failure(contracts: Sequence[str], types: Sequence[str], kind: str, message: str) -> JsonObject:
    """One failure, of a contract or of the host; truncated here."""
    return {
        "contract": cut_line(", ".join(contracts), _CONTRACTS_CHARACTERS_MAX),
        "states": sorted({cut_line(str(name), TYPE_CHARACTERS_MAX) for name in types})[
            :_STATES_MAX
        ],
        "type": cut_line(kind, TYPE_CHARACTERS_MAX),
        "message": cut_message(message),
    }
