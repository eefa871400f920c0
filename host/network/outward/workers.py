"""The thread of the relay: a member of the group `relay`."""

from collections.abc import Callable

from host.flow.core.messages import DEAD_LETTER_TOPIC
from host.network.group_thread import GroupThread
from host.network.outward.relay import Relay
from host.network.outward.troubles import GROUP
from host.ports.bus import Committed
from host.ports.clock import TwoClocks
from host.ports.outward import EXTERNAL_PREFIX, STATUS_TOPIC
from host.ports.units import FlowStore

_SHARED = frozenset({DEAD_LETTER_TOPIC, STATUS_TOPIC})


class RelayWorkers(GroupThread):
    """Sends outward records until stopped.

    Args:
        relay: does the work.
        store: of the topics; commits wake the thread.
        clock: of heartbeats.
        member: the name in the group, never used before.
        failed: told of failures; the thread goes on.
    """

    def __init__(
        self,
        *,
        relay: Relay,
        store: FlowStore,
        clock: TwoClocks,
        member: str,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(
            group=GROUP,
            topic=None,
            work=relay,
            store=store,
            clock=clock,
            member=member,
            failed=failed,
        )

    def _concerns(self, committed: Committed) -> bool:
        return any(
            place.topic in _SHARED or place.topic.startswith(EXTERNAL_PREFIX)
            for place in committed.logs
        )
