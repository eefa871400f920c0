"""Registrations at an MGM, from the encrypted request to the decision."""

from dataclasses import replace
from functools import partial

from sqlalchemy import Connection, func, insert, select, update

from host.domain.errors import HostError, InvalidInputError
from host.domain.ids import EpochMs, HoldingIdentity, ShortHash
from host.domain.x500 import MemberX500Name
from host.network.membership import group_store, mgm_side
from host.network.membership.approval import is_manual
from host.network.membership.checks import GroupFacts, registration_fault, token_fault
from host.network.membership.diff import changed_entries
from host.network.membership.mgm_side import MgmInput
from host.network.membership.network_access import GroupOfMgm, NetworkAccess, group_of_mgm
from host.network.membership.network_registrations import (
    COLUMNS,
    MGM_SIDE,
    NetworkRegistration,
    due_registrations,
    find_registration,
    registrations_of_status,
    registrations_where,
    set_registration,
    touch_registration,
)
from host.network.membership.network_tables import (
    MGM_RULE,
    MGM_SUBJECT,
    MGM_TOKEN,
    NETWORK_REGISTRATION,
)
from host.network.membership.outbox import post
from host.network.membership.registration import RegistrationStatus
from host.network.membership.sequencer import tell
from host.network.membership.tokens import find_token
from host.network.peer_log import PeerLog
from host.network.values import contexts
from host.network.values.contexts import all_keys
from host.network.values.member import member_text
from host.network.values.messages import (
    Register,
    VerificationRequest,
    VerificationResponse,
    read_message,
    registration_text,
)
from host.network.values.signed import registration_info
from host.ports.mgm import RuleKind, TokenStatus

TELL_AGAIN_MS = 60_000
_OPEN = tuple(status.value for status in mgm_side.OPEN)


