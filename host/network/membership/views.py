"""What nodes see of their groups: versions of lists, moved on by the MGM's packages."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, bindparam, delete, func, select, update

from host.database.prepared import Prepared
from host.database.sql import Upsert
from host.domain.errors import InvalidInputError, NotFoundError
from host.domain.ids import EpochMs, HoldingIdentity, ShortHash
from host.domain.membership import MemberStatus
from host.network.membership import group_store
from host.network.membership.network_access import GroupOfMember, NetworkAccess, group_of_member
from host.network.membership.network_tables import MEMBER_VIEW, MGM_GROUP, PACKAGE_PART
from host.network.membership.outbox import post
from host.network.membership.package import (
    PARTS_MAX,
    GroupForkError,
    Opened,
    PackageRefusedError,
    check_member,
    from_parts,
    open_package,
)
from host.network.membership.parameters import keep_in_realm
from host.network.membership.times import NetworkTimes
from host.network.peer_log import PeerLog
from host.network.values.member import SignedMember
from host.network.values.messages import Package, PackagePart, SyncAck, SyncRequest

_log = structlog.get_logger("cordbox.membership")

ASK_AGAIN_MS = 10_000
_NEW = Prepared(Upsert(table=MEMBER_VIEW, keep=True))
_MOVE = Prepared(
    update(MEMBER_VIEW)
    .where(MEMBER_VIEW.c.short_hash == bindparam("node"))
    .values(
        version=bindparam("now_at"),
        own_digest=None,
        synced_at=bindparam("seen_at"),
        due_at=bindparam("next_at"),
    )
)
_BEHIND = Prepared(
    update(MEMBER_VIEW)
    .where(
        MEMBER_VIEW.c.short_hash == bindparam("node"),
        MEMBER_VIEW.c.version < bindparam("newer"),
        MEMBER_VIEW.c.due_at > bindparam("next_at"),
    )
    .values(due_at=bindparam("next_at"))
)
_PART = Upsert(table=PACKAGE_PART, replace=("count", "data"))
_VIEW = Prepared(select(MEMBER_VIEW).where(MEMBER_VIEW.c.short_hash == bindparam("node")))
_DUE = Prepared(
    select(MEMBER_VIEW.c.short_hash).where(
        MEMBER_VIEW.c.due_at <= bindparam("now"),
        MEMBER_VIEW.c.fork_at.is_(None),
        MEMBER_VIEW.c.short_hash.not_in(select(MGM_GROUP.c.short_hash)),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A node's view: with `own_digest` it is suspended, and sees itself and the MGM."""

    realm: str
    version: int
    own_digest: str | None
    is_forked: bool


def view_of(connection: Connection, short_hash: ShortHash) -> View | None:
    """The view of a node of a dynamic network that has registered."""
    row = _VIEW.first(connection, {"node": short_hash})
    if row is None:
        return None
    return View(
        realm=row.realm,
        version=row.version,
        own_digest=row.own_digest,
        is_forked=row.fork_at is not None,
    )


def begin_view(
    connection: Connection, short_hash: ShortHash, realm: str, now: EpochMs, times: NetworkTimes
) -> None:
    """Give a node that registers an empty view."""
    _NEW.run(
        connection,
        {
            "short_hash": short_hash,
            "realm": realm,
            "version": 0,
            "own_digest": None,
            "synced_at": now,
            "due_at": now + times.sync_ms,
            "fork_at": None,
        },
    )


def move_view(
    connection: Connection, short_hash: ShortHash, version: int, now: EpochMs, times: NetworkTimes
) -> None:
    """Show a node a newer version."""
    values = {"now_at": version, "seen_at": now, "next_at": now + times.sync_ms}
    _MOVE.run(connection, {"node": short_hash, **values})


def ask_now(connection: Connection, short_hash: ShortHash) -> None:
    """Have a node ask its MGM for the list at once."""
    _set(connection, short_hash, due_at=0)


