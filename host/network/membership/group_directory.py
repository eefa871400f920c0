"""The group as its members see it, for members of static and of dynamic networks: `Members`."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, func, or_, select

from host.domain.group_parameters import SignedGroupParameters
from host.domain.ids import HoldingIdentity
from host.domain.membership import MemberInfo, MemberStatus
from host.domain.paging import LIMIT_DEFAULT
from host.domain.x500 import MemberX500Name
from host.network.membership import group_store
from host.network.membership.directory import (
    MemberDirectory,
    check_group,
    checked_parameters,
    unknown_parameters,
)
from host.network.membership.network_tables import GROUP_LOG
from host.network.membership.parameters import keep_in_realm, parameters_in_realm
from host.network.membership.viewers import Viewer, Viewers
from host.ports.database import SqlDatabase
from host.ports.public_keys import PublicKeys


class GroupDirectory:
    """The `Members` port, for nodes of dynamic networks and, by `MemberDirectory`, of static ones.

    In a dynamic network each node has a version of the list: a member sees active ones, and itself
    whatever its status; the MGM sees all.
    """

    def __init__(self, database: SqlDatabase, viewers: Viewers, *, public_keys: PublicKeys) -> None:
        self._static = MemberDirectory(database, public_keys=public_keys)
        self._database = database
        self._viewers = viewers
        self._public_keys = public_keys

    def lookup(self, viewer: HoldingIdentity, name: MemberX500Name) -> MemberInfo | None:
        found = self._viewers.of(viewer)
        if found is None:
            return self._static.lookup(viewer, name)
        with self._database.read() as connection:
            return _visible(connection, found, str(name))

    def lookup_key(self, viewer: HoldingIdentity, ledger_key: str) -> MemberInfo | None:
        found = self._viewers.of(viewer)
        if found is None:
            return self._static.lookup_key(viewer, ledger_key)
        canonical = self._public_keys.canonical(ledger_key)
        digest = self._public_keys.digest(canonical)
        realm = found.group.signer.realm
        with self._database.read() as connection:
            for name in group_store.names_of_key(connection, realm, "ledger", digest):
                member = _visible(connection, found, name)
                if member is not None and canonical in member.ledger_keys:
                    return member
        return None

    def active(
        self, viewer: HoldingIdentity, *, after: str = "", limit: int = LIMIT_DEFAULT
    ) -> Sequence[MemberInfo]:
        return self.listed(viewer, (MemberStatus.ACTIVE,), after=after, limit=limit)

    def listed(
        self,
        viewer: HoldingIdentity,
        statuses: Collection[MemberStatus],
        *,
        after: str = "",
        limit: int = LIMIT_DEFAULT,
    ) -> Sequence[MemberInfo]:
        found = self._viewers.of(viewer)
        if found is None:
            return self._static.listed(viewer, statuses, after=after, limit=limit)
        with self._database.read() as connection:
            names = (
                sorted({found.name, str(found.group.mgm.x500_name)})
                if found.is_restricted
                else _names(connection, found, statuses, after, limit)
            )
            members = [_visible(connection, found, name) for name in names if name > after]
        wanted = [each for each in members if each is not None and each.status in statuses]
        return wanted[:limit]

    def parameters(
        self,
        viewer: HoldingIdentity,
        hash: str | None = None,  # noqa: A002  # the field's word
    ) -> SignedGroupParameters:
        found = self._viewers.of(viewer)
        if found is None:
            return self._static.parameters(viewer, hash)
        realm = found.group.signer.realm
        with self._database.read() as connection:
            signed = (
                group_store.parameters_at(connection, realm, found.version)
                if hash is None
                else group_store.parameters_of(connection, realm, hash)
            )
        if signed is None:
            raise unknown_parameters(viewer.group_id, hash)
        return signed

    def parameters_history(
        self, viewer: HoldingIdentity, *, before: int | None = None, limit: int = LIMIT_DEFAULT
    ) -> Sequence[SignedGroupParameters]:
        found = self._viewers.of(viewer)
        if found is None:
            return self._static.parameters_history(viewer, before=before, limit=limit)
        realm = found.group.signer.realm
        with self._database.read() as connection:
            newest = group_store.parameters_at(connection, realm, found.version)
            if newest is None:
                return ()
            # Others here may have newer lists than this viewer.
            end = newest.parameters.epoch + 1
            before = end if before is None else min(before, end)
            return parameters_in_realm(connection, realm, before, limit)

    def keep_parameters(self, viewer: HoldingIdentity, signed: SignedGroupParameters) -> None:
        found = self._viewers.of(viewer)
        if found is None:
            self._static.keep_parameters(viewer, signed)
            return
        check_group(viewer, signed)
        signer = found.group.signer
        checked = checked_parameters(signed, signer.mgm_key, self._public_keys)
        self._database.transact(lambda c: keep_in_realm(c, signer.realm, checked))


def _visible(connection: Connection, viewer: Viewer, name: str) -> MemberInfo | None:
    found = viewer.member(connection, name)
    if found is None:
        return None
    is_seen = found.status is MemberStatus.ACTIVE or name == viewer.name or viewer.group.is_mgm
    return found.info() if is_seen else None


def _names(
    connection: Connection,
    viewer: Viewer,
    statuses: Collection[MemberStatus],
    after: str,
    limit: int,
) -> Sequence[str]:
    """Members whose newest information, as a viewer has it, has one of some statuses."""
    log, later = GROUP_LOG.c, GROUP_LOG.alias().c
    realm, upto = viewer.group.signer.realm, viewer.version
    newest = (
        select(func.max(later.version))
        .where(later.realm == realm, later.name == log.name, later.version <= upto)
        .scalar_subquery()
    )
    conditions = [
        log.realm == realm,
        log.name > after,
        log.status.in_([status.value for status in statuses]),
        log.version == newest,
    ]
    if not viewer.group.is_mgm:
        conditions.append(or_(log.status == MemberStatus.ACTIVE.value, log.name == viewer.name))
    query = select(log.name).where(*conditions).order_by(log.name).limit(limit)
    return [row.name for row in connection.execute(query)]
