"""The worker of `membership.in`: hands messages on, and does what is due."""

from host.domain.errors import HostError, InvalidInputError, NotFoundError
from host.domain.ids import HoldingIdentity, ShortHash
from host.domain.x500 import MemberX500Name
from host.network.membership.distributor import Distributor
from host.network.membership.member_registrations import MemberRegistrations
from host.network.membership.mgm_registrations import MgmRegistrations
from host.network.membership.network_access import NetworkAccess, group_of_mgm, mgms_here
from host.network.membership.sequencer import Sequencer
from host.network.membership.views import MemberViews
from host.network.peer_log import PeerLog
from host.network.values.errors import MembershipMessageInvalidError
from host.network.values.messages import (
    MembershipIn,
    MembershipMessage,
    MembershipOutcome,
    PackagePart,
    StatusUpdate,
    SyncAck,
    SyncRequest,
    VerificationRequest,
    VerificationResponse,
    read_message,
    read_record,
)


class NetworkWorker:
    """Handles records. Each may come again: every step looks at the state first. Thread-safe."""

    def __init__(self, access: NetworkAccess) -> None:
        self.members = MemberRegistrations(access)
        self.views = MemberViews(access)
        self.mgm = MgmRegistrations(access)
        self.sequencer = Sequencer(access)
        self.distributor = Distributor(access)
        self._access = access
        self._log = PeerLog(access.clock)

    def handle(self, value: bytes) -> None:
        """Handle one record; what cannot be read, or is for no node here, is dropped.

        Raises:
            StorageError: the database or the key store cannot be used; give the record again.
        """
        try:
            record = read_record(value)
            target = _holding(record.target, record.group_id)
        except MembershipMessageInvalidError as exc:
            self._log.warning(exc.code, reason=exc.message)
            return
        except HostError as exc:
            self._log.warning("membership-message-dropped", reason=exc.message)
            return
        if isinstance(record, MembershipOutcome):
            source = _holding(record.source, record.group_id)
            self.members.delivered(record, source)
        elif self._access.virtual_nodes.get(target.short_hash) is not None:
            self._arrived(record, target)

    def tick(self) -> int:
        """Do what is due: expiry, versions, packages, synchronisation; returns how much it was."""
        for mgm in mgms_here(self._access):
            self.sequence(mgm)
        done = self.members.expire() + self.mgm.expire() + self.views.sync()
        return done + self.distributor.distribute()

    def _arrived(self, record: MembershipIn, target: HoldingIdentity) -> None:
        mgm = target.short_hash
        if not self._access.works_here(mgm) and self._is_mgm(mgm):
            return  # members repeat what they send, until the MGM answers at its next place
        if record.source is None:
            self.mgm.receive(mgm, record.payload)
            return
        source = _holding(record.source, record.group_id)
        try:
            message = read_message(record.payload)
        except MembershipMessageInvalidError as exc:
            self._log.warning(exc.code, source=record.source, reason=exc.message)
            return
        try:
            self._dispatch(message, source, target)
        except (InvalidInputError, NotFoundError) as exc:
            # Such as what a member's MGM sends, sent to an MGM: anybody can do that, and often.
            self._log.warning(
                "membership-message-dropped", source=record.source, reason=exc.message
            )

    def _dispatch(
        self, message: MembershipMessage, source: HoldingIdentity, target: HoldingIdentity
    ) -> None:
        match message:
            case PackagePart():
                self.views.receive(target, source, message)
            case VerificationRequest():
                self.members.asked(target, source, message)
            case StatusUpdate():
                self.members.told(target, source, message)
            case VerificationResponse():
                self.mgm.answered(target.short_hash, source, message)
                self.sequence(target.short_hash)
            case SyncAck():
                self.distributor.acknowledged(target.short_hash, source, message)
            case SyncRequest():
                self.distributor.asked(target.short_hash, source, message)
            case _:
                self._log.warning(
                    "membership-message-dropped", reason="registration over a session"
                )

    def _is_mgm(self, short_hash: ShortHash) -> bool:
        with self._access.database.read() as connection:
            return group_of_mgm(connection, short_hash) is not None

    def sequence(self, mgm: ShortHash) -> None:
        """Approve what waits, and start the requests that waited for it."""
        if self.sequencer.run(mgm):
            self.mgm.advance_all(mgm)


def _holding(name: str, group_id: str) -> HoldingIdentity:
    return HoldingIdentity(x500_name=MemberX500Name.parse(name), group_id=group_id)