class MemberViews:
    """Applies packages to the views of members, and asks for what is missing. Thread-safe."""

    def __init__(self, access: NetworkAccess) -> None:
        self._access = access
        self._log = PeerLog(access.clock)

    def receive(self, viewer: HoldingIdentity, source: HoldingIdentity, part: PackagePart) -> None:
        """Take a part of a package of the viewer's MGM, and apply the package when it is whole.

        A package that is refused changes nothing; the list is asked for again later.
        """
        node = self._access.node(viewer.short_hash)
        group = group_of_member(self._access, node)
        if source != group.mgm or not 0 <= part.index < part.count <= PARTS_MAX:
            self._log.warning("membership-package-dropped", viewer=viewer.short_hash)
            return
        parts = self._whole(viewer.short_hash, part)
        if parts is None:
            return
        try:
            self._apply(viewer, group, from_parts(parts))
        except GroupForkError as exc:
            # The MGM has signed it, so that nobody else can hide it among other lines.
            _log.error("group-fork", viewer=viewer.short_hash, reason=exc.message)
            self._set(viewer.short_hash, fork_at=self._access.clock.now_ms())
        except PackageRefusedError as exc:
            self._log.warning(exc.code, viewer=viewer.short_hash, reason=exc.message)
            self._set(viewer.short_hash, due_at=self._access.clock.now_ms() + ASK_AGAIN_MS)

    def behind(self, viewer: HoldingIdentity, version: int) -> None:
        """A peer told a version: if it is newer than the viewer's, ask the MGM soon.

        What a peer tells of the same version's head proves nothing: only a signed one is a fork.
        """
        due = self._access.clock.now_ms() + ASK_AGAIN_MS
        values = {"node": viewer.short_hash, "newer": version, "next_at": due}
        self._access.database.transact(lambda connection: _BEHIND.run(connection, values))

    def sync(self) -> int:
        """Ask the MGMs of the views whose time has come; returns how many are asked."""
        now = self._access.clock.now_ms()
        with self._access.database.read() as connection:
            due = [ShortHash(row.short_hash) for row in _DUE.all(connection, {"now": now})]
        for short_hash in due:
            self._ask(short_hash, now)
        return len(due)

    def _ask(self, short_hash: ShortHash, now: EpochMs) -> None:
        try:
            node = self._access.node(short_hash)
            group = group_of_member(self._access, node)
        except (NotFoundError, InvalidInputError) as exc:
            _log.warning("network-policy-unusable", node=short_hash, reason=exc.message)
            self._set(short_hash, due_at=now + self._access.times().sync_ms)
            return
        share = int.from_bytes(self._access.entropy.random_bytes(2)) / 65536
        message_id = self._access.new_id()

        def ask(connection: Connection) -> None:
            view = view_of(connection, short_hash)
            if view is None:
                return
            head = group_store.head_hash(connection, view.realm, view.version)
            request = SyncRequest(version=view.version, head_hash=head)
            post(connection, node.holding, group.mgm, request, message_id)
            due = now + int(self._access.times().sync_ms * (1 - 0.1 * share))
            _set(connection, short_hash, due_at=due)

        self._access.database.transact(ask)

    def _apply(self, viewer: HoldingIdentity, group: GroupOfMember, package: Package) -> None:
        if package.own is not None:
            self._suspend(viewer, group, package.own)
            return
        realm = group.signer.realm
        with self._access.database.read() as connection:
            view = view_of(connection, viewer.short_hash)
            if view is None or view.is_forked or view.realm != realm:
                return
            found = _found_version(connection, realm, package)
            have = group_store.list_state(connection, realm, 0 if found else view.version)
            digests = [] if found else [entry.digest for entry in package.entries]
            known = group_store.names_of(connection, realm, digests)
        opened = None
        if not found:
            keys = self._access.public_keys
            opened = open_package(package, have, group.signer, keys, known=known)
        before = view.version
        upto = max(found, before)
        self._access.database.transact(
            lambda connection: self._store(connection, viewer, group, (before, upto), opened)
        )

    def _store(
        self,
        connection: Connection,
        viewer: HoldingIdentity,
        group: GroupOfMember,
        versions: tuple[int, int],
        opened: Opened | None,
    ) -> None:
        """Move a view from one version to another that is here, or to the one that was opened."""
        before, version = versions
        realm, now = group.signer.realm, self._access.clock.now_ms()
        view = view_of(connection, viewer.short_hash)
        if view is None or view.version != before:
            return
        if opened is not None:
            for found in opened.members.values():
                group_store.keep_member(connection, realm, found)
            group_store.keep_versions(connection, realm, opened.heads, opened.entries)
            for signed in opened.parameters:
                keep_in_realm(connection, realm, signed)
            version = opened.state.version
        name = str(viewer.x500_name)
        own = group_store.member_at(connection, realm, name, version)
        if own is not None and own.status is MemberStatus.ACTIVE:
            move_view(connection, viewer.short_hash, version, now, self._access.times())
        else:
            _set(connection, viewer.short_hash, version=version, synced_at=now)
        self._acknowledge(connection, viewer, group, version, 0 if own is None else own.serial)

    def _suspend(self, viewer: HoldingIdentity, group: GroupOfMember, own: SignedMember) -> None:
        realm, name = group.signer.realm, str(viewer.x500_name)
        if check_member(own, group.signer, self._access.public_keys) != name:
            raise PackageRefusedError(f"information of {own.name} is not of {name}")

        def suspend(connection: Connection) -> None:
            view = view_of(connection, viewer.short_hash)
            if view is None or view.is_forked or view.realm != realm:
                return
            before = group_store.member_at(connection, realm, name, view.version)
            newer = before is None or own.serial > before.serial
            if newer and own.status is MemberStatus.SUSPENDED:
                group_store.keep_member(connection, realm, own)
                _set(connection, viewer.short_hash, own_digest=own.digest.hex())
            self._acknowledge(connection, viewer, group, view.version, own.serial)

        self._access.database.transact(suspend)

    def _acknowledge(
        self,
        connection: Connection,
        viewer: HoldingIdentity,
        group: GroupOfMember,
        version: int,
        serial: int,
    ) -> None:
        head = group_store.head_hash(connection, group.signer.realm, version)
        ack = SyncAck(version=version, head_hash=head, serial=serial)
        post(connection, viewer, group.mgm, ack, f"ack/{version}/{serial}")

    def _whole(self, short_hash: ShortHash, part: PackagePart) -> Sequence[PackagePart] | None:
        """All parts of a package, if this is the last one that was missing."""
        if part.count == 1:
            return [part]
        columns = PACKAGE_PART.c

        def take(connection: Connection) -> Sequence[PackagePart] | None:
            # A newer package supersedes one that never became whole.
            connection.execute(
                delete(PACKAGE_PART).where(
                    columns.short_hash == short_hash, columns.package_id != part.package_id
                )
            )
            row = {
                "short_hash": short_hash,
                "package_id": part.package_id,
                "position": part.index,
                "count": part.count,
                "data": part.data,
            }
            _PART.run(connection, row)
            mine = (columns.short_hash == short_hash, columns.package_id == part.package_id)
            present = connection.execute(
                select(func.count()).select_from(PACKAGE_PART).where(*mine)
            ).scalar_one()
            if present < part.count:
                return None
            rows = connection.execute(
                select(PACKAGE_PART).where(*mine).order_by(columns.position)
            ).all()
            return [
                PackagePart(
                    package_id=part.package_id,
                    index=r.position,
                    count=part.count,
                    data=bytes(r.data),
                )
                for r in rows
            ]

        # The parts stay until the next package: a crash before it is applied costs nothing.
        return self._access.database.transact(take)

    def _set(self, short_hash: ShortHash, **values: object) -> None:
        self._access.database.transact(lambda c: _set(c, short_hash, **values))


def _found_version(connection: Connection, realm: str, package: Package) -> int:
    """The version of a package whose last head is here: another node here has had it checked."""
    if not package.heads:
        return 0
    last = package.heads[-1]
    version = last.head.version
    return version if group_store.head_hash(connection, realm, version) == last.hash else 0


def _set(connection: Connection, short_hash: ShortHash, **values: object) -> None:
    connection.execute(
        update(MEMBER_VIEW).where(MEMBER_VIEW.c.short_hash == short_hash).values(**values)
    )
