"""The services that may have worker processes of their own, and remote calls to them.

Callers and services use the same ports as in one process. A CPI is passed by its checksum: both
sides read the same catalogue.
"""

import time
from collections.abc import Sequence

from sqlalchemy import Connection

from host.domain.call_time import limited_call
from host.domain.errors import NotFoundError, UnavailableError
from host.domain.ids import Checksum, EpochMs, FlowId, HoldingIdentity, ShortHash
from host.domain.json import JsonObject, JsonValue
from host.domain.packages import CpiRecord, CpkOfCpi, contracts_of
from host.domain.workers import WorkerKind
from host.ledger.core.notary_errors import ErrorKind
from host.ledger.functions.release import forget_flow
from host.ledger.notary.model import Rejection, Result, Uniqueness, UniquenessRequest
from host.network.membership import Registrations
from host.ports.capability import CallContext, Capability
from host.ports.clock import Clock
from host.ports.directory import ContractVerifier, Cpks, Judged, Members, Packages
from host.ports.keys import KeyStore
from host.ports.link import LinkService
from host.ports.mgm import MgmOperations
from host.ports.requests import refusing_misfits
from host.ports.vault_functions import VaultFunctions
from host.ports.vaults import VaultAccess
from host.runtime.rpc import Interface
from host.vault.idempotency import holds_answers


class RemoteCapability:
    """A `Capability` in another process. Calls are idempotent, since they have a request id."""

    def __init__(self, name: str, calls: "ServedCapability") -> None:
        self.name = name
        self._calls = calls

    def call(self, context: CallContext, function: str, request: JsonObject) -> JsonValue:
        return self._calls.call(
            holding=context.holding,
            cpi=context.cpi.file_checksum,
            flow_id=context.flow_id,
            request_id=context.request_id,
            now=context.now,
            function=function,
            request=request,
        )


class ServedCapability:
    """The server side of `RemoteCapability`."""

    def __init__(self, capability: Capability, packages: Packages) -> None:
        self._capability = capability
        self._packages = packages

    def call(
        self,
        *,
        holding: HoldingIdentity,
        cpi: Checksum,
        flow_id: FlowId,
        request_id: str,
        now: EpochMs,
        function: str,
        request: JsonObject,
    ) -> JsonValue:
        context = CallContext(
            holding=holding,
            cpi=_stored(self._packages, cpi),
            flow_id=flow_id,
            request_id=request_id,
            now=now,
        )
        with limited_call(time.thread_time), refusing_misfits():
            return self._capability.call(context, function, request)


class RemoteContracts:
    """A `ContractVerifier` in another process."""

    def __init__(self, calls: "ServedContracts") -> None:
        self._calls = calls

    def verify(
        self, cpks: Sequence[CpkOfCpi], transaction: JsonObject, *, node: ShortHash | None = None
    ) -> Judged:
        named = [(each.cpi.file_checksum, each.cpk.file_checksum) for each in cpks]
        failures, receipts = self._calls.verify(named, transaction, node)
        return Judged(failures=tuple(failures), receipts=tuple(receipts))


class ServedContracts:
    """The server side of `RemoteContracts`."""

    def __init__(self, contracts: ContractVerifier, packages: Packages, cpks: Cpks) -> None:
        self._contracts = contracts
        self._packages = packages
        self._cpks = cpks

    def verify(
        self,
        cpks: Sequence[tuple[Checksum, Checksum]],
        transaction: JsonObject,
        node: ShortHash | None,
    ) -> tuple[Sequence[JsonObject], Sequence[tuple[Checksum, str]]]:
        """See `ContractVerifier.verify`; `cpks` are checksums of a CPI and of a CPK in it."""
        found = [self._find(*each) for each in cpks]
        judged = self._contracts.verify(found, transaction, node=node)
        return judged.failures, judged.receipts

    def _find(self, cpi: Checksum, cpk: Checksum) -> CpkOfCpi:
        """A CPK of a CPI or, if the CPI has been replaced, of any that contains it."""
        record = self._packages.get(cpi)
        for each in () if record is None else contracts_of(record):
            if each.cpk.file_checksum == cpk:
                return each
        found = self._cpks.find_cpk(cpk)
        if found is None:
            raise NotFoundError(f"CPK {cpk} not found.", kind="CPK", named=cpk)
        return found


class RemoteVaultFunctions:
    """A `VaultFunctions` in another process."""

    def __init__(self, calls: "ServedVaultFunctions") -> None:
        self._calls = calls

    def record(
        self, cpi: CpiRecord, request: JsonObject, *, node: ShortHash
    ) -> Sequence[JsonObject]:
        return self._calls.record(cpi.file_checksum, request, node)


class ServedVaultFunctions:
    """The server side of `RemoteVaultFunctions`."""

    def __init__(self, functions: VaultFunctions, packages: Packages) -> None:
        self._functions = functions
        self._packages = packages

    def record(self, cpi: Checksum, request: JsonObject, node: ShortHash) -> Sequence[JsonObject]:
        """See `VaultFunctions.record`."""
        return self._functions.record(_stored(self._packages, cpi), request, node=node)