class MgmRegistrations:
    """Works on the requests that MGMs here have received. Thread-safe."""

    def __init__(self, access: NetworkAccess) -> None:
        self._access = access
        self._log = PeerLog(access.clock)

    def receive(self, mgm: ShortHash, sealed: bytes) -> None:
        """Take an encrypted request; what does not open or is not signed is dropped."""
        with self._access.database.read() as connection:
            group = group_of_mgm(connection, mgm)
        if group is None:
            return
        try:
            request, row = self._open(mgm, group, sealed)
        except (HostError, ValueError) as exc:
            self._log.warning("registration-dropped", mgm=mgm, reason=str(exc)[:200])
            return
        now = self._access.clock.now_ms()

        def store(connection: Connection) -> None:
            known = find_registration(connection, mgm, request.registration_id, MGM_SIDE)
            if known is not None:
                self._tell_again(connection, group, known, now)
                return
            if not _has_room(connection, mgm, group, str(row["name"])):
                self._log.warning("registration-dropped", mgm=mgm, reason="too many open requests")
                return
            status = RegistrationStatus.RECEIVED_BY_MGM
            due = mgm_side.due_at(status, now, self._access.times())
            connection.execute(
                insert(NETWORK_REGISTRATION),
                {**row, "sent_at": now, "updated_at": now, "due_at": due},
            )
            self._advance(connection, mgm, group, str(row["name"]))

        self._access.database.transact(store)

    def answered(
        self, mgm: ShortHash, source: HoldingIdentity, answer: VerificationResponse
    ) -> None:
        """A member has answered over a session: its key and its endpoint are proved."""

        def judge(connection: Connection) -> None:
            group = group_of_mgm(connection, mgm)
            request = find_registration(connection, mgm, answer.registration_id, MGM_SIDE)
            if group is None or request is None or request.name != str(source.x500_name):
                return
            if request.status is not RegistrationStatus.PENDING_MEMBER_VERIFICATION:
                return
            if not answer.is_ours:
                reason = "The member does not know the registration."
                self._decline(connection, group, request, reason)
                return
            self._judge(connection, mgm, group, request)

        self._access.database.transact(judge)

    def decline(
        self, mgm: ShortHash, registration_id: str, reason: str, *, is_forced: bool = False
    ) -> bool:
        """Decline a request for an operator; False if it is in another state.

        Args:
            mgm: the MGM.
            registration_id: an existing request of it.
            reason: for the member.
            is_forced: any open request, not only one that waits for approval by hand.
        """

        def decline(connection: Connection) -> bool:
            group = group_of_mgm(connection, mgm)
            request = find_registration(connection, mgm, registration_id, MGM_SIDE)
            manual = RegistrationStatus.PENDING_MANUAL_APPROVAL
            if group is None or request is None or not (is_forced or request.status is manual):
                return False
            return self._decline(connection, group, request, reason)

        return self._access.database.transact(decline)

    def expire(self) -> int:
        """Decline the requests whose time is over; returns their number."""
        now = self._access.clock.now_ms()
        with self._access.database.read() as connection:
            found = due_registrations(connection, MGM_SIDE, now)
        due = [each for each in found if self._access.works_here(each.short_hash)]

        def decline(connection: Connection, request: NetworkRegistration) -> None:
            group = group_of_mgm(connection, request.short_hash)
            if group is not None:
                reason = f"No progress in time while {request.status}."
                self._decline(connection, group, request, reason)

        for request in due:
            self._access.database.transact(partial(decline, request=request))
        return len(due)

    def advance(self, connection: Connection, mgm: ShortHash, name: str) -> None:
        """Start the oldest request of a name, if no other one is open."""
        group = group_of_mgm(connection, mgm)
        if group is not None:
            self._advance(connection, mgm, group, name)

    def advance_all(self, mgm: ShortHash) -> None:
        """Start the requests that waited for others of their names."""

        def advance(connection: Connection) -> None:
            received = registrations_of_status(connection, mgm, RegistrationStatus.RECEIVED_BY_MGM)
            for name in dict.fromkeys(request.name for request in received):
                self.advance(connection, mgm, name)

        self._access.database.transact(advance)

    def _open(
        self, mgm: ShortHash, group: GroupOfMgm, sealed: bytes
    ) -> tuple[Register, dict[str, object]]:
        realm, keys = group.signer.realm, self._access.public_keys
        opened = self._access.keys.open_sealed(
            mgm, group.ecdh_key, sealed, registration_info(realm)
        )
        request = read_message(opened)
        if not isinstance(request, Register) or not 0 < len(request.registration_id) <= 36:
            raise InvalidInputError("what was encrypted is no registration")
        member = contexts.read_context(request.member_context)
        registration = contexts.read_context(request.registration_context)
        name = MemberX500Name.parse(member.get(contexts.NAME, ""))
        (key, *_) = contexts.keys_of(member, contexts.SESSION_KEYS)
        spec = key.spec or keys.default_spec(key.public_key)
        for text, signature in (
            (member_text(realm, request.member_context), request.member_signature),
            (registration_text(realm, request), request.registration_signature),
        ):
            if not keys.verify(key.public_key, text, signature, spec):
                raise InvalidInputError("a registration is not signed by its session key")
        if member[contexts.NAME] != str(name):
            raise InvalidInputError("a registration's name is not in canonical form")
        for each in all_keys(member):
            if keys.digest(each.public_key) != each.digest:
                raise InvalidInputError("a registration names a key by another key's hash")
        return request, {
            "short_hash": mgm,
            "registration_id": request.registration_id,
            "side": MGM_SIDE,
            "name": str(name),
            "status": RegistrationStatus.RECEIVED_BY_MGM.value,
            "serial": contexts.serial_of(registration),
            "member_context": request.member_context,
            "member_signature": request.member_signature,
            "registration_context": request.registration_context,
            "session_key": key.digest,
        }

    def _advance(
        self, connection: Connection, mgm: ShortHash, group: GroupOfMgm, name: str
    ) -> None:
        found = registrations_where(
            connection,
            COLUMNS.short_hash == mgm,
            COLUMNS.side == MGM_SIDE,
            COLUMNS.name == name,
            COLUMNS.status.in_(_OPEN),
        )
        if not found or any(request.status in mgm_side.STARTED for request in found):
            return
        request = self._step(connection, found[0], MgmInput.FIRST_OF_NAME)
        facts = self._facts(connection, mgm, group, request)
        fault = registration_fault(request.member, request.registration, facts)
        if fault is not None:
            self._decline(connection, group, request, fault)
            return
        self._step(connection, request, MgmInput.CHECKS_HOLD)
        target = HoldingIdentity(
            x500_name=MemberX500Name.parse(name), group_id=group.holding.group_id
        )
        question = VerificationRequest(registration_id=request.registration_id)
        post(connection, group.holding, target, question, f"{request.registration_id}/verify")

    def _judge(
        self,
        connection: Connection,
        mgm: ShortHash,
        group: GroupOfMgm,
        request: NetworkRegistration,
    ) -> None:
        now, kind = self._access.clock.now_ms(), RuleKind.STANDARD
        token_id = request.registration.get(contexts.AUTH_TOKEN)
        if token_id is not None:
            kind = RuleKind.PREAUTH
            fault = token_fault(find_token(connection, mgm, token_id), request.name, now)
            if fault is not None:
                self._decline(connection, group, request, fault)
                return
            connection.execute(
                update(MGM_TOKEN)
                .where(MGM_TOKEN.c.short_hash == mgm, MGM_TOKEN.c.token_id == token_id)
                .values(status=TokenStatus.CONSUMED.value)
            )
        rules = select(MGM_RULE.c.regex).where(
            MGM_RULE.c.short_hash == mgm, MGM_RULE.c.kind == kind.value
        )
        expressions = [row.regex for row in connection.execute(rules)]
        version = group_store.newest_version(connection, group.signer.realm)
        before = group_store.member_at(connection, group.signer.realm, request.name, version)
        changed = changed_entries({} if before is None else before.member, request.member)
        # Whoever has a node's file can claim its place: its MGM's operators, or a token, decide.
        is_claim = token_id is None and contexts.LOCATION_EPOCH in changed and before is not None
        happened = (
            MgmInput.VERIFIED_MANUAL
            if is_claim or is_manual(expressions, changed)
            else MgmInput.VERIFIED_AUTO
        )
        judged = self._step(connection, request, happened)
        if happened is MgmInput.VERIFIED_MANUAL:
            self._tell(connection, group, judged, judged.status, None)

    def _facts(
        self,
        connection: Connection,
        mgm: ShortHash,
        group: GroupOfMgm,
        request: NetworkRegistration,
    ) -> GroupFacts:
        realm = group.signer.realm
        version = group_store.newest_version(connection, realm)
        newest = group_store.member_at(connection, realm, request.name, version)
        parameters = group_store.parameters_at(connection, realm, version)
        notaries = () if parameters is None else parameters.parameters.notaries
        subjects = select(MGM_SUBJECT.c.subject).where(MGM_SUBJECT.c.short_hash == mgm)
        token_id = request.registration.get(contexts.AUTH_TOKEN)
        return GroupFacts(
            group_id=group.holding.group_id,
            mgm=str(group.holding.x500_name),
            newest=None if newest is None else newest.member,
            newest_serial=0 if newest is None else newest.serial,
            members=frozenset(group_store.list_state(connection, realm, version).members),
            services={str(n.name): n.public_key for n in notaries},
            token=None if token_id is None else find_token(connection, mgm, token_id),
            keys_of_others=frozenset(
                key.digest
                for key in contexts.keys_of(request.member, contexts.SESSION_KEYS)
                if {*group_store.names_of_key(connection, realm, "session", key.digest)}
                - {request.name}
            ),
            subjects=frozenset(row.subject for row in connection.execute(subjects))
            if group.is_mutual
            else None,
            now=self._access.clock.now_ms(),
        )

    def _step(
        self, connection: Connection, request: NetworkRegistration, happened: MgmInput
    ) -> NetworkRegistration:
        status = mgm_side.step(request.status, happened)
        now = self._access.clock.now_ms()
        if status is None or not set_registration(
            connection,
            request,
            status,
            now=now,
            due_at=mgm_side.due_at(status, now, self._access.times()),
        ):
            raise AssertionError(f"{request.status} knows no {happened}")
        return replace(request, status=status)

    def _decline(
        self, connection: Connection, group: GroupOfMgm, request: NetworkRegistration, reason: str
    ) -> bool:
        declined = RegistrationStatus.DECLINED
        now: EpochMs = self._access.clock.now_ms()
        if mgm_side.step(request.status, MgmInput.DECLINED) is None or not set_registration(
            connection, request, declined, now=now, reason=reason, user_reason=reason
        ):
            return False
        self._tell(connection, group, request, declined, reason)
        self._advance(connection, request.short_hash, group, request.name)
        return True

    def _tell_again(
        self, connection: Connection, group: GroupOfMgm, request: NetworkRegistration, now: EpochMs
    ) -> None:
        """Tell the status of a request that came again: its member may not have got it.

        At most once in `TELL_AGAIN_MS`: who recorded a request may send it as often as it likes.
        The time of its last change is moved, so that an applicant that was declined can be told.
        """
        if now - request.updated_at < TELL_AGAIN_MS or not mgm_side.is_told(request.status):
            return
        touch_registration(connection, request, now)
        self._tell(connection, group, request, request.status, request.user_reason)

    def _tell(
        self,
        connection: Connection,
        group: GroupOfMgm,
        request: NetworkRegistration,
        status: RegistrationStatus,
        reason: str | None,
    ) -> None:
        decline_ms = self._access.times().decline_ms
        tell(connection, group.holding, request, status, reason, decline_ms=decline_ms)


def _has_room(connection: Connection, mgm: ShortHash, group: GroupOfMgm, name: str) -> bool:
    """Whether one more request may be open: of a name, and of names that are no members."""
    mine = (
        COLUMNS.short_hash == mgm,
        COLUMNS.side == MGM_SIDE,
        COLUMNS.status.in_(_OPEN),
    )
    count = select(func.count()).select_from(NETWORK_REGISTRATION)
    of_name = connection.execute(count.where(*mine, COLUMNS.name == name)).scalar_one()
    if of_name > mgm_side.WAITING_MAX:
        return False
    realm = group.signer.realm
    version = group_store.newest_version(connection, realm)
    if group_store.member_at(connection, realm, name, version) is not None:
        return True
    total: int = connection.execute(count.where(*mine)).scalar_one()
    return total < mgm_side.OPEN_STRANGERS_MAX
