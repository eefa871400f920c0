"""What is undone of moves that end early: a node works on at its source, or is erased again."""

from collections.abc import Sequence

from sqlalchemy import Connection

from host.domain.ids import ShortHash
from host.network.location.machine import Happened
from host.network.location.parts import MoveParts
from host.network.location.places import location_of
from host.ports.locations import Place


def take_back(parts: MoveParts, nodes: Sequence[ShortHash], reason: str) -> bool:
    """Let exported nodes work here again, unless all their files were written.

    Nobody can have had such a file: it is given out once it is whole. Of a static group all files
    are needed, for its nodes work elsewhere together or not at all.

    Args:
        parts: of moves.
        nodes: one of a network with an MGM, or all of a static group.
        reason: what is told of exports that have not ended.

    Returns:
        Whether they were taken back.
    """

    def work(connection: Connection) -> bool:
        found = [location_of(connection, node) for node in nodes]
        requests = [
            each.transfer for each in found if each is not None and each.place is Place.EXPORTED
        ]
        if len(requests) != len(nodes) or not parts.transfers.lack_files(connection, requests):
            return False
        parts.transfers.end(requests, reason)(connection)
        for node in nodes:
            parts.places.change_in(connection, node, Happened.FAILED)
        return True

    if not nodes or not parts.database.transact(work):
        return False
    for node in nodes:
        parts.let_work(node)
    return True


def erase_arrived(parts: MoveParts, short_hash: ShortHash) -> None:
    """Erase what was loaded of a node that does not work here; its row may not have come yet."""
    node = parts.nodes.get(short_hash)
    if node is not None:
        parts.importer.erase(node.holding)