class RemoteUniqueness:
    """A `Uniqueness` in another process. A request may be repeated: its result is stored."""

    def __init__(self, calls: "ServedUniqueness") -> None:
        self._calls = calls

    def check(self, node: ShortHash, request: UniquenessRequest) -> Result:
        found = self._calls.check(node, request)
        if found is None:
            return Result(id=request.id)
        kind, message, details = found
        rejection = Rejection(kind=kind, message=message, details=details)
        return Result(id=request.id, rejection=rejection)


class ServedUniqueness:
    """The server side of `RemoteUniqueness`."""

    def __init__(self, uniqueness: Uniqueness) -> None:
        self._uniqueness = uniqueness

    def check(
        self, node: ShortHash, request: UniquenessRequest
    ) -> tuple[ErrorKind, str, JsonObject] | None:
        """See `Uniqueness.check`; kind, message and details of a rejection, None: accepted."""
        found = self._uniqueness.check(node, request).rejection
        return None if found is None else (found.kind, found.message, found.details)


class VaultAnswers:
    """What the vaults of this process keep for flows that have not ended: answers, claims."""

    def __init__(self, vaults: VaultAccess, clock: Clock) -> None:
        self._vaults = vaults
        self._clock = clock

    def forget(self, holding: ShortHash, flow_id: FlowId) -> None:
        """Delete those of an ended flow, if any."""
        if not self._vaults.is_made(holding):
            return
        with self._vaults.read(holding) as connection:
            is_kept = holds_answers(connection, flow_id)  # each claim has one
        if not is_kept:
            return

        def forget(connection: Connection) -> None:
            forget_flow(connection, flow_id, self._clock.now_ms())

        self._vaults.transact(holding, forget)


KEYS = Interface(
    "keys",
    KeyStore,  # type: ignore[type-abstract]
    WorkerKind.CRYPTO,
    (
        "create",
        "list",
        "query",
        "find_mine",
        "sign",
        "seal",
        "open",
        "open_sealed",
        "tls_key",
        "export_keys",
        "import_keys",
        "erase",
        "assign_hsm",
        "hsm",
        "start_rotation",
        "rotate_some",
        "rotation",
    ),
    once=("create", "start_rotation"),
)
UNIQUENESS = Interface(
    "uniqueness",
    ServedUniqueness,
    WorkerKind.UNIQUENESS,
    ("check",),
)
CONTRACTS = Interface(
    "contracts",
    ServedContracts,
    WorkerKind.VERIFICATION,
    ("verify",),
)
LINK = Interface(
    "link",
    LinkService,  # type: ignore[type-abstract]
    WorkerKind.LINK,
    ("receive", "body_limit", "take", "done"),
    once=("take",),
)
VAULT_FUNCTIONS = Interface(
    "vault-functions",
    ServedVaultFunctions,
    WorkerKind.VERIFICATION,
    ("record",),
)
MEMBERS = Interface(
    "members",
    Members,  # type: ignore[type-abstract]
    WorkerKind.MEMBERSHIP,
    (
        "lookup",
        "lookup_key",
        "active",
        "listed",
        "parameters",
        "parameters_history",
        "keep_parameters",
    ),
)
REGISTRATIONS = Interface(
    "registrations",
    Registrations,
    WorkerKind.MEMBERSHIP,
    ("register", "requests", "request"),
    once=("register",),
)
MGM = Interface(
    "mgm",
    MgmOperations,  # type: ignore[type-abstract]
    WorkerKind.MEMBERSHIP,
    (
        "info",
        "registrations",
        "approve",
        "decline",
        "force_decline",
        "suspend",
        "activate",
        "update_group_parameters",
        "approval_rules",
        "add_approval_rule",
        "delete_approval_rule",
        "pre_auth_tokens",
        "generate_pre_auth_token",
        "revoke_pre_auth_token",
        "allowed_client_certificate_subjects",
        "allow_client_certificate_subject",
        "disallow_client_certificate_subject",
    ),
    once=(
        "approve",
        "decline",
        "force_decline",
        "suspend",
        "activate",
        "add_approval_rule",
        "delete_approval_rule",
        "generate_pre_auth_token",
        "revoke_pre_auth_token",
    ),
)
ENTITIES = Interface(
    "persistence",
    ServedCapability,
    WorkerKind.PERSISTENCE,
    ("call",),
)
LEDGER = Interface(
    "ledger",
    ServedCapability,
    WorkerKind.PERSISTENCE,
    ("call",),
)
ANSWERS = Interface(
    "answers",
    VaultAnswers,
    WorkerKind.PERSISTENCE,
    ("forget",),
)


def _stored(packages: Packages, checksum: Checksum) -> CpiRecord:
    """The CPI of exactly this checksum.

    Raises:
        UnavailableError: it was replaced meanwhile; a retried step gets the new one.
    """
    record = packages.get(checksum)
    if record is None or record.file_checksum != checksum:
        raise UnavailableError(f"CPI {checksum} has been replaced")
    return record
