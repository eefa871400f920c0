"""Registration of members of dynamic networks: what a member sends, and what the MGM tells it."""

import json

import structlog
from sqlalchemy import Connection, delete, insert, select

from host.database.sql import Upsert
from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.guest_text import cut_line
from host.domain.ids import EpochMs, HoldingIdentity, ShortHash
from host.domain.vnode import VirtualNode
from host.network.membership import group_store, member_side
from host.network.membership.checks import endpoints_fault, keys_fault, notary_fault
from host.network.membership.diff import changed_entries
from host.network.membership.dynamic_context import OF_REGISTRATION, check_member_context
from host.network.membership.errors import RegistrationInvalidError
from host.network.membership.member_contexts import platform_context, platform_entries, relocated
from host.network.membership.member_side import MemberInput
from host.network.membership.network_access import GroupOfMember, NetworkAccess, group_of_member
from host.network.membership.network_policy import read_network_policy
from host.network.membership.network_registrations import (
    COLUMNS,
    MEMBER_SIDE,
    NetworkRegistration,
    due_registrations,
    find_registration,
    postpone_registration,
    refused_row,
    registrations_where,
    set_registration,
)
from host.network.membership.network_tables import NETWORK_REGISTRATION, UPGRADED_NODE
from host.network.membership.outbox import post, post_sealed
from host.network.membership.registration import RegistrationStatus
from host.network.membership.sealing import seal_to
from host.network.membership.views import begin_view, view_of
from host.network.values import contexts
from host.network.values.contexts import Context, encode_context
from host.network.values.member import member_text
from host.network.values.messages import (
    MembershipOutcome,
    Register,
    StatusUpdate,
    VerificationRequest,
    VerificationResponse,
    encode_message,
    registration_text,
)
from host.network.values.signed import registration_info

_log = structlog.get_logger("cordbox.membership")
_REFUSED = frozenset(
    {RegistrationStatus.INVALID, RegistrationStatus.DECLINED, RegistrationStatus.FAILED}
)
_NOTE = Upsert(table=UPGRADED_NODE, keep=True)


def note_upgraded(connection: Connection, short_hash: ShortHash) -> None:
    """Note in an upgrade's transaction that a node got another CPI."""
    _NOTE.run(connection, {"short_hash": short_hash})


