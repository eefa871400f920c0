"""What waits in a link, and over how many sessions it talks: numbers for metrics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from host.domain.ids import HoldingIdentity
from host.network.link.members import LinkMembers
from host.network.link.outgoing import Pair

MGM, MEMBER = "mgm", "member"
"""Classes of peers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFigures:
    """Of one pair. `oldest_at` is when the oldest message that waits was written; None: none."""

    source: HoldingIdentity
    target: HoldingIdentity
    messages: int
    bytes: int
    oldest_at: int | None
    is_failing: bool
    has_session: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """Of all pairs with peers of one class; `failing` pairs have a peer that does not answer."""

    messages: int
    bytes: int
    oldest_at: int | None
    failing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFigures:
    """Sessions that this process uses, and queues by class of peer."""

    outbound: int
    inbound: int
    queues: Mapping[str, QueueFigures]


def of_pairs(pairs: Iterable[Pair]) -> Sequence[PairFigures]:
    """The figures of pairs that have something to send, fail, or have a session."""
    return [
        PairFigures(
            source=pair.source,
            target=pair.target,
            messages=len(pair.pending),
            bytes=sum(each.size for each in pair.pending.values()),
            oldest_at=min(
                (each.written_at for each in pair.pending.values() if each.written_at),
                default=None,
            ),
            is_failing=pair.peer.failures > 0,
            has_session=pair.session is not None,
        )
        for pair in pairs
        if pair.pending or pair.peer.failures or pair.session is not None
    ]


def figures(pairs: Sequence[PairFigures], inbound: int, members: LinkMembers) -> LinkFigures:
    """The sums; asks for the class of each peer that something waits for or that fails."""
    by_class: dict[str, list[PairFigures]] = {MGM: [], MEMBER: []}
    for each in pairs:
        if each.messages or each.is_failing:
            peer = members.peer(each.source, each.target.x500_name)
            is_mgm = peer is not None and peer.is_mgm
            by_class[MGM if is_mgm else MEMBER].append(each)
    return LinkFigures(
        outbound=sum(each.has_session for each in pairs),
        inbound=inbound,
        queues={name: _queue(found) for name, found in by_class.items()},
    )


def _queue(pairs: Sequence[PairFigures]) -> QueueFigures:
    oldest = [each.oldest_at for each in pairs if each.oldest_at is not None]
    return QueueFigures(
        messages=sum(each.messages for each in pairs),
        bytes=sum(each.bytes for each in pairs),
        oldest_at=min(oldest, default=None),
        failing=sum(each.is_failing for each in pairs),
    )
