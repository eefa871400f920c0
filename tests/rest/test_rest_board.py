"""Lists of many nodes: those that hurt first, the rest by creation, each page from where it begins."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from host.domain.clock import SimClock
from host.domain.ids import Checksum, EpochMs, HoldingIdentity, ShortHash
from host.domain.vnode import OperationalStatus, VirtualNode
from host.domain.x500 import MemberX500Name
from host.nodes.quotas.service import RecentHit
from host.observe.judgement import Facts
from host.ports.glances import Ended
from host.rest.board import Board


def node(number: int, **changes: OperationalStatus) -> VirtualNode:
    name = MemberX500Name.parse(f"O=Member {number:03}, L=London, C=GB")
    made = VirtualNode(
        holding=HoldingIdentity(x500_name=name, group_id="g"),
        cpi_checksum=Checksum("SHA-256:" + "0" * 64),
        created_at=EpochMs(number // 3),
        granted_capabilities=frozenset(),
    )
    return replace(made, **changes)


@dataclass
class Registry:
    nodes: list[VirtualNode]
    revision: int = 0
    asked: int = 0

    def all(self) -> Sequence[VirtualNode]:
        self.asked += 1
        return list(self.nodes)


class Flows:
    """No flows but one that failed."""

    def ended(self, since: EpochMs) -> Sequence[Ended]:
        del since
        return []

    def status_count(self, status: str, most: int) -> int:
        del status, most
        return 0


def hits(since: EpochMs) -> Sequence[RecentHit]:
    del since
    return []


def board_of(registry: Registry) -> Board:
    return Board(
        clock=SimClock(),
        host=lambda: Facts(now=EpochMs(0)),
        nodes=registry,
        flows=Flows(),  # type: ignore[arg-type]  # what the board asks of them
        dead_letters=lambda _limit: (),
        hits=hits,
    )


def test_nodes_are_in_the_order_of_their_creation_from_any_place() -> None:
    registry = Registry([node(n) for n in range(20)])
    board = board_of(registry)
    ordered = list(board.nodes_before(None))
    assert [known.place for known in ordered] == sorted(
        (known.place for known in ordered), reverse=True
    )
    assert [known.short_hash for known in ordered] == list(board.nodes())
    for number, known in enumerate(ordered):
        assert list(board.nodes_before(known.place)) == ordered[number + 1 :]
    assert list(board.nodes_before("")) == []
    assert list(board.nodes_before("9" * 15 + "-F")) == ordered
    assert registry.asked == 1


def test_what_has_not_changed_is_kept_when_a_node_changes() -> None:
    registry = Registry([node(n) for n in range(5)])
    board = board_of(registry)
    before = board.nodes()
    registry.nodes[2] = node(2, flow_status=OperationalStatus.INACTIVE)
    registry.nodes.append(node(9))
    registry.revision += 1
    after = board.nodes()
    changed = registry.nodes[2].holding.short_hash
    for short_hash, known in before.items():
        assert (after[short_hash] is known) is (short_hash != changed)
    assert set(board.look().pains) == {ShortHash(changed)}
