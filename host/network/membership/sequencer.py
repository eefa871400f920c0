"""Changes of an MGM's list: up to 100 become one version, which is signed before its transaction.

Registrations that are PENDING_AUTO_APPROVAL are the queue; an operator's change comes with the
call. If the list has moved on meanwhile, the version is made anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, insert, update

from host.domain.errors import ConflictError, InvalidInputError, NotFoundError
from host.domain.group_parameters import (
    SignedGroupParameters,
)
from host.domain.ids import EpochMs, HoldingIdentity, ShortHash
from host.domain.instants import instant_text
from host.domain.membership import GroupParameters, MemberStatus, NotaryInfo
from host.domain.x500 import MemberX500Name
from host.network.membership import group_store
from host.network.membership.checks import notary_fault
from host.network.membership.distributor import note_recipient
from host.network.membership.list_signer import ListSigner
from host.network.membership.network_access import GroupOfMgm, NetworkAccess, group_of_mgm
from host.network.membership.network_registrations import (
    MEMBER_SIDE,
    MGM_SIDE,
    NetworkRegistration,
    find_registration,
    registrations_of_status,
    set_registration,
)
from host.network.membership.network_tables import MGM_GROUP, NETWORK_REGISTRATION
from host.network.membership.outbox import TTL_MS, post
from host.network.membership.package import ListState
from host.network.membership.parameters import keep_in_realm
from host.network.membership.registration import RegistrationStatus
from host.network.membership.views import move_view
from host.network.values import contexts
from host.network.values.contexts import Context
from host.network.values.head import SignedHead
from host.network.values.member import SignedMember
from host.network.values.messages import StatusUpdate

_DEFAULT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Approve:
    """An operator approves a registration."""

    registration_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStatus:
    """An operator suspends or activates a member, whose information had a serial."""

    name: str
    serial: int
    status: MemberStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class SetParameters:
    """An operator replaces what it may of the group parameters."""

    minimum_platform_version: int
    custom: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMgm:
    """The MGM registers again: its information changes, and the group policy that names it.

    Attributes:
        serial: of the information that it had.
        member_context, member_signature: its information from now on.
        policy: of its members from now on.
        request: the row of the registration.
    """

    serial: int
    member_context: bytes
    member_signature: bytes
    policy: str
    request: Mapping[str, object]


Change = Approve | SetStatus | SetParameters | SetMgm


@dataclass(slots=True)
class _Draft:
    """A version as it is made."""

    base: ListState
    parameters: GroupParameters
    now: EpochMs
    members: dict[str, SignedMember] = field(default_factory=dict)
    approved: list[NetworkRegistration] = field(default_factory=list)
    declined: list[tuple[NetworkRegistration, str]] = field(default_factory=list)
    mgm: SetMgm | None = None


class Sequencer:
    """Makes the versions of the lists of MGMs here. Thread-safe."""

    def __init__(self, access: NetworkAccess) -> None:
        self._access = access

    def run(self, mgm: ShortHash, change: Change | None = None) -> bool:
        """Make one version of what waits, and of an operator's change.

        Returns:
            False if nothing was to do.

        Raises:
            NotFoundError: what the change names.
            InvalidInputError: the change is refused in this state.
            ConflictError: a member's serial or status is another.
        """
        while True:
            with self._access.database.read() as connection:
                group = group_of_mgm(connection, mgm)
                if group is None:
                    return False
                draft = self._draft(connection, mgm, group, change)
            if draft is None:
                return False
            if self._commit(mgm, group, draft):
                return True

    def _draft(
        self, connection: Connection, mgm: ShortHash, group: GroupOfMgm, change: Change | None
    ) -> _Draft | None:
        realm = group.signer.realm
        waiting = list(
            registrations_of_status(connection, mgm, RegistrationStatus.PENDING_AUTO_APPROVAL)
        )
        if isinstance(change, Approve):
            waiting.append(_to_approve(connection, mgm, change))
        if not waiting and change is None:
            return None
        version = group_store.newest_version(connection, realm)
        parameters = group_store.parameters_at(connection, realm, version)
        if parameters is None:
            raise NotFoundError(
                f"The group of MGM {mgm} has no parameters.", kind="group parameters", named=mgm
            )
        draft = _Draft(
            base=group_store.list_state(connection, realm, version),
            parameters=parameters.parameters,
            now=self._access.clock.now_ms(),
        )
        signer = ListSigner(access=self._access, tenant=mgm, signer=group.signer)
        for request in waiting:
            self._approve(connection, draft, signer, request)
        if isinstance(change, SetStatus):
            self._set_status(connection, draft, signer, change)
        if isinstance(change, SetMgm):
            self._set_mgm(connection, draft, signer, str(group.holding.x500_name), change)
        if isinstance(change, SetParameters):
            draft.parameters = replace(
                draft.parameters,
                minimum_platform_version=change.minimum_platform_version,
                custom=change.custom,
            )
        return draft

    def _approve(
        self,
        connection: Connection,
        draft: _Draft,
        signer: ListSigner,
        request: NetworkRegistration,
    ) -> None:
        """Put the member of a registration into the draft, or decline it: all is checked again."""
        before = group_store.member_at(
            connection, signer.signer.realm, request.name, draft.base.version
        )
        services = {str(n.name): n.public_key for n in draft.parameters.notaries}
        names = frozenset({*draft.base.members, *draft.members})
        fault = notary_fault(request.member, names, services)
        if fault is None and request.name in services:
            fault = f"Member's name {request.name} is the name of a notary service."
        if fault is not None:
            draft.declined.append((request, fault))
            return
        status = MemberStatus.ACTIVE if before is None else before.status
        context = _mgm_context(before, status, draft.now)
        found = signer.member(request.member_context, request.member_signature, context)
        draft.members[request.name] = found
        draft.parameters = _with_notary(draft.parameters, found)
        draft.approved.append(request)

    def _set_status(
        self, connection: Connection, draft: _Draft, signer: ListSigner, change: SetStatus
    ) -> None:
        before = group_store.member_at(
            connection, signer.signer.realm, change.name, draft.base.version
        )
        if before is None:
            raise NotFoundError(
                f"Member {change.name} not found.", kind="member", named=change.name
            )
        if before.is_mgm:
            raise InvalidInputError("The MGM itself can neither be suspended nor activated.")
        if before.serial != change.serial:
            raise ConflictError(
                f"{change.name} has serial {before.serial}, the request names {change.serial}"
            )
        if before.status is change.status:
            raise ConflictError(f"{change.name} is {change.status} already")
        found = signer.member(
            before.member_context,
            before.member_signature,
            _mgm_context(before, change.status, draft.now),
        )
        draft.members[change.name] = found
        draft.parameters = _with_notary(draft.parameters, found)

    def _set_mgm(
        self, connection: Connection, draft: _Draft, signer: ListSigner, name: str, change: SetMgm
    ) -> None:
        realm = signer.signer.realm
        before = group_store.member_at(connection, realm, name, draft.base.version)
        if before is None or before.serial != change.serial:
            raise ConflictError(f"{name} was registered again meanwhile")
        context = _mgm_context(before, MemberStatus.ACTIVE, draft.now)
        draft.mgm = change
        draft.members[name] = signer.member(change.member_context, change.member_signature, context)

    def _commit(self, mgm: ShortHash, group: GroupOfMgm, draft: _Draft) -> bool:
        """Sign and store a version; False if the list has moved on meanwhile."""
        realm, now = group.signer.realm, draft.now
        signer = ListSigner(access=self._access, tenant=mgm, signer=group.signer)
        signed = self._parameters(draft, signer, realm)
        members = {
            **draft.base.members,
            **{name: found.digest for name, found in draft.members.items()},
        }
        decline_ms = self._access.times().decline_ms
        head = None
        if draft.members or signed.parameters.epoch != self._epoch(realm, draft):
            head = signer.head(draft.base, members, signed.hash, now)

        def commit(connection: Connection) -> bool:
            if group_store.newest_version(connection, realm) != draft.base.version:
                return False
            outcomes = [
                *((r, RegistrationStatus.APPROVED, None) for r in draft.approved),
                *((r, RegistrationStatus.DECLINED, fault) for r, fault in draft.declined),
            ]
            for request, status, reason in outcomes:
                found = draft.members.get(request.name)
                if not set_registration(
                    connection,
                    request,
                    status,
                    now=now,
                    reason=reason,
                    user_reason=reason,
                    serial=request.serial if found is None or reason else found.serial,
                ):
                    raise _MovedError
                tell(connection, group.holding, request, status, reason, decline_ms=decline_ms)
            if head is not None:
                self._store(connection, group, draft, signed, head)
            return True

        try:
            return self._access.database.transact(commit)
        except _MovedError:
            return False

    def _store(
        self,
        connection: Connection,
        group: GroupOfMgm,
        draft: _Draft,
        parameters: SignedGroupParameters,
        head: SignedHead,
    ) -> None:
        realm, version = group.signer.realm, draft.base.version + 1
        mgm = group.holding.short_hash
        for found in draft.members.values():
            group_store.keep_member(connection, realm, found)
            if not found.is_mgm:
                note_recipient(connection, mgm, found)
        if draft.mgm is not None:
            own = update(MGM_GROUP).where(MGM_GROUP.c.short_hash == mgm)
            connection.execute(own.values(policy=draft.mgm.policy))
            connection.execute(insert(NETWORK_REGISTRATION), draft.mgm.request)
        keep_in_realm(connection, realm, parameters)
        entries = [(version, name, f.digest) for name, f in draft.members.items()]
        group_store.keep_versions(connection, realm, [head], entries)
        move_view(connection, mgm, version, draft.now, self._access.times())

    def _parameters(self, draft: _Draft, signer: ListSigner, realm: str) -> SignedGroupParameters:
        with self._access.database.read() as connection:
            before = group_store.parameters_at(connection, realm, draft.base.version)
        if before is not None and before.parameters == draft.parameters:
            return before
        changed = replace(draft.parameters, epoch=draft.parameters.epoch + 1, modified_at=draft.now)
        return signer.parameters(changed, draft.now)

    def _epoch(self, realm: str, draft: _Draft) -> int:
        with self._access.database.read() as connection:
            before = group_store.parameters_at(connection, realm, draft.base.version)
        return 0 if before is None else before.parameters.epoch


class _MovedError(Exception):
    """A registration has changed since the version was begun."""


def tell(
    connection: Connection,
    mgm: HoldingIdentity,
    request: NetworkRegistration,
    status: RegistrationStatus,
    reason: str | None,
    *,
    decline_ms: int,
) -> None:
    """Tell a member the status of its registration; it is told for `decline_ms` that it failed.

    The copy of it is told that has asked: another one may be here, which never sent the request.
    """
    target = HoldingIdentity(x500_name=MemberX500Name.parse(request.name), group_id=mgm.group_id)
    update = StatusUpdate(
        registration_id=request.registration_id, status=status.value, reason=reason
    )
    is_over = status is RegistrationStatus.DECLINED
    message_id = f"{request.registration_id}/{status.value}"
    ttl_ms = decline_ms if is_over else TTL_MS
    asked = find_registration(connection, target.short_hash, request.registration_id, MEMBER_SIDE)
    is_for_other = asked is None
    post(connection, mgm, target, update, message_id, ttl_ms=ttl_ms, is_for_other=is_for_other)


def _to_approve(connection: Connection, mgm: ShortHash, change: Approve) -> NetworkRegistration:
    request = find_registration(connection, mgm, change.registration_id, MGM_SIDE)
    if request is None:
        raise NotFoundError(
            f"Registration {change.registration_id} not found.",
            kind="registration request",
            named=change.registration_id,
        )
    if request.status is not RegistrationStatus.PENDING_MANUAL_APPROVAL:
        raise InvalidInputError(
            f"Registration {change.registration_id} is {request.status}, expected"
            f" {RegistrationStatus.PENDING_MANUAL_APPROVAL}"
        )
    return request


def _mgm_context(before: SignedMember | None, status: MemberStatus, now: EpochMs) -> Context:
    of_mgm = {contexts.IS_MGM: "true"} if before is not None and before.is_mgm else {}
    return {
        **of_mgm,
        contexts.STATUS: status.value,
        contexts.SERIAL: str(1 if before is None else before.serial + 1),
        contexts.CREATED: instant_text(now) if before is None else before.mgm[contexts.CREATED],
        contexts.MODIFIED: instant_text(now),
    }


def _with_notary(parameters: GroupParameters, member: SignedMember) -> GroupParameters:
    """The parameters with a notary's service if it is active, without it if it is not."""
    context = member.member
    if not contexts.is_notary(context):
        return parameters
    name = MemberX500Name.parse(context[contexts.NOTARY_SERVICE])
    others = tuple(n for n in parameters.notaries if n.name != name)
    if member.status is not MemberStatus.ACTIVE:
        return replace(parameters, notaries=others)
    versions: Sequence[str] = contexts.numbered(context, contexts.NOTARY_PROTOCOL_VERSIONS)
    notary = NotaryInfo(
        name=name,
        protocol=context[contexts.NOTARY_PROTOCOL],
        protocol_versions=tuple(sorted({int(v) for v in versions})) or (_DEFAULT_VERSION,),
        public_key=contexts.keys_of(context, contexts.NOTARY_KEYS)[0].public_key,
        backchain_required=context.get(contexts.NOTARY_BACKCHAIN, "true") == "true",
    )
    if notary in parameters.notaries:
        return parameters
    return replace(parameters, notaries=(*others, notary))
