"""The threads that carry work: members of the groups `carriage-out` and `carriage-in`."""

from collections.abc import Callable

from host.flow.core.messages import P2P_OUT_TOPIC, WORK_TOPICS
from host.network.carriage.lander import Lander
from host.network.carriage.sender import Sender
from host.network.group_thread import GroupThread
from host.network.values.messages import MEMBERSHIP_IN_TOPIC
from host.ports.bus import Committed
from host.ports.clock import TwoClocks
from host.ports.units import FlowStore

GROUP_OUT, GROUP_IN = "carriage-out", "carriage-in"
CARRIED_TOPICS = (*WORK_TOPICS, P2P_OUT_TOPIC, MEMBERSHIP_IN_TOPIC)
"""The topics of work."""


class SenderThread(GroupThread):
    """Sends work until stopped.

    Args:
        sender: does the work.
        store: of the outbox; commits wake the thread.
        clock: of heartbeats.
        member: the name in the group, never used before.
        failed: told of failures; the thread goes on.
    """

    def __init__(
        self,
        *,
        sender: Sender,
        store: FlowStore,
        clock: TwoClocks,
        member: str,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(
            group=GROUP_OUT,
            topic=None,
            work=sender,
            store=store,
            clock=clock,
            member=member,
            failed=failed,
        )

    def _concerns(self, committed: Committed) -> bool:
        """Commits tell of the outbox as of a log."""
        return any(place.topic in CARRIED_TOPICS for place in committed.logs)


def lander_thread(
    lander: Lander,
    *,
    store: FlowStore,
    clock: TwoClocks,
    member: str,
    failed: Callable[[BaseException], None],
) -> GroupThread:
    """A thread that lands work until stopped; arguments as of `SenderThread`."""
    return GroupThread(
        group=GROUP_IN,
        topic=None,
        work=lander,
        store=store,
        clock=clock,
        member=member,
        failed=failed,
    )
