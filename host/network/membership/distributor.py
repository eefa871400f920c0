"""Distribution of an MGM's list: one package in flight for each recipient, by state.

A recipient is sent what lies between the version that it acknowledged and the newest, so that
bursts of changes join. A suspended member is sent its own information alone.
"""

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Connection, bindparam, or_, select, update

from host.database.prepared import Prepared, PreparedRow
from host.database.sql import Upsert
from host.domain.ids import EpochMs, HoldingIdentity, ShortHash
from host.domain.membership import MemberStatus
from host.domain.x500 import MemberX500Name
from host.network.membership import group_store
from host.network.membership.network_access import (
    GroupOfMgm,
    NetworkAccess,
    group_of_mgm,
    mgms_here,
)
from host.network.membership.network_tables import MGM_RECIPIENT
from host.network.membership.outbox import post
from host.network.membership.package import to_parts
from host.network.peer_log import PeerLog
from host.network.values.member import SignedMember
from host.network.values.messages import (
    Entry,
    Package,
    PackagePart,
    SignedParameters,
    SyncAck,
    SyncRequest,
)

_AT_ONCE = 50
_C = MGM_RECIPIENT.c
_PUT = Prepared(Upsert(table=MGM_RECIPIENT, replace=("status", "serial", "due_at")))
_RECIPIENT = update(MGM_RECIPIENT).where(
    _C.short_hash == bindparam("mgm"), _C.name == bindparam("of_name")
)
_POSTPONE = Prepared(_RECIPIENT.values(due_at=bindparam("next_at")))
_HAS_VERSION = Prepared(_RECIPIENT.values(acked_version=bindparam("has"), due_at=0))
_HAS_SERIAL = Prepared(
    _RECIPIENT.values(acked_version=bindparam("has"), acked_serial=bindparam("of_serial"), due_at=0)
)


def note_recipient(connection: Connection, mgm: ShortHash, member: SignedMember) -> None:
    """Note that a member's information changed: a package is due to it now."""
    row = {
        "short_hash": mgm,
        "name": member.name,
        "status": member.status.value,
        "serial": member.serial,
        "acked_version": 0,
        "acked_serial": 0,
        "due_at": 0,
    }
    _PUT.run(connection, row)


class Distributor:
    """Sends packages. Thread-safe; two at once send some twice, which changes nothing."""

    def __init__(self, access: NetworkAccess) -> None:
        self._access = access
        self._log = PeerLog(access.clock)

    def distribute(self) -> int:
        """Send what is due of every MGM here; returns the number of packages."""
        return sum(self._distribute(mgm) for mgm in mgms_here(self._access))

    def acknowledged(self, mgm: ShortHash, source: HoldingIdentity, ack: SyncAck) -> None:
        """A recipient has applied a package."""
        self._has(mgm, source, ack.version, ack.head_hash, serial=ack.serial)

    def asked(self, mgm: ShortHash, source: HoldingIdentity, request: SyncRequest) -> None:
        """A recipient asks for what follows its version."""
        self._has(mgm, source, request.version, request.head_hash, serial=0)

    def _has(
        self, mgm: ShortHash, source: HoldingIdentity, version: int, head: bytes, *, serial: int
    ) -> None:
        def note(connection: Connection) -> None:
            group = group_of_mgm(connection, mgm)
            if group is None:
                return
            if group_store.head_hash(connection, group.signer.realm, version) != head:
                self._log.error("group-fork", member=str(source.x500_name), version=version)
                return
            # An ask tells what the member has; answers overtaken by a later one tell less.
            values = {"mgm": mgm, "of_name": str(source.x500_name), "has": version}
            if serial:
                _HAS_SERIAL.run(connection, {**values, "of_serial": serial})
            else:
                _HAS_VERSION.run(connection, values)

        self._access.database.transact(note)

    def _distribute(self, mgm: ShortHash) -> int:
        now = self._access.clock.now_ms()
        # Most often nothing is due: then nothing is written, and nobody is told of a change.
        with self._access.database.read() as connection:
            if _due(connection, mgm, now) is None:
                return 0

        def send(connection: Connection) -> int:
            due = _due(connection, mgm, now)
            if due is None:
                return 0
            group, newest, rows = due
            # Newcomers do not wait until packages for others are made.
            rows = [row for row in rows if row.acked_version == 0] or rows

            @cache
            def delta(after: int) -> Sequence[PackagePart]:
                package = package_after(connection, group, after, newest)
                return to_parts(package, f"{after}-{newest}")

            for row in rows:
                name = MemberX500Name.parse(row.name)
                target = HoldingIdentity(x500_name=name, group_id=group.holding.group_id)
                if row.status == MemberStatus.ACTIVE.value:
                    parts = delta(row.acked_version)
                else:
                    own = group_store.member_at(connection, group.signer.realm, row.name, newest)
                    package = Package(from_version=row.acked_version, own=own)
                    parts = to_parts(package, f"own-{row.serial}")
                for part in parts:
                    message_id = f"package/{part.package_id}/{part.index}"
                    post(connection, group.holding, target, part, message_id)
                next_at = now + self._access.times().package_ms
                _POSTPONE.run(connection, {"mgm": mgm, "of_name": row.name, "next_at": next_at})
            return len(rows)

        return self._access.database.transact(send)


_DUE = Prepared(
    select(MGM_RECIPIENT)
    .where(
        _C.short_hash == bindparam("mgm"),
        _C.due_at <= bindparam("now"),
        or_(
            (_C.status == MemberStatus.ACTIVE.value) & (_C.acked_version < bindparam("newest")),
            (_C.status != MemberStatus.ACTIVE.value) & (_C.acked_serial < _C.serial),
        ),
    )
    # Who has the least waits for the most: a newcomer would wait until all others have its name.
    .order_by(_C.acked_version)
    .limit(_AT_ONCE)
)


def _due(
    connection: Connection, mgm: ShortHash, now: EpochMs
) -> tuple[GroupOfMgm, int, Sequence[PreparedRow]] | None:
    """An MGM's group, its newest version, and whom something is due to; None if nobody."""
    group = group_of_mgm(connection, mgm)
    if group is None:
        return None
    newest = group_store.newest_version(connection, group.signer.realm)
    rows = _DUE.all(connection, {"mgm": mgm, "now": now, "newest": newest})
    return (group, newest, rows) if rows else None


def package_after(connection: Connection, group: GroupOfMgm, after: int, upto: int) -> Package:
    """What leads from one version to another."""
    realm = group.signer.realm
    changes = group_store.entries_between(connection, realm, after, upto)
    if after == 0:
        changes = sorted({name: (v, name, d) for v, name, d in changes}.values())
    members = group_store.members_of(connection, realm, [digest for _, _, digest in changes])
    parameters = group_store.parameters_at(connection, realm, upto)
    return Package(
        from_version=after,
        heads=tuple(group_store.heads_between(connection, realm, after or upto - 1, upto)),
        entries=tuple(Entry(version=v, name=name, digest=digest) for v, name, digest in changes),
        members=tuple(members.values()),
        parameters=()
        if parameters is None
        else (
            SignedParameters(
                content=parameters.content, signature=parameters.signature, at=parameters.at
            ),
        ),
    )
