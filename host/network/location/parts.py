"""What moves of nodes work with."""

import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from host.domain.errors import NotFoundError
from host.domain.ids import ShortHash
from host.domain.vnode import VirtualNode
from host.network.location.claims import PlaceClaims
from host.network.location.export import Exporter
from host.network.location.import_ import Importer
from host.network.location.places import NodePlaces
from host.network.location.transfers import Transfers
from host.ports.clock import Clock, Entropy
from host.ports.database import SqlDatabase
from host.ports.keys import KeyStore
from host.ports.node_contents import NodeContents


class MovableNodes(Protocol):
    """The register of nodes, as moves use it."""

    def get(self, short_hash: ShortHash, /) -> VirtualNode | None: ...

    def all(self) -> Sequence[VirtualNode]: ...

    def set_state(self, short_hash: ShortHash, state: str, /) -> VirtualNode: ...

    def leaving(self, short_hash: ShortHash, /) -> Callable[[Connection], None]:
        """What pauses a node in the transaction in which it leaves.

        Raises:
            HostError: an operation on it has not ended.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveParts:
    """What moves work with.

    Attributes:
        folder: of this host, where files are written and received.
        identity: this cluster's private key for files that are sent to it (age).
        used_bytes: of a node's databases.
        is_quiet: whether no record of a node's flows is being worked on.
        wait: waits a tenth of a second.
        background: runs a function on another thread.
        erased: what is deleted of a node that has moved.
    """

    database: SqlDatabase
    places: NodePlaces
    transfers: Transfers
    claims: PlaceClaims
    nodes: MovableNodes
    keys: KeyStore
    exporter: Exporter
    importer: Importer
    folder: Path
    identity: Callable[[], str]
    erased: Sequence[NodeContents]
    used_bytes: Callable[[ShortHash], int]
    is_quiet: Callable[[ShortHash], bool]
    wait: Callable[[], None]
    clock: Clock
    entropy: Entropy
    background: Callable[[Callable[[], None]], object]

    def node(self, short_hash: ShortHash) -> VirtualNode:
        """A node of this cluster.

        Raises:
            NotFoundError: there is none.
        """
        found = self.nodes.get(short_hash)
        if found is None:
            raise NotFoundError(
                f"Virtual node {short_hash} not found.", kind="virtual node", named=short_hash
            )
        return found

    def let_work(self, short_hash: ShortHash) -> None:
        """Let a node work that is here again: it was paused when it left. May be repeated."""
        if self.claims.is_dynamic(short_hash):
            self.claims.ask_for_list(short_hash)
        self.nodes.set_state(short_hash, "ACTIVE")
        self.delete_files(short_hash)
        self.places.note_over(short_hash)

    def delete_files(self, short_hash: ShortHash) -> None:
        """Delete what this host has of a node's transfers: none of them is used any more."""
        for request_id in self.transfers.of_node(short_hash):
            self.delete_file(request_id)

    def delete_file(self, request_id: str) -> None:
        """Delete what this host has of a transfer."""
        shutil.rmtree(self.folder / request_id, ignore_errors=True)

    def new_id(self) -> str:
        return str(uuid.UUID(bytes=self.entropy.random_bytes(16), version=4))
