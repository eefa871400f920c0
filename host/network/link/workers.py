"""The thread that does the work of a link's partitions: a member of the group `link`.

It stores messages that wait in `p2p.out`, and gives up and deletes what is due. Requests are sent
by gateways, which take them from the link on threads of their own.
"""

from collections.abc import Callable

from host.network.group_thread import GroupThread
from host.network.link.service import Link
from host.network.link.sessions import GROUP
from host.network.values.p2p_out import P2P_OUT_TOPIC
from host.ports.clock import TwoClocks
from host.ports.work import WorkSource


class LinkWorkers(GroupThread):
    """Runs a link until stopped.

    Args:
        link: does the work.
        store: its store; commits wake the thread.
        clock: of heartbeats.
        member: the name in the group, never used before.
        failed: told of failures; the thread goes on.
    """

    def __init__(
        self,
        *,
        link: Link,
        store: WorkSource,
        clock: TwoClocks,
        member: str,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(
            group=GROUP,
            topic=P2P_OUT_TOPIC,
            work=link,
            store=store,
            clock=clock,
            member=member,
            failed=failed,
        )
