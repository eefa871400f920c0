"""The member list of a moving node: it brings what its MGM has signed, and nothing else counts.

A member brings its newest version, an MGM all of them: members ask it for what follows theirs.
"""

from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import Connection, delete

from host.domain.ids import HoldingIdentity
from host.network.membership import group_store
from host.network.membership.network_access import NetworkAccess, group_of_mgm, group_of_node
from host.network.membership.network_tables import MEMBER_VIEW, PACKAGE_PART
from host.network.membership.package import (
    ListState,
    Opened,
    PackageRefusedError,
    open_package,
)
from host.network.membership.parameters import keep_in_realm, parameters_in_realm
from host.network.membership.views import begin_view, move_view, view_of
from host.network.values.messages import Entry, Package, SignedParameters
from host.ports.node_contents import NodeItemInvalidError

_PARAMETERS_MAX = 10_000
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Package)


class NodeList:
    """`NodeContents` of the list of a dynamic network; a static one has none."""

    name = "list"
    version = 1

    def __init__(self, access: NetworkAccess) -> None:
        self._access = access

    def dump(self, holding: HoldingIdentity) -> Iterator[bytes]:
        with self._access.database.read() as connection:
            view = view_of(connection, holding.short_hash)
            if view is None or view.version == 0:
                return
            realm, version = view.realm, view.version
            is_mgm = group_of_mgm(connection, holding.short_hash) is not None
            changes = group_store.entries_between(connection, realm, 0, version)
            if not is_mgm:
                changes = sorted({name: (v, name, d) for v, name, d in changes}.values())
            members = group_store.members_of(connection, realm, [d for _, _, d in changes])
            first = 0 if is_mgm else version - 1
            heads = group_store.heads_between(connection, realm, first, version)
            history = parameters_in_realm(connection, realm, None, _PARAMETERS_MAX)
        yield _encoder.encode(
            Package(
                from_version=0,
                heads=tuple(heads),
                entries=tuple(Entry(version=v, name=n, digest=d) for v, n, d in changes),
                members=tuple(members.values()),
                parameters=tuple(
                    SignedParameters(content=e.content, signature=e.signature, at=e.at)
                    for e in history
                ),
            )
        )

    def load(self, holding: HoldingIdentity, items: Iterable[bytes], version: int) -> None:
        del version  # there is one
        node = self._access.node(holding.short_hash)
        for item in items:
            group = group_of_node(self._access, node)
            if group is None:
                raise NodeItemInvalidError("the file has a list of members, its network has none")
            empty = ListState(members={})
            try:
                package = _decoder.decode(item)
                keys = self._access.public_keys
                opened = open_package(package, empty, group.signer, keys, known={})
            except (ValueError, RecursionError, PackageRefusedError) as exc:
                raise NodeItemInvalidError(f"the list of members cannot be used: {exc}") from exc
            if opened is not None:
                self._store(holding, group.signer.realm, opened)

    def _store(self, holding: HoldingIdentity, realm: str, opened: Opened) -> None:
        now, times = self._access.clock.now_ms(), self._access.times()

        def store(connection: Connection) -> None:
            for member in opened.members.values():
                group_store.keep_member(connection, realm, member)
            group_store.keep_versions(connection, realm, opened.heads, opened.entries)
            for signed in opened.parameters:
                keep_in_realm(connection, realm, signed)
            begin_view(connection, holding.short_hash, realm, now, times)
            move_view(connection, holding.short_hash, opened.state.version, now, times)

        self._access.database.transact(store)

    def erase(self, holding: HoldingIdentity) -> None:
        def work(connection: Connection) -> None:
            for table in (MEMBER_VIEW, PACKAGE_PART):
                connection.execute(delete(table).where(table.c.short_hash == holding.short_hash))

        self._access.database.transact(work)
