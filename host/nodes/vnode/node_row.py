"""The row of a node that moves: its CPI, what it may do, and the time that passed for its flows."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import delete, insert

from cpi.package.group_policy import CREATE_ID
from host.domain.errors import NotFoundError
from host.domain.ids import Checksum, EpochMs, HoldingIdentity
from host.domain.vnode import Pauses, VirtualNode
from host.nodes.vnode.registry import NodeRegistry, values_of
from host.nodes.vnode.tables import AUDIT_END, VAULT_NOTE, VIRTUAL_NODE
from host.ports.database import SqlDatabase
from host.ports.directory import Packages
from host.ports.live import Live
from host.ports.node_contents import NodeItemInvalidError

_ITEM_BYTES_MAX = 64 * 1024
_GRANTED_MAX = 100
_TIME_MAX = 10**15 - 1
"""Lists of nodes have 15 digits for the time of creation."""
_TIME = Meta(ge=-_TIME_MAX, le=_TIME_MAX)


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`shift_ms` is that of the source's store, in whose flow time the pauses are."""

    cpi: str
    granted: Annotated[tuple[str, ...], Meta(max_length=_GRANTED_MAX)]
    created_at: Annotated[EpochMs, Meta(ge=0, le=_TIME_MAX)]
    paused_at: Annotated[EpochMs, _TIME]
    pause_ended_at: Annotated[EpochMs, _TIME]
    paused_ms: Annotated[int, _TIME]
    shift_ms: Annotated[int, _TIME]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Row)


class NodeRow:
    """`NodeContents` of the row. It arrives paused.

    Args:
        database: the cluster's.
        nodes: the register.
        packages: the stored CPIs; that of the file was stored before.
        allowed: the most that this host grants.
        shift_ms: of this cluster's flow store (`host.flow.core.shift`).
    """

    name = "node"
    version = 1

    def __init__(
        self,
        database: SqlDatabase,
        nodes: NodeRegistry,
        *,
        packages: Packages,
        allowed: Live[Collection[str]],
        shift_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._nodes = nodes
        self._packages = packages
        self._allowed = allowed
        self._shift_ms = shift_ms

    def dump(self, holding: HoldingIdentity) -> Iterator[bytes]:
        node = self._nodes.get(holding.short_hash)
        if node is None or node.pauses.since is None:
            raise NotFoundError(
                f"Virtual node {holding.short_hash} is not here, or not paused.",
                kind="virtual node",
                named=holding.short_hash,
            )
        yield _encoder.encode(
            _Row(
                cpi=node.cpi_checksum,
                granted=node.granted_capabilities,
                created_at=node.created_at,
                paused_at=node.pauses.since,
                pause_ended_at=node.pauses.ended_at,
                paused_ms=node.pauses.total_ms,
                shift_ms=self._shift_ms(),
            )
        )

    def load(self, holding: HoldingIdentity, items: Iterable[bytes], version: int) -> None:
        del version  # there is one
        found = [_read(item) for item in items]
        if len(found) != 1:
            raise NodeItemInvalidError(f"the file has {len(found)} rows of its node, expected one")
        row, allowed = found[0], self._allowed.get()
        self._check_cpi(holding, row.cpi)
        # Its own time stands still from the pause at its source to its end here, on both clocks.
        later = row.shift_ms - self._shift_ms()
        node = VirtualNode(
            holding=holding,
            cpi_checksum=Checksum(row.cpi),
            granted_capabilities=tuple(sorted(set(row.granted).intersection(allowed))),
            pauses=Pauses(
                since=EpochMs(row.paused_at + later),
                ended_at=row.pause_ended_at,
                total_ms=row.paused_ms + later,
            ),
            created_at=row.created_at,
        )
        self._database.transact(lambda c: c.execute(insert(VIRTUAL_NODE), values_of(node)))

    def _check_cpi(self, holding: HoldingIdentity, checksum: str) -> None:
        """Refuse code of another group: it would run, and be its members' network, for this one."""
        cpi = self._packages.get(Checksum(checksum))
        if cpi is None or cpi.group_id not in {holding.group_id, CREATE_ID}:
            raise NodeItemInvalidError(
                f"CPI {checksum[:80]} of the file is not here, or is not of group"
                f" {holding.group_id}"
            )

    def erase(self, holding: HoldingIdentity) -> None:
        node = holding.short_hash
        self._database.transact(
            lambda c: [
                c.execute(delete(table).where(table.c.short_hash == node))
                for table in (AUDIT_END, VAULT_NOTE, VIRTUAL_NODE)
            ]
        )


def _read(item: bytes) -> _Row:
    if len(item) > _ITEM_BYTES_MAX:
        raise NodeItemInvalidError(f"the row of the node has {len(item)} bytes")
    try:
        return _decoder.decode(item)
    except (ValueError, RecursionError) as exc:
        raise NodeItemInvalidError("the row of the node is malformed") from exc
