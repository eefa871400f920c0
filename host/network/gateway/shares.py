"""Which posts may be under way at the same time, so that slow peers leave room for others. Pure.

A gateway has so many connections to other clusters. A peer that answers none of them in time holds
each for seconds, and it may have many endpoints, and be asked by many nodes. So each peer, each
node and each group may have a share of what is still free: whoever comes finds something free, and
the more is taken, the less the others get. Source: dynamic thresholds (Choudhury, Hahne 1998).
"""

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import TypeAlias

from host.ports.link import Post

GROUP_SHARE, NODE_SHARE, PEER_SHARE = 1.0, 0.5, 0.25
"""Of the free connections: alone, a group gets half of all, a node a third, a peer a fifth."""

Holders: TypeAlias = Mapping[Hashable, float]
"""Who has a share in a post, and which."""


def holders_of(post: Post) -> Holders:
    return {
        ("group", post.realm): GROUP_SHARE,
        ("node", post.node): NODE_SHARE,
        ("peer", post.realm, post.peer): PEER_SHARE,
    }


class Shares:
    """Mutable: the posts that are under way."""

    def __init__(self) -> None:
        self._held: Counter[Hashable] = Counter()
        self._total = 0

    def admits(self, holders: Holders, most: int) -> bool:
        """Whether one more post may begin, of at most `most`; everybody may have one."""
        free = most - self._total
        return free > 0 and all(
            self._held[holder] < max(1.0, share * free) for holder, share in holders.items()
        )

    def begin(self, holders: Holders) -> None:
        self._held.update(dict.fromkeys(holders, 1))
        self._total += 1

    def end(self, holders: Holders) -> None:
        for holder in holders:
            self._held[holder] -= 1
            if not self._held[holder]:
                del self._held[holder]
        self._total -= 1