class MemberRegistrations:
    """Requests of the members here. Thread-safe."""

    def __init__(self, access: NetworkAccess) -> None:
        self._access = access

    def register(self, node: VirtualNode, given: Context) -> str:
        """Send a registration to the MGM of the node's group.

        Args:
            node: of a dynamic network.
            given: by `member.dynamic.registration.context`.

        Returns:
            The request's id. It is NEW, or INVALID with the reason.

        Raises:
            HostError: the key store or the database cannot be used.
        """
        registration_id = self._access.new_id()
        try:
            self._send(node, given, registration_id)
        except RegistrationInvalidError as exc:
            self._refuse(node, given, registration_id, exc.reason)
        except (InvalidInputError, NotFoundError) as exc:
            self._refuse(node, given, registration_id, exc.message)
        return registration_id

    def relocate(self, node: VirtualNode, given: Context, of_registration: Context) -> str:
        """Register a member again that is at another place, `given`; returns the request's id.

        Raises:
            RegistrationInvalidError: it never registered, or the endpoints cannot be used.
            HostError: the key store or the database cannot be used.
        """
        told = self._last_told(node)
        if told is None:
            raise RegistrationInvalidError(f"{node.holding.short_hash} has not registered.")
        registration_id = self._access.new_id()
        member = relocated(self._access, node, told, given, registration_id)
        fault = endpoints_fault(member)
        if fault is not None:
            raise RegistrationInvalidError(fault)
        self._submit(node, member, of_registration)
        return registration_id

    def delivered(self, outcome: MembershipOutcome, source: HoldingIdentity) -> None:
        """The MGM's gateway has taken a request, or it could not be sent in time."""
        happened = MemberInput.DELIVERED if outcome.code is None else MemberInput.UNSENT
        reason = None if outcome.code is None else f"The MGM cannot be reached: {outcome.code}."
        self._step(source.short_hash, outcome.message_id, happened, reason)

    def asked(
        self, viewer: HoldingIdentity, source: HoldingIdentity, question: VerificationRequest
    ) -> None:
        """The MGM asks whether a request is the member's own; any other's question is dropped."""
        group = group_of_member(self._access, self._access.node(viewer.short_hash))
        if source != group.mgm:
            return
        now, registration_id = self._access.clock.now_ms(), question.registration_id

        def answer(connection: Connection) -> None:
            request = find_registration(connection, viewer.short_hash, registration_id, MEMBER_SIDE)
            is_ours = member_side.answers_verification(None if request is None else request.status)
            if request is not None:
                wanted = member_side.step(request.status, MemberInput.VERIFICATION_ASKED)
                if wanted is not None:
                    self._set(connection, request, wanted, now)
            response = VerificationResponse(registration_id=registration_id, is_ours=is_ours)
            post(connection, viewer, group.mgm, response, f"{registration_id}/verified")

        self._access.database.transact(answer)

    def told(self, viewer: HoldingIdentity, source: HoldingIdentity, told: StatusUpdate) -> None:
        """The MGM tells the status of a request; any other's update is dropped."""
        group = group_of_member(self._access, self._access.node(viewer.short_hash))
        if source != group.mgm:
            return
        now = self._access.clock.now_ms()

        def update(connection: Connection) -> None:
            request = find_registration(
                connection, viewer.short_hash, told.registration_id, MEMBER_SIDE
            )
            if request is None:
                return
            wanted = member_side.updated(request.status, told.status)
            if wanted is not None:
                reason = None if told.reason is None else cut_line(told.reason, 1024)
                self._set(connection, request, wanted, now, reason)

        self._access.database.transact(update)

    def expire(self) -> int:
        """End requests that were not sent in time, and send others again; returns their number."""
        now = self._access.clock.now_ms()
        with self._access.database.read() as connection:
            due = due_registrations(connection, MEMBER_SIDE, now)
        for request in due:
            if request.status is RegistrationStatus.NEW:
                reason = "The MGM could not be reached in time."
                self._step(request.short_hash, request.registration_id, MemberInput.UNSENT, reason)
            else:
                self._send_again(request)
        return len(due)

    def renew(self) -> int:
        """Register members again whose nodes got another CPI; returns their number.

        The request tells what the last one told, and the CPI and versions of now.
        """
        with self._access.database.read() as connection:
            found = connection.execute(select(UPGRADED_NODE).limit(100)).scalars().all()
        for short_hash in found:
            self._renew(ShortHash(short_hash))
        return len(found)

    def _renew(self, short_hash: ShortHash) -> None:
        try:
            node = self._access.node(short_hash)
            told = self._last_told(node)
            member = None if told is None else self._of_now(node, told)
            if member is not None:
                self._submit(node, member, {}, is_renewal=True)
                return
        except (RegistrationInvalidError, InvalidInputError, NotFoundError) as exc:
            reason = exc.reason if isinstance(exc, RegistrationInvalidError) else exc.message
            _log.warning("member-not-renewed", node=short_hash, reason=reason)
        self._access.database.transact(lambda c: _forget_upgraded(c, short_hash))

    def _last_told(self, node: VirtualNode) -> Context | None:
        """What a member said of itself in its latest request that was not refused."""
        if not json.loads(self._access.cpi(node).group_policy).get("mgmInfo"):
            return None
        with self._access.database.read() as connection:
            requests = registrations_where(
                connection,
                COLUMNS.short_hash == node.holding.short_hash,
                COLUMNS.side == MEMBER_SIDE,
            )
        told = [each for each in requests if each.status not in _REFUSED]
        last = max(told, key=lambda each: (each.sent_at, each.registration_id), default=None)
        return None if last is None else last.member

    def _of_now(self, node: VirtualNode, told: Context) -> Context | None:
        """What the member says of itself now; None if it told the same."""
        member = {**told, **platform_entries(self._access, node, self._access.new_id())}
        return member if changed_entries(told, member) else None

    def _send(self, node: VirtualNode, given: Context, registration_id: str) -> None:
        check_member_context(given)
        subject = self._access.tls_subject(node.holding.short_hash)
        if subject is None:
            raise RegistrationInvalidError(
                f"Virtual node {node.holding.short_hash} is not set up for its network: use"
                f" PUT /network/setup/{node.holding.short_hash} first."
            )
        member = {
            **platform_context(self._access, node, given, registration_id),
            **contexts.place_of(self._last_told(node) or {}),
        }
        if read_network_policy(self._access.cpi(node).group_policy).is_mutual:
            member = {**member, contexts.TLS_SUBJECT: subject}
        fault = (
            endpoints_fault(member) or keys_fault(member) or notary_fault(member, frozenset(), {})
        )
        if fault is not None:
            raise RegistrationInvalidError(fault)
        self._submit(node, member, {key: given[key] for key in OF_REGISTRATION if key in given})

    def _submit(
        self,
        node: VirtualNode,
        member: Context,
        of_registration: Context,
        *,
        is_renewal: bool = False,
    ) -> None:
        """Store a request and what is sent; one for an upgraded node is asked for no more.

        Args:
            node: of a dynamic network.
            member: what it says of itself.
            of_registration: what the MGM alone reads; the newest known serial is added.
            is_renewal: store it only while the node is noted as upgraded.
        """
        holding, now = node.holding, self._access.clock.now_ms()
        group = group_of_member(self._access, node)
        registration_id = member[contexts.REGISTRATION_ID]
        realm = group.signer.realm
        serial = of_registration.get(contexts.SERIAL) or str(self._serial(holding, realm))
        registration = {**of_registration, contexts.SERIAL: serial}
        request = self._signed(
            holding, group, encode_context(member), encode_context(registration), registration_id
        )
        sealed = seal_to(group.ecdh_key, encode_message(request), registration_info(realm))
        row = {
            "short_hash": holding.short_hash,
            "registration_id": registration_id,
            "side": MEMBER_SIDE,
            "name": str(holding.x500_name),
            "status": RegistrationStatus.NEW.value,
            "serial": contexts.serial_of({contexts.SERIAL: serial}),
            "member_context": request.member_context,
            "member_signature": request.member_signature,
            "registration_context": request.registration_context,
            "sent_at": now,
            "updated_at": now,
            "due_at": member_side.due_at(RegistrationStatus.NEW, now, self._access.times()),
        }

        def store(connection: Connection) -> None:
            was_noted = _forget_upgraded(connection, holding.short_hash)
            if is_renewal and not was_noted:
                return  # another process, or its operator, has registered it
            connection.execute(insert(NETWORK_REGISTRATION), row)
            begin_view(connection, holding.short_hash, realm, now, self._access.times())
            group_store.keep_local_keys(connection, realm, holding.short_hash, member)
            post_sealed(connection, holding, group.mgm, sealed, registration_id)

        self._access.database.transact(store)

    def _signed(
        self,
        holding: HoldingIdentity,
        group: GroupOfMember,
        member: bytes,
        registration: bytes,
        registration_id: str,
    ) -> Register:
        """A request for contexts in their encoded form, signed by the first session key."""
        realm = group.signer.realm
        key = contexts.keys_of(contexts.read_context(member), contexts.SESSION_KEYS)[0]

        def sign(data: bytes) -> bytes:
            return self._access.keys.sign(holding.short_hash, key.public_key, data, key.spec)

        unsigned = Register(
            registration_id=registration_id,
            member_context=member,
            member_signature=sign(member_text(realm, member)),
            registration_context=registration,
            registration_signature=b"",
        )
        return Register(
            registration_id=registration_id,
            member_context=member,
            member_signature=unsigned.member_signature,
            registration_context=unsigned.registration_context,
            registration_signature=sign(registration_text(realm, unsigned)),
        )

    def _serial(self, holding: HoldingIdentity, realm: str) -> int:
        """The newest serial of a member that it knows; 0 before its first registration."""
        with self._access.database.read() as connection:
            view = view_of(connection, holding.short_hash)
            if view is None:
                return 0
            name = str(holding.x500_name)
            own = group_store.member_at(connection, realm, name, view.version)
        return 0 if own is None else own.serial

    def _refuse(self, node: VirtualNode, given: Context, registration_id: str, reason: str) -> None:
        _log.info("registration-invalid", registration=registration_id, reason=reason)
        now = self._access.clock.now_ms()
        row = refused_row(node.holding, registration_id, given, reason, now)
        self._access.database.transact(lambda c: c.execute(insert(NETWORK_REGISTRATION), row))

    def _send_again(self, request: NetworkRegistration) -> None:
        """Send an open request again: the MGM takes it, or tells the status that it has."""
        now, short_hash = self._access.clock.now_ms(), request.short_hash
        sealed: bytes | None = None
        try:
            node = self._access.node(short_hash)
            group = group_of_member(self._access, node)
            again = self._signed(
                node.holding,
                group,
                request.member_context,
                request.registration_context,
                request.registration_id,
            )
            info = registration_info(group.signer.realm)
            sealed = seal_to(group.ecdh_key, encode_message(again), info)
        except (NotFoundError, InvalidInputError) as exc:  # its key or its node is gone
            _log.warning(
                "registration-not-sent-again",
                registration=request.registration_id,
                reason=exc.message,
            )

        def send(connection: Connection) -> None:
            due = member_side.due_at(RegistrationStatus.PENDING_MANUAL_APPROVAL, now, times)
            if now - request.sent_at < times.expiry_ms:
                due = member_side.due_at(request.status, now, times)
            is_same = postpone_registration(connection, request, due)
            if is_same and sealed is not None:
                post_sealed(connection, node.holding, group.mgm, sealed, request.registration_id)

        times = self._access.times()
        self._access.database.transact(send)

    def _set(
        self,
        connection: Connection,
        request: NetworkRegistration,
        status: RegistrationStatus,
        now: EpochMs,
        reason: str | None = None,
    ) -> None:
        due = member_side.due_at(status, now, self._access.times())
        set_registration(connection, request, status, now=now, due_at=due, reason=reason)

    def _step(
        self,
        short_hash: ShortHash,
        registration_id: str,
        happened: MemberInput,
        reason: str | None,
    ) -> None:
        now = self._access.clock.now_ms()

        def step(connection: Connection) -> None:
            request: NetworkRegistration | None = find_registration(
                connection, short_hash, registration_id, MEMBER_SIDE
            )
            wanted = None if request is None else member_side.step(request.status, happened)
            if request is not None and wanted is not None:
                self._set(connection, request, wanted, now, reason)

        self._access.database.transact(step)


def _forget_upgraded(connection: Connection, short_hash: ShortHash) -> bool:
    """Whether the node was noted."""
    where = UPGRADED_NODE.c.short_hash == short_hash
    return connection.execute(delete(UPGRADED_NODE).where(where)).rowcount == 1
